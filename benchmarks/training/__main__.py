"""`python -m benchmarks.training --rows a,b --pictures 200`: measures, and appends to RECORDS.md.

The sides of a row take turns, round by round, so that whatever else the machine does hits all of
them alike.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from benchmarks.report import keep
from benchmarks.training.pictures import draw_folder
from benchmarks.training.random_weights import save_random_weights
from benchmarks.training.rows import Outcome, Row, Setup, find_row
from benchmarks.training.table import heading, table

from contract.strict import ContractError


def options(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.training", description=__doc__)
    parser.add_argument("--rows", default="a,b", help="letters, with commas between")
    parser.add_argument("--pictures", type=int, default=200, help="for training; a quarter more")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3, help="turns of every side")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--size", type=int, default=224, help="pixels, of the network's input")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="cores that each side may use")
    parser.add_argument("--keep", type=Path, help="keep pictures and weights here for another run")
    parser.add_argument("--note", default="", help="said above the table, as of a busy machine")
    parser.add_argument("--no-record", action="store_true", help="print, and write no record")
    return parser.parse_args(argv)


def measure(row: Row, setup: Setup, rounds: int, threads: int) -> dict[str, list[Outcome]]:
    """Every side in turn, `rounds` times."""
    found: dict[str, list[Outcome]] = {side.name: [] for side in row.sides}
    for turn in range(1, rounds + 1):
        for side in row.sides:
            torch.set_num_threads(threads)
            with tempfile.TemporaryDirectory(dir=setup.scratch) as folder:
                outcome = side.measure(replace(setup, scratch=Path(folder)))
            found[side.name].append(outcome)
            facts = ", ".join(f"{name} {value:.4g}" for name, value in outcome.facts.items())
            sys.stderr.write(f"{turn}/{rounds} {side.name}: {outcome.seconds:.4g} s; {facts}\n")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the rows asked for; print their tables and keep them in RECORDS.md."""
    given = options(sys.argv[1:] if argv is None else argv)
    try:
        rows = [find_row(key) for key in given.rows.split(",")]
    except ContractError as error:
        sys.stderr.write(f"benchmarks.training: {error}\n")
        return 2
    home = given.keep or Path(tempfile.mkdtemp(prefix="bench-training-"))
    home.mkdir(parents=True, exist_ok=True)
    setup = Setup(
        data=draw_folder(home / "pictures", given.pictures, given.classes),
        backbone=given.backbone,
        weights=home / f"{given.backbone}-{given.size}.safetensors",
        image_size_px=given.size,
        epochs=given.epochs,
        batch_size=32,
        learning_rate=0.001,
        seed=7,
        scratch=home / "scratch",
    )
    setup.scratch.mkdir(exist_ok=True)
    save_random_weights(setup)
    parts = [heading(given, sys.argv[1:] if argv is None else argv)]
    for row in rows:
        parts.append(table(row, measure(row, setup, given.rounds, given.threads)))
    text = "\n".join(parts)
    sys.stdout.write(text)
    if not given.no_record:
        keep(text)
    shutil.rmtree(setup.scratch if given.keep else home)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
