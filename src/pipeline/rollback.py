"""`make rollback`: deploys the verified release before this one, or TO=version, and proves it.

Going back twice comes back: the release before this one is the last verified one that is not
the one that serves.
"""

import argparse
from collections.abc import Sequence

from contract.release import write_release
from contract.strict import ContractError
from pipeline.aws import Account
from pipeline.cli import find_place, run_verb, say, verb_parser
from pipeline.deploy import deploy
from pipeline.deployment import Wishes
from pipeline.package import RELEASE_FILE
from pipeline.releases import find_release, live_name, records
from pipeline.stacks import stack_of


def main(argv: Sequence[str] | None = None) -> int:
    """Roll back."""
    parser = verb_parser(__doc__)
    parser.add_argument(
        "--to", metavar="VERSION", help="a line of `make releases`, or its beginning"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return run_verb(parser, argv, _roll_back)


def _roll_back(options: argparse.Namespace) -> None:
    place = find_place(options)
    stack = stack_of(place)
    account = Account(stack.region)
    known = records(account.client("s3"), stack.bucket)
    live = live_name(account, stack)
    release = find_release(known, live, options.to)
    say(f"Going from {live} to {release.name}.")
    file = place.build / RELEASE_FILE
    before = file.read_bytes() if file.exists() else None
    write_release(release, file)
    try:
        deploy(place, Wishes(yes=options.yes))
    except ContractError:
        # Nothing was done, so the next `make apply` must not do it.
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)
        raise


if __name__ == "__main__":
    raise SystemExit(main())
