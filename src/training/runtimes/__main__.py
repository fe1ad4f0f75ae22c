"""`python -m training.runtimes`: exports the trained model to faster runtimes, each measured.

`make package` runs it first. It changes nothing where it has been run on the same model before.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from contract.model_card import ModelCard, read_card
from contract.runtimes import has_openvino
from contract.settings import read_settings
from contract.strict import ContractError, require
from training.data import Data, read_data

DEFAULT_LIMIT = 0.5
UNMEASURED = (
    "So what is not measured yet stays so, and answers take two to four times as long. Give the "
    "model's own pictures: make package DATA=folder."
)


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="training.runtimes", description=__doc__)
    options.add_argument("--data", type=Path, required=True, help="the model's pictures")
    options.add_argument("--model-dir", type=Path, default=Path("build/model"))
    options.add_argument("--cache-dir", type=Path, default=Path("build/cache"))
    options.add_argument(
        "--max-points-lost", type=float, help="most percent that may get worse; default 0.5"
    )
    options.add_argument(
        "--no-int8", action="store_true", help="leave 8-bit integers to a later `make package`"
    )
    options.add_argument(
        "--settings", type=Path, help="a stage's settings, for their endpoint.max_points_lost"
    )
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Export; a user's mistake is one line and exit code 2."""
    options = parser().parse_args(argv)
    try:
        run(options)
    except (ContractError, OSError) as error:
        sys.stderr.write(f"runtimes: {error}\n")
        return 2
    return 0


def run(options: argparse.Namespace) -> None:
    """Export what can be exported here, and say what came of it.

    Raises:
        ContractError: there is no whole model, or OpenVINO is missing.
    """
    limit = options.max_points_lost
    if limit is None:
        limit = DEFAULT_LIMIT
        if options.settings is not None:
            limit = read_settings(options.settings).endpoint.max_points_lost
    require(0 <= limit <= 100, f"--max-points-lost is {limit}; it must be 0 to 100.")
    require(
        has_openvino(),
        "exporting needs openvino; `make setup` installs what requirements/export.txt lists.",
    )
    from training.runtimes.convert import has_nncf
    from training.runtimes.export import add_runtimes, is_complete

    with_int8 = has_nncf() and not options.no_int8
    card = read_card(options.model_dir)
    data, lack = None, ""
    complete = is_complete(card, limit, with_pictures=True, with_int8=with_int8)
    if not complete:
        data, lack = find_pictures(options.data, options.cache_dir, card)
        found = data is not None
        complete = is_complete(card, limit, with_pictures=found, with_int8=with_int8)
    measured = any(runtime.accuracy is not None for runtime in card.runtimes)
    require(
        complete or data is not None or not measured,
        f"max_points_lost is {limit:g}, and the runtimes in {options.model_dir} were judged by "
        f"another; {lack}. Judge them again with the model's own pictures: "
        "make package DATA=folder.",
    )
    if complete:
        say(f"{options.model_dir} has its runtimes already:")
    else:
        say(f"Exporting {options.model_dir} to faster runtimes, and measuring what they lose.")
        card = add_runtimes(options.model_dir, data, limit, with_int8=with_int8)
    say(table(card))
    if lack:
        say(f"runtimes: {lack}. {UNMEASURED}")


def find_pictures(folder: Path, cache_dir: Path, card: ModelCard) -> tuple[Data | None, str]:
    """The pictures that the model was trained on, or why they are not here."""
    if not folder.is_dir():
        return None, f"{folder} is not there"
    try:
        data = read_data(folder, cache_dir)
    except ContractError as error:
        return None, str(error).rstrip(".")
    if data.sha256 != card.provenance.data_sha256:
        return None, f"{folder} holds other pictures than the model was trained on"
    return data, ""


def table(card: ModelCard) -> str:
    """The runtimes and their figures, for people."""
    lines = [f"  {'runtime':<15}{'accuracy':>9}{'as float32':>12}{'ms':>8}   verdict"]
    for one in card.runtimes:
        accuracy = "" if one.accuracy is None else f"{one.accuracy:.1%}"
        agreement = "" if one.agreement is None else f"{one.agreement:.2%}"
        milliseconds = "" if one.median_ms is None else f"{one.median_ms:.1f}"
        verdict = "accepted" if one.accepted else f"refused: {one.refused}"
        lines.append(f"  {one.name:<15}{accuracy:>9}{agreement:>12}{milliseconds:>8}   {verdict}")
    return "\n".join(lines)


def say(text: str) -> None:
    """Write for people."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
