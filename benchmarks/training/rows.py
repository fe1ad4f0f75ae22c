"""What a row of the table is; `row_<letter>.py` beside this file defines one each, as `ROW`."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from contract.strict import require


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """What every side of every row is given."""

    data: Path
    """train/<label>/*.jpg and valid/<label>/*.jpg, about 570 pixels wide."""

    backbone: str
    """torchvision's function name."""

    weights: Path
    """Of the whole network, as safetensors: the same for all sides."""

    image_size_px: int
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int

    scratch: Path
    """An empty folder for this one measurement; removed after it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one measurement gave."""

    seconds: float
    """What is compared; for a rate, seconds per picture."""

    facts: Mapping[str, float] = field(default_factory=dict)
    """Shown beside it, as medians: `valid_loss`, `epochs`, ..."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One way of doing the same."""

    name: str
    measure: Callable[[Setup], Outcome]
    """Does it once; whatever it prepares outside its own clock does not count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Ways of doing the same, measured in turn."""

    title: str
    note: str
    """What a reader must know to read the figures rightly."""
    sides: tuple[Side, ...]
    against: tuple[str, ...]
    """Sides that the others are compared with: a column of ratios each."""


def find_row(key: str) -> Row:
    """The row of one letter.

    Raises:
        ContractError: there is none.
    """
    keys = sorted(path.stem[4:] for path in Path(__file__).parent.glob("row_*.py"))
    require(key in keys, f"row {key!r} is not one of {', '.join(keys)}; name some with --rows.")
    row: Row = importlib.import_module(f"benchmarks.training.row_{key}").ROW
    return row
