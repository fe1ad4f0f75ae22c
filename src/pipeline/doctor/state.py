"""Terraform's state: who holds it, and whether it tells the truth."""

import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from contract.release import write_release
from contract.stack import Stack
from contract.strict import parse
from pipeline.aws import Account, Client, bucket_exists
from pipeline.cli import Place
from pipeline.doctor.findings import Finding, fail, ok, warn
from pipeline.image import image_variables
from pipeline.live import live_instances
from pipeline.opening import open_terraform
from pipeline.package import RELEASE_FILE
from pipeline.releases import records
from pipeline.state import STATE_KEY, state_bucket
from pipeline.turns import find_lock

OLD = timedelta(hours=2)
"""No apply of this project takes so long."""
NAMED = 4


def check_state(account: Account, place: Place) -> Iterator[Finding]:
    """The lock, then what differs from what Terraform made."""
    bucket = state_bucket(place.settings.name, account.account_id(), account.region)
    s3 = account.client("s3")
    if not bucket_exists(s3, bucket):
        yield ok("state: nothing is deployed yet")
        return
    yield _lock(s3, bucket)
    yield from _drift(account, place)


def _lock(s3: Client, bucket: str) -> Finding:
    lock = find_lock(s3, bucket, STATE_KEY)
    if lock is None:
        return ok("state: nobody holds its lock")
    what = f"state: {lock} ({lock.operation})"
    if datetime.now(UTC) - lock.created < OLD:
        return warn(what, "another command is under way: wait for it")
    return fail(what, "make unlock, if nobody is at work")


def _drift(account: Account, place: Place) -> Iterator[Finding]:
    terraform = open_terraform(place, account, tell=lambda _: None)
    before = terraform.output("stack")
    if before is None:
        yield ok("drift: nothing is deployed yet")
        return
    stack = parse(Stack, before, "the output `stack`")
    count = live_instances(account, stack)
    with tempfile.TemporaryDirectory() as folder:
        files = [place.settings_file, *_release(account, place, stack, Path(folder))]
        variables = image_variables(place.settings)
        if count is not None:
            variables["live_instances"] = count
        changes = terraform.plan(files, variables, lock=False)
    asked = [change.address for change in changes or ()]
    # What Terraform would not put back is how AWS words what was asked for, or autoscaling's.
    drift = [address for address in terraform.drift if address in asked]
    if drift:
        yield fail(
            f"drift: {_listed(drift)} changed outside of Terraform",
            "make plan shows what; make apply puts it back",
        )
    else:
        yield ok("drift: what stands is what Terraform made")
    others = [address for address in asked if address not in drift]
    if others:
        yield warn(
            f"settings or release ask for changes of {_listed(others)}",
            "make plan shows them; make apply makes them",
        )


def _release(account: Account, place: Place, stack: Stack, folder: Path) -> Iterator[Path]:
    """The release file, or else the release that serves, as it was written down."""
    file = place.build / RELEASE_FILE
    if file.exists():
        yield file
    elif stack.model_version is not None:
        for record in reversed(records(account.client("s3"), stack.bucket)):
            if record.release.version == stack.model_version:
                write_release(record.release, folder / RELEASE_FILE)
                yield folder / RELEASE_FILE
                return


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"
