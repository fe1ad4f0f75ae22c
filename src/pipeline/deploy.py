"""`make apply`: makes a stage match the settings and the release, and proves that it does.

Settings and release are read strictly before Terraform starts. Without a release everything but
the endpoint and the function is made. With one, its archives are uploaded, Terraform applies,
and the release's golden picture must come back from the new model; a release that passes is
written down for `make rollback`.
"""

import argparse
from collections.abc import Sequence

from contract.release import read_release
from pipeline.aws import Account
from pipeline.bootstrap import require_boundary
from pipeline.cli import Place, find_place, run_verb, say, verb_parser
from pipeline.deployment import Deployment, Wishes
from pipeline.opening import open_terraform, take_turn
from pipeline.package import RELEASE_FILE


def deploy(place: Place, wishes: Wishes) -> None:
    """Deploy, verify, write down.

    Raises:
        ContractError: settings or release are not right, or the deployment would remove what
            serves without being told to.
        Failed: Terraform failed, or the new model does not answer as it should.
    """
    file = place.build / RELEASE_FILE
    release = read_release(file) if file.exists() and not wishes.without_release else None
    account = Account(place.settings.region)
    say(f"Stage {place.settings.stage}: account {account.account_id()}, region {account.region}.")
    require_boundary(account, place.settings)
    with take_turn(place, account) as turn:
        terraform = open_terraform(place, account, turn)
        Deployment(place, wishes, account, terraform).run(release)


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
