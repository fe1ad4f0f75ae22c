"""`make destroy`: removes everything of a stage, and proves that nothing is left."""

import argparse
from collections.abc import Sequence

from pipeline.aws import Account, bucket_exists, pages
from pipeline.bootstrap import is_bootstrapped, is_of_bootstrap
from pipeline.changes import summary
from pipeline.cli import Failed, confirm, find_place, run_verb, say, verb_parser
from pipeline.image import image_variables
from pipeline.instances import EXISTING, RUN_TAG
from pipeline.leftovers import find_leftovers, remove_log_groups
from pipeline.opening import open_terraform, take_turn
from pipeline.stacks import forget_stack
from pipeline.state import remove_state_bucket, state_bucket


def main(argv: Sequence[str] | None = None) -> int:
    """Destroy."""
    parser = verb_parser(__doc__)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return run_verb(parser, argv, _destroy)


def _destroy(options: argparse.Namespace) -> None:
    place = find_place(options)
    name, stage = place.settings.name, place.settings.stage
    account = Account(place.settings.region)
    account_id = account.account_id()
    bucket = state_bucket(name, account_id, account.region)
    say(f"Stage {stage}: account {account_id}, region {account.region}.")
    if bucket_exists(account.client("s3"), bucket):
        _remove(options, account, bucket)
    else:
        say("There is no state, so Terraform has made nothing.")
    forget_stack(place)
    for group in remove_log_groups(account, name):
        say(f"Removed the log group {group}, which was written to once more at the end.")
    found = find_leftovers(account, name)
    left = [one for one in found if not is_of_bootstrap(name, one)]
    if left:
        raise Failed("\n".join([f"Still there, with the name {name}:", *left]))
    if found:
        say(
            f"Kept: what `make bootstrap` made. `make bootstrap STAGE={stage} REMOVE=1` removes it."
        )
    say(f"Nothing {'else ' if found else ''}with the name {name} is left.")


def _remove(options: argparse.Namespace, account: Account, bucket: str) -> None:
    place = find_place(options)
    with take_turn(place, account) as turn:
        terraform = open_terraform(place, account, turn)
        changes = terraform.plan(
            [place.settings_file], image_variables(place.settings), destroy=True
        )
        say(summary(changes))
        if place.settings.stage == "aws" and not options.yes:
            confirm(f"Remove all of this from {place.settings.region}, with every object in it?")
        _terminate_runs(account, place.settings.name)
        if changes is not None:
            terraform.apply()
    if place.settings.stage == "local" and not is_bootstrapped(account, place.settings.name):
        remove_state_bucket(account, bucket)
    else:
        say(f"Kept: the bucket {bucket}, with the history of Terraform's state.")


def _terminate_runs(account: Account, name: str) -> None:
    """End the instances that training runs launched: Terraform does not know them."""
    ec2 = account.client("ec2")
    reservations = pages(
        ec2, "describe_instances", "Reservations",
        Filters=[
            {"Name": "tag-key", "Values": [RUN_TAG]},
            {"Name": "tag:Name", "Values": [f"{name}-*"]},
            {"Name": "instance-state-name", "Values": EXISTING},
        ],
    )  # fmt: skip
    ids = [i["InstanceId"] for r in reservations for i in r["Instances"]]
    if ids:
        ec2.terminate_instances(InstanceIds=ids)
        ec2.get_waiter("instance_terminated").wait(InstanceIds=ids)
        say(f"Ended {len(ids)} instances of training runs.")


if __name__ == "__main__":
    raise SystemExit(main())
