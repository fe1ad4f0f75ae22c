"""`make doctor`: credentials, quotas, images, artifacts, state and what runs, a line each.

Nothing needs to be deployed and nothing is changed. It ends with 1 when something failed.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from pipeline.aws import Account
from pipeline.cli import Failed, Place, find_place, run_verb, say, verb_parser
from pipeline.doctor.account import check_region
from pipeline.doctor.artifacts import check_artifacts
from pipeline.doctor.findings import Finding, fail, looked_at, ok
from pipeline.doctor.images import check_containers, check_machine_image
from pipeline.doctor.quotas import check_concurrency, check_ec2, check_sagemaker
from pipeline.doctor.running import check_running
from pipeline.doctor.state import check_state
from pipeline.doctor.tools import check_tools

Check = tuple[str, Callable[[], Iterator[Finding]]]


def main(argv: Sequence[str] | None = None) -> int:
    """Look at everything."""
    return run_verb(verb_parser(__doc__), argv, _doctor)


def _doctor(options: argparse.Namespace) -> None:
    place = find_place(options)
    say(f"ok    settings {place.settings_file}")
    signs = []
    for finding in findings(place):
        say(finding.line)
        signs.append(finding.sign)
    failed, warned = signs.count("fail"), signs.count("warn")
    say(f"{len(signs) + 1} looked at: {failed} failed, {warned} to look at.")
    if failed:
        raise Failed(f"{failed} of {len(signs) + 1} failed; each line says what to do.")


def findings(place: Place) -> Iterator[Finding]:
    """Everything that is found, check by check."""
    yield from looked_at("tools", check_tools)
    account = Account(place.settings.region)
    try:
        caller = account.client("sts").get_caller_identity()
    except (ClientError, BotoCoreError) as error:
        yield fail(
            f"credentials: {' '.join(str(error).split())}",
            "sign in (aws sso login, or AWS_PROFILE=...), or use STAGE=local",
        )
        return
    yield ok(f"credentials: {caller['Arn']}")
    for name, check in _checks(account, place, str(caller["Account"])):
        yield from looked_at(name, check)


def _checks(account: Account, place: Place, account_id: str) -> list[Check]:
    settings = place.settings
    bucket = f"{settings.name}-{account_id}-{settings.region}"
    return [
        ("region", lambda: check_region(account)),
        ("Lambda's quota", lambda: check_concurrency(account, settings)),
        ("SageMaker's quotas", lambda: check_sagemaker(account, settings)),
        ("EC2's quota", lambda: check_ec2(account, settings)),
        ("the containers' images", lambda: check_containers(account, settings)),
        ("the training image", lambda: check_machine_image(account, settings)),
        ("the release", lambda: check_artifacts(account, place, bucket)),
        ("the state", lambda: check_state(account, place)),
        ("what runs", lambda: check_running(account, settings)),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
