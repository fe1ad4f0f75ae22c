"""Ranges of hyperparameters, each mapped to and from the numbers 0 to 1 of the search."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Scale = Literal["Linear", "Logarithmic", "ReverseLogarithmic"]
AUTO_LOGARITHMIC = 100.0
"""Auto is Logarithmic for positive ranges that span this factor; AWS does not say what its is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Numeric:
    """A continuous or integer hyperparameter."""

    name: str
    low: float
    high: float
    scale: Scale
    whole: bool
    """Whether only integers are values."""

    @property
    def choices(self) -> float:
        """How many different values it has; infinity for a continuous one."""
        if self.low == self.high:
            return 1
        return self.high - self.low + 1 if self.whole else math.inf

    def value_at(self, unit: float) -> str:
        """The value at a place between 0 and 1, as SageMaker writes it."""
        if not self.whole:
            found = self._unwarp(self._between(unit, self.low, self.high))
            return repr(min(max(found, self.low), self.high))
        # Each integer gets the share that half a step to both sides has on this scale.
        found = self._unwarp(self._between(unit, self.low - 0.5, self.high + 0.5))
        return str(int(min(max(round(found), self.low), self.high)))

    def place_of(self, text: str) -> float | None:
        """Where a value lies between 0 and 1; None outside of the range."""
        try:
            value = float(text)
        except ValueError:
            return None
        if not self.low <= value <= self.high:
            return None
        low, high = self._ends()
        return (self._warp(value) - low) / (high - low) if high > low else 0.5

    def _ends(self) -> tuple[float, float]:
        margin = 0.5 if self.whole else 0.0
        return self._warp(self.low - margin), self._warp(self.high + margin)

    def _between(self, unit: float, low: float, high: float) -> float:
        start, end = self._warp(low), self._warp(high)
        return start + unit * (end - start)

    def _warp(self, value: float) -> float:
        if self.scale == "Logarithmic":
            return math.log(value)
        return -math.log1p(-value) if self.scale == "ReverseLogarithmic" else value

    def _unwarp(self, value: float) -> float:
        if self.scale == "Logarithmic":
            return math.exp(value)
        return -math.expm1(-value) if self.scale == "ReverseLogarithmic" else value


@dataclass(frozen=True, kw_only=True, slots=True)
class Categorical:
    """A hyperparameter that is one of a list."""

    name: str
    values: tuple[str, ...]

    @property
    def choices(self) -> float:
        """How many different values it has."""
        return len(self.values)

    def value_at(self, unit: float) -> str:
        """The value at a place between 0 and 1."""
        return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]

    def place_of(self, text: str) -> float | None:
        """Where a value lies between 0 and 1, in the middle of its share; None for another."""
        if text not in self.values:
            return None
        return (self.values.index(text) + 0.5) / len(self.values)


Range = Numeric | Categorical
Space = Sequence[Range]


def space_of(ranges: Mapping[str, Any]) -> list[Range]:
    """The ranges of a checked request."""
    found: list[Range] = []
    for kind in ("IntegerParameterRanges", "ContinuousParameterRanges"):
        whole = kind.startswith("Integer")
        for one in ranges.get(kind) or ():
            low, high = float(one["MinValue"]), float(one["MaxValue"])
            scale = _scale(one.get("ScalingType", "Auto"), low, high)
            found.append(Numeric(name=one["Name"], low=low, high=high, scale=scale, whole=whole))
    for one in ranges.get("CategoricalParameterRanges") or ():
        found.append(Categorical(name=one["Name"], values=tuple(dict.fromkeys(one["Values"]))))
    return found


def values_at(space: Space, units: Sequence[float]) -> dict[str, str]:
    """Hyperparameters at a point of the search."""
    return {one.name: one.value_at(unit) for one, unit in zip(space, units, strict=True)}


def point_of(space: Space, values: Mapping[str, str]) -> list[float] | None:
    """The point of hyperparameters; None when one is missing or outside of its range."""
    places = [one.place_of(values[one.name]) if one.name in values else None for one in space]
    found = [place for place in places if place is not None]
    return found if len(found) == len(places) else None


def combinations(space: Space) -> float:
    """How many different trials there can be."""
    return math.prod(one.choices for one in space)


def _scale(asked: str, low: float, high: float) -> Scale:
    if asked == "Logarithmic":
        return "Logarithmic"
    if asked == "ReverseLogarithmic":
        return "ReverseLogarithmic"
    wide = asked == "Auto" and low > 0 and high / low >= AUTO_LOGARITHMIC
    return "Logarithmic" if wide else "Linear"
