"""How values and times are said to people."""

from collections.abc import Mapping
from typing import Any


def shown(value: Any) -> str:
    """A value as JSON has it, without needless digits."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shown_values(values: Mapping[str, Any]) -> str:
    """Names and values in one line."""
    return ", ".join(f"{name} {shown(value)}" for name, value in values.items())


def duration(seconds: float) -> str:
    """For example `0.8 s`, `45 s`, `12 min` or `3.5 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
