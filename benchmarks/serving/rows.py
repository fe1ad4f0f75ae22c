"""What a row of the run is; `row_<name>.py` beside this file defines one each, as `ROW`."""

import asyncio
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.serving.figures import LAG_LIMIT_MS, Figures, figures
from benchmarks.serving.load import closed_loop
from benchmarks.serving.material import Material
from benchmarks.serving.running import Running

from contract.strict import require

SATURATED = 4
"""Connections that keep one core busy: while it answers one, the next are there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What every row is given."""

    material: Material
    serving_core: int
    rounds: int
    """Turns of every side."""
    short_seconds: float
    """Of every load but the long one."""
    long_seconds: float
    """Of the load at 70 % of the peak."""
    deadline_ms: int
    """How long callers wait when there is more than can be served."""
    kills: int
    say: Callable[[str], object]
    """Given a line of progress."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One question, and how it is answered."""

    title: str
    note: str
    """What a reader must know to read the figures rightly."""
    measure: Callable[[Setup], str]
    """Its tables, as Markdown."""


def find_row(key: str) -> Row:
    """The row of a name.

    Raises:
        ContractError: there is none.
    """
    files = Path(__file__).parent.glob("row_*.py")
    keys = sorted(path.stem[4:].replace("_", "-") for path in files)
    require(key in keys, f"row {key!r} is not one of {', '.join(keys)}; name some with --rows.")
    module = importlib.import_module(f"benchmarks.serving.row_{key.replace('-', '_')}")
    row: Row = module.ROW
    return row


def spread(values: Sequence[float], digits: int = 1) -> str:
    """The median, and the range where there is one."""
    middle = f"{median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def saturate(running: Running, setup: Setup, longer_px: int, connections: int) -> Figures:
    """A closed loop with pictures of one size, after one request of each."""
    requests = [running.side.request(p) for p in setup.material.pictures[longer_px]]
    asyncio.run(closed_loop(running.port, requests, 1, 0.2))
    return figures(
        asyncio.run(closed_loop(running.port, requests, connections, setup.short_seconds))
    )


def statuses(found: Figures) -> str:
    """What replies there were: `200: 512, 503: 3`."""
    return ", ".join(f"{status}: {count:,}" for status, count in found.statuses.items())


def validity(found: Figures) -> str:
    """Whether the client kept its schedule, and how late it was."""
    word = "yes" if found.valid else f"NOT VALID (over {LAG_LIMIT_MS:.0f} ms)"
    return f"{word}, {found.lag.p99:.1f} / {found.lag.most:.1f} ms"
