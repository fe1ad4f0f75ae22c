"""`make rollback`: deploys the verified release before this one, or TO=version, and proves it.

Going back twice comes back: the release before this one is the last verified one that is not
the one that serves.
"""

import argparse
from collections.abc import Sequence

from contract.release import write_release
from pipeline.aws import Account
from pipeline.cli import find_place, run_verb, say, verb_parser
from pipeline.deploy import Wishes, deploy
from pipeline.package import RELEASE_FILE
from pipeline.releases import find_release, records
from pipeline.stacks import stack_of


def main(argv: Sequence[str] | None = None) -> int:
    """Roll back."""
    parser = verb_parser(__doc__)
    parser.add_argument("--to", metavar="VERSION", help="a version of `make releases`")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    return run_verb(parser, argv, _roll_back)


def _roll_back(options: argparse.Namespace) -> None:
    place = find_place(options)
    stack = stack_of(place)
    known = records(Account(stack.region).client("s3"), stack.bucket)
    release = find_release(known, stack.model_version, options.to)
    say(f"Going from {stack.model_version} to {release.version}.")
    write_release(release, place.build / RELEASE_FILE)
    deploy(place, Wishes(yes=options.yes))


if __name__ == "__main__":
    raise SystemExit(main())
