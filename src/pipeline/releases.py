"""`make releases`: the releases that were deployed and answered as they should."""

import argparse
import base64
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from contract.release import Release
from contract.stack import Function, Stack
from contract.strict import parse, require
from pipeline.aws import Account, Client, pages
from pipeline.cli import find_place, run_verb, say, verb_parser
from pipeline.stacks import stack_of

PREFIX = "releases/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One deployment that was verified."""

    time: str
    """UTC, ISO 8601."""
    release: Release

    @property
    def key(self) -> str:
        """Where it is written; the order of keys is the order of time."""
        stamp = self.time.replace("-", "").replace(":", "")
        return f"{PREFIX}{stamp}-{self.release.version}.json"


def record(s3: Client, bucket: str, release: Release) -> None:
    """Write down that a release was verified, unless the last record says the same."""
    known = records(s3, bucket)
    if known and known[-1].release == release:
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    new = Record(time=now, release=release)
    s3.put_object(
        Bucket=bucket,
        Key=new.key,
        Body=json.dumps(dataclasses.asdict(new), indent=2).encode(),
        ContentType="application/json",
    )


def records(s3: Client, bucket: str) -> list[Record]:
    """Every record, the oldest first."""
    keys = sorted(
        item["Key"] for item in pages(s3, "list_objects_v2", "Contents", Bucket=bucket,
                                      Prefix=PREFIX)
    )  # fmt: skip
    return [
        parse(Record, json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()), key)
        for key in keys
    ]


def find_release(known: Sequence[Record], live: str | None, wanted: str | None) -> Release:
    """The release to go back to.

    Args:
        known: the oldest first.
        live: the name of the one that serves now.
        wanted: the name or the version of one, or its first digits; `None` is the last one that
            is not live.

    Raises:
        ContractError: there is none.
    """
    fitting = [
        r.release
        for r in known
        if (r.release.name.startswith(wanted) if wanted else r.release.name != live)
    ]
    listed = ", ".join(dict.fromkeys(r.release.name for r in known)) or "none"
    missing = f"release {wanted}" if wanted else "release before this one"
    require(bool(fitting), f"There is no verified {missing}. Verified releases: {listed}.")
    return fitting[-1]


def live_name(account: Account, stack: Stack) -> str | None:
    """The name of the release that serves now, verified or not; `None` when nothing does."""
    if stack.model_version is None or stack.function is None:
        return None
    code = deployed_code(account.client("lambda"), stack.function)
    return f"{stack.model_version}/{code[:6]}"


def deployed_code(client: Client, function: Function) -> str:
    """SHA-256 of the code that callers reach, in hex."""
    found = client.get_function_configuration(FunctionName=function.name, Qualifier=function.alias)
    return base64.b64decode(found["CodeSha256"]).hex()


def main(argv: Sequence[str] | None = None) -> int:
    """List the releases."""
    return run_verb(verb_parser(__doc__), argv, _list)


def _list(options: argparse.Namespace) -> None:
    stack = stack_of(find_place(options))
    account = Account(stack.region)
    known = records(account.client("s3"), stack.bucket)
    name = live_name(account, stack)
    live = [entry for entry in known if entry.release.name == name][-1:]
    for entry in known:
        say(f"{entry.time}  {entry.release.name}{'  live' if entry in live else ''}")
    if name is not None and not live:
        say(f"{name} serves, and was never verified: `make apply` tells why.")
    say(f"{len(known)} verified deployments; `make rollback TO=...` goes back to one.")


if __name__ == "__main__":
    raise SystemExit(main())
