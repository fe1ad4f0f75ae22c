"""`make unlock`: removes the lock of the state that a killed command left behind."""

import argparse
from collections.abc import Sequence

from pipeline.aws import Account, bucket_exists
from pipeline.cli import confirm, find_place, run_verb, say, verb_parser
from pipeline.opening import turn_folder
from pipeline.state import STATE_KEY, state_bucket
from pipeline.turns import Turn, find_lock, remove_lock


def main(argv: Sequence[str] | None = None) -> int:
    """Unlock."""
    parser = verb_parser(__doc__)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return run_verb(parser, argv, _unlock)


def _unlock(options: argparse.Namespace) -> None:
    place = find_place(options)
    account = Account(place.settings.region)
    s3 = account.client("s3")
    bucket = state_bucket(place.settings.name, account.account_id(), account.region)
    with Turn(turn_folder(place)):
        lock = find_lock(s3, bucket, STATE_KEY) if bucket_exists(s3, bucket) else None
        if lock is None:
            say("Nobody holds the lock of the state.")
            return
        say(f"{lock} ({lock.operation}).")
        if place.settings.stage == "aws" and not options.yes:
            confirm("Is that command dead? Two at once would spoil the state.")
        remove_lock(s3, bucket, STATE_KEY, lock)
        say("Removed the lock. `make apply` goes on from what is there.")


if __name__ == "__main__":
    raise SystemExit(main())
