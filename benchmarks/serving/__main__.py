"""`python -m benchmarks.serving --rows peers,open-loop`: measures, and appends to RECORDS.md.

The server under test has one core, the client another. Sides take turns, round by round, so that
whatever else the machine does hits all of them alike.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.report import keep, processor
from benchmarks.serving.material import CLASSES, PEERS_PYTHON, SIZES_PX, Material, prepare
from benchmarks.serving.rows import Row, Setup, find_row
from benchmarks.serving.running import cores

from contract.strict import ContractError

ROWS = "peers,runtimes,overload,kills,path,lambda,open-loop"
LIBRARIES = ("openvino", "torch", "uvicorn")
PEERS = ("torchserve", "fastapi", "litserve", "torch")


def options(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.serving", description=__doc__)
    parser.add_argument("--rows", default=ROWS, help=f"with commas between; default {ROWS}")
    parser.add_argument("--rounds", type=int, default=3, help="turns of every side")
    parser.add_argument("--seconds", type=float, default=600, help="of the open-loop row's load")
    parser.add_argument("--short", type=float, default=2, help="seconds of every other load")
    parser.add_argument("--deadline-ms", type=int, default=1000, help="in the overload row")
    parser.add_argument("--kills", type=int, default=5, help="in the kills row")
    parser.add_argument("--keep", type=Path, help="keep model and pictures here for another run")
    parser.add_argument("--note", default="", help="said above the tables, as of a busy machine")
    parser.add_argument("--no-record", action="store_true", help="print, and write no record")
    return parser.parse_args(argv)


def heading(given: argparse.Namespace, argv: Sequence[str], material: Material) -> str:
    """Command, machine, date, versions, and what the pictures are."""
    note = f" {given.note}" if given.note else ""
    sizes = ", ".join(
        f"{px} px ({sum(map(len, material.pictures[px])) / len(material.pictures[px]) / 1000:.0f} "
        "kB)" for px in SIZES_PX
    )  # fmt: skip
    ours = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"## Serving, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n\n"
        f"`python -m benchmarks.serving {' '.join(argv)}` on {processor()}, "
        f"{os.cpu_count()} cores: one serves, the other sends. "
        f"Python {platform.python_version()}; ours with {ours}; "
        f"peers: {_peer_versions()}. resnet50 at 224 pixels, {CLASSES} classes: random weights "
        "whose BatchNorm statistics are those of the pictures, and a head fitted to six drawn "
        f"breeds of dogs. JPEGs of quality 90 by their longer side, 4:3: {sizes}. Validation: "
        f"{len(material.validation)} photos that the head was not fitted to. {given.rounds} "
        f"rounds, {given.short:g} s each load unless said otherwise.{note}\n"
    )


def _peer_versions() -> str:
    folder = PEERS_PYTHON.parents[1]
    found = [
        path.name.removesuffix(".dist-info").replace("-", " ", 1)
        for name in PEERS
        for path in sorted(folder.glob(f"lib/python*/site-packages/{name}-*.dist-info"))
    ]
    return ", ".join(found) or "not installed"


def say(line: str) -> None:
    """Write a line of progress."""
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {line}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the rows asked for; print their tables and keep them in RECORDS.md."""
    words = list(sys.argv[1:] if argv is None else argv)
    given = options(words)
    try:
        rows: list[Row] = [find_row(key) for key in given.rows.split(",")]
        serving_core, client_core = cores()
    except ContractError as error:
        sys.stderr.write(f"benchmarks.serving: {error}\n")
        return 2
    home = (given.keep or Path(tempfile.mkdtemp(prefix="bench-serving-"))).resolve()
    material = prepare(home)
    os.sched_setaffinity(0, {client_core})
    setup = Setup(
        material=material, serving_core=serving_core, rounds=given.rounds,
        short_seconds=given.short, long_seconds=given.seconds, deadline_ms=given.deadline_ms,
        kills=given.kills, say=say,
    )  # fmt: skip
    parts = [heading(given, words, material)]
    for row in rows:
        say(row.title)
        parts.append(f"### {row.title}\n\n{row.note}\n\n{row.measure(setup)}")
    text = "\n".join(parts)
    sys.stdout.write(text)
    if not given.no_record:
        keep(text)
    if not given.keep:
        shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
