"""`make cost`: what a stage costs a month and for 1,000 requests, from its plan.

Nothing is changed: the plan is made without taking the state's lock and is not applied. With
STAGE=local it is what the stage would cost in an account.
"""

import argparse
from collections.abc import Sequence

from contract.release import read_release
from pipeline.aws import Account
from pipeline.cli import find_place, run_verb, say, verb_parser
from pipeline.cost.bill import Assumptions
from pipeline.cost.estimate import estimate
from pipeline.cost.prices import read_prices
from pipeline.cost.table import table
from pipeline.image import image_variables
from pipeline.opening import open_terraform
from pipeline.package import RELEASE_FILE


def main(argv: Sequence[str] | None = None) -> int:
    """Print the bill."""
    parser = verb_parser(__doc__)
    usual = Assumptions()
    for name, text in (
        ("milliseconds", "the function takes for a request"),
        ("model-milliseconds", "the model takes for a request"),
        ("kilobytes", "a picture has"),
        ("log-bytes", "are logged for a request"),
        ("build-minutes", "a build of the endpoint's own image takes"),
        ("image-gb", "lie in the repository of images"),
        ("stored-gb", "lie in the bucket"),
    ):
        default = getattr(usual, name.replace("-", "_"))
        parser.add_argument(
            f"--{name}", type=float, default=default, metavar="N", help=f"N {text} ({default:g})"
        )
    parser.add_argument(
        "--requests", type=float, metavar="N", help="also say what a month of N requests costs"
    )
    return run_verb(parser, argv, _cost)


def _cost(options: argparse.Namespace) -> None:
    place = find_place(options)
    release = place.build / RELEASE_FILE
    files = [place.settings_file]
    if release.exists():
        read_release(release)
        files.append(release)
    else:
        say(f"{release} does not exist, so this is without endpoint and function.")
    account = Account(place.settings.region)
    terraform = open_terraform(place, account)
    assumed = Assumptions(
        milliseconds=options.milliseconds,
        model_milliseconds=options.model_milliseconds,
        kilobytes=options.kilobytes,
        log_bytes=options.log_bytes,
        build_minutes=options.build_minutes,
        image_gb=options.image_gb,
        stored_gb=options.stored_gb,
    )
    prices = read_prices(place.settings.region)
    terraform.plan(files, image_variables(place.settings), lock=False)
    bill = estimate(terraform.planned(), prices, assumed)
    say(table(bill, prices, assumed))
    if options.requests is not None:
        say(f"A month of {options.requests:,.0f} requests: ${bill.monthly(options.requests):,.2f}.")


if __name__ == "__main__":
    raise SystemExit(main())
