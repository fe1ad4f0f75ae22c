"""`make apply`: makes a stage match the settings and the release, and proves that it does.

Settings and release are read strictly before Terraform starts. Without a release everything but
the endpoint and the function is made. With one, its archives are uploaded, Terraform applies,
and the release's golden picture must come back from the new model; a release that passes is
written down for `make rollback`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from contract.release import Release, read_release
from contract.stack import Stack
from contract.strict import parse, require
from pipeline.asking import Refused, ask, bytes_request
from pipeline.aws import Account, bucket_exists, error_code
from pipeline.changes import costs, summary
from pipeline.cli import Failed, Place, confirm, find_place, run_verb, say, verb_parser
from pipeline.package import RELEASE_FILE
from pipeline.reasons import endpoint_reasons
from pipeline.releases import record
from pipeline.stacks import live_parts, write_stack
from pipeline.state import STATE_KEY, ensure_state_bucket
from pipeline.terraform import PLUGIN_DIED, Change, Terraform, TerraformFailed
from pipeline.upload import upload_release
from pipeline.verify import golden_of, verify

INFRA = Path("infra")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What the person who deploys wants."""

    plan_only: bool = False
    """Show what would change, and stop."""
    full_plan: bool = False
    """Show every argument as well."""
    without_release: bool = False
    """Remove the endpoint and the function, though they serve."""
    yes: bool = False
    """Do not ask."""


def deploy(place: Place, wishes: Wishes) -> None:
    """Deploy, verify, write down.

    Raises:
        ContractError: settings or release are not right, or the deployment would remove what
            serves without being told to.
        Failed: Terraform failed, or the new model does not answer as it should.
    """
    release = None if wishes.without_release else _release(place.build)
    account = Account(place.settings.region)
    say(f"Stage {place.settings.stage}: account {account.account_id()}, region {account.region}.")
    terraform = open_terraform(place, account)
    before = _stack_before(terraform)
    require(
        release is not None
        or wishes.without_release
        or before is None
        or before.model_version is None,
        f"Model {before and before.model_version} serves, and {place.build / RELEASE_FILE} does "
        "not exist: this would remove it. `make package` makes the file, `make rollback` goes to "
        "a verified release, --without-release removes endpoint and function.",
    )
    if release is None:
        say("Without a release: everything but the endpoint and the function.")
        _converge(place, wishes, terraform, account, None, before)
        return
    say(f"Release {release.version}.")
    before = _with_bucket(place, wishes, terraform, account, before)
    if not wishes.plan_only and before is not None:
        upload_release(account.client("s3"), before.bucket, release, place.build, say)
    stack = _converge(place, wishes, terraform, account, release, before)
    if stack is not None:
        _prove(stack, account, release, place.build)


def open_terraform(place: Place, account: Account) -> Terraform:
    """Terraform, connected to the stage's state."""
    bucket = ensure_state_bucket(account, place.settings.name, say)
    data = place.build / place.settings.stage / "terraform"
    terraform = Terraform(INFRA, data, account.region, say)
    terraform.init(
        {
            "bucket": bucket,
            "encrypt": "true",
            "key": STATE_KEY,
            "region": account.region,
            "use_lockfile": "true",
        }
    )
    return terraform


def _release(build: Path) -> Release | None:
    file = build / RELEASE_FILE
    return read_release(file) if file.exists() else None


def _stack_before(terraform: Terraform) -> Stack | None:
    value = terraform.output("stack")
    return None if value is None else parse(Stack, value, "the output `stack`")


def _with_bucket(
    place: Place, wishes: Wishes, terraform: Terraform, account: Account, before: Stack | None
) -> Stack | None:
    """Make everything that a release's archives need to be uploaded, if it is not there."""
    if before is not None and bucket_exists(account.client("s3"), before.bucket):
        return before
    say("There is no bucket for the archives yet, so what needs no release comes first.")
    return _converge(place, wishes, terraform, account, None, before)


def _converge(
    place: Place,
    wishes: Wishes,
    terraform: Terraform,
    account: Account,
    release: Release | None,
    before: Stack | None,
) -> Stack | None:
    """Plan, show, ask, apply.

    Returns:
        What exists now; `None` when only a plan was wanted.
    """
    changes = _plan(place, terraform, account, release, before)
    say(terraform.show() if wishes.full_plan else summary(changes))
    if wishes.plan_only:
        return None
    if changes is not None:
        _ask(place, wishes, changes)
        try:
            _apply(place, terraform, account, release, before)
        except TerraformFailed as failure:
            raise Failed(_explained(failure, place, account, before)) from failure
    stack = write_stack(terraform.output("stack"), place.build)
    say(f"Stack {stack.name} stands; see {place.build / 'stack.json'}.")
    return stack


def _plan(
    place: Place,
    terraform: Terraform,
    account: Account,
    release: Release | None,
    before: Stack | None,
) -> tuple[Change, ...] | None:
    files = [place.settings_file]
    if release is not None:
        files.append(place.build / RELEASE_FILE)
    count = _live_instances(account, before)
    return terraform.plan(files, {} if count is None else {"live_instances": count})


def _apply(
    place: Place,
    terraform: Terraform,
    account: Account,
    release: Release | None,
    before: Stack | None,
) -> None:
    try:
        terraform.apply()
    except TerraformFailed as failure:
        if PLUGIN_DIED not in str(failure):
            raise
        say("Terraform's provider did not answer; planning and applying once more.")
        if _plan(place, terraform, account, release, before) is not None:
            terraform.apply()


def _live_instances(account: Account, before: Stack | None) -> int | None:
    """How many instances serve now, so that a new endpoint config starts with as many."""
    if before is None or before.endpoint is None:
        return None
    try:
        found = account.client("sagemaker").describe_endpoint(EndpointName=before.endpoint.name)
    except ClientError as error:
        if error_code(error) in {"ValidationException", "ResourceNotFound"}:
            return None
        raise
    for variant in found.get("ProductionVariants", []):
        if variant["VariantName"] == before.endpoint.variant:
            return int(variant["DesiredInstanceCount"])
    return None


def _ask(place: Place, wishes: Wishes, changes: Sequence[Change]) -> None:
    if place.settings.stage == "local" or wishes.yes:
        return
    for cost in costs(changes):
        say(f"This costs: {cost}.")
    confirm(f"Apply this to {place.settings.region}?")


def _explained(
    failure: TerraformFailed, place: Place, account: Account, before: Stack | None
) -> str:
    """Why Terraform failed, and what answers now."""
    lines = [str(failure), *endpoint_reasons(account, place.settings.name)]
    if before is not None and before.function is not None:
        lines.append(_who_answers(account, before, place.build))
    return "\n".join(lines)


def _who_answers(account: Account, before: Stack, build: Path) -> str:
    _, function = live_parts(before)
    golden = build / "model" / "golden.jpg"
    if not golden.is_file():
        return f"Before this, model {before.model_version} was serving."
    try:
        reply = ask(account.client("lambda"), function, bytes_request(golden.read_bytes(), 1))
    except Refused as refusal:
        return f"The service does not answer. {refusal}"
    return f"Model {reply.model_version} still answers."


def _prove(stack: Stack, account: Account, release: Release, build: Path) -> None:
    """Ask the golden question; write the release down when the answer is right."""
    _, function = live_parts(stack)
    s3 = account.client("s3")
    golden = golden_of(release, build, s3, stack.bucket)
    try:
        reply = verify(account.client("lambda"), function, release.version, golden)
    except Failed as failure:
        reasons = endpoint_reasons(account, stack.name)
        raise Failed("\n".join([str(failure), *reasons])) from failure
    first = reply.predictions[0]
    say(f"Model {reply.model_version} answers its golden picture through {function.name}: "
        f"{first.label}, {first.probability:.1%}.")  # fmt: skip
    record(s3, stack.bucket, release)


def main(argv: Sequence[str] | None = None) -> int:
    """Deploy."""
    parser = verb_parser(__doc__)
    parser.add_argument("--plan", action="store_true", help="show what would change, and stop")
    parser.add_argument("--full", action="store_true", help="show every argument of the plan")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--without-release", action="store_true", help="remove the endpoint and the function"
    )
    return run_verb(parser, argv, _deploy)


def _deploy(options: argparse.Namespace) -> None:
    wishes = Wishes(
        plan_only=options.plan,
        full_plan=options.full,
        without_release=options.without_release,
        yes=options.yes,
    )
    deploy(find_place(options), wishes)


if __name__ == "__main__":
    raise SystemExit(main())
