"""Which hyperparameters the next training job of a search gets."""

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from localaws.jobs.tuning.ranges import Categorical, Space, values_at

TRIES = 200
"""For values that no training job had; then they are looked for one by one."""
STARTING_TRIALS = 5
"""Random ones, before a model is made of what was seen."""
GOOD_SHARE = 0.25
CANDIDATES = 64
MOST_WIDTH = 0.5
"""Of a bump, as a share of the range."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One training job, as the search looks at it."""

    point: Sequence[float]
    """Its hyperparameters, each between 0 and 1."""

    loss: float | None
    """Lower is better. None while it runs, and when it failed."""


def grid_values(space: Space) -> list[dict[str, str]]:
    """Every combination of categorical hyperparameters; the last one changes fastest."""
    lists = [one.values if isinstance(one, Categorical) else () for one in space]
    names = [one.name for one in space]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*lists)]


def random_point(space: Space, seed: str, number: int) -> list[float]:
    """The place of a search's trial; it depends on the seed and the number only."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - a search, and no secret
    return [chance.random() for _ in space]


def model_point(space: Space, seen: Sequence[Seen], seed: str, number: int) -> list[float]:
    """The most promising place after what was seen, by a tree-structured Parzen estimator.

    The method is that of Bergstra, Bardenet, Bengio and Kegl, "Algorithms for Hyper-Parameter
    Optimization" (NeurIPS 2011): one density of the good trials, one of the others, and of some
    draws of the first the one with the best ratio. Trials that still run count as bad ones,
    so that those beside them look elsewhere (the "constant liar" of Ginsbourger, Le Riche and
    Carraro, 2010).

    Args:
        space: the hyperparameters.
        seen: every trial so far, running ones too.
        seed: of the search.
        number: of the trial that is made.
    """
    known = sorted((one for one in seen if one.loss is not None), key=lambda one: one.loss or 0.0)
    if len(known) < STARTING_TRIALS:
        return random_point(space, seed, number)
    chance = random.Random(f"{seed}/model/{number}")  # noqa: S311 - a search, and no secret
    count = min(math.ceil(GOOD_SHARE * len(known)), 25)
    good = [one.point for one in known[:count]]
    bad = [one.point for one in (*known[count:], *(one for one in seen if one.loss is None))]
    point = []
    for axis, dimension in enumerate(space):
        choices = len(dimension.values) if isinstance(dimension, Categorical) else None
        of_good = _Density([place[axis] for place in good], choices)
        of_bad = _Density([place[axis] for place in bad], choices)
        draws = [of_good.draw(chance) for _ in range(CANDIDATES)]
        point.append(max(draws, key=lambda place: of_good.at(place) / of_bad.at(place)))
    return point


def new_values(
    space: Space, points: Sequence[list[float]], taken: Sequence[dict[str, str]]
) -> dict[str, str] | None:
    """The first point whose values nobody had; None if all were taken."""
    for point in points:
        values = values_at(space, point)
        if values not in taken:
            return values
    return None


class _Density:
    """Of one hyperparameter between 0 and 1: a bump at each place that was seen, and a floor."""

    def __init__(self, places: Sequence[float], choices: int | None) -> None:
        self._choices = choices
        self._places = sorted(places)
        self._counts: list[float] = []
        if choices is not None:
            self._counts = [1.0] * choices
            for place in places:
                self._counts[self._slot(place)] += 1.0
            return
        # As wide as the way to the farther neighbour, within limits.
        least = 1.0 / min(100, 1 + len(self._places))
        gaps = [after - here for here, after in itertools.pairwise(self._places)]
        self._widths = [
            min(max(*near, least / 2), MOST_WIDTH) if near else MOST_WIDTH
            for near in (gaps[max(n - 1, 0) : n + 1] for n in range(len(self._places)))
        ]

    def draw(self, chance: random.Random) -> float:
        """A place, by this density."""
        if self._choices is not None:
            slot = chance.choices(range(self._choices), self._counts)[0]
            return (slot + 0.5) / self._choices
        number = chance.randrange(len(self._places) + 1)
        if number == len(self._places):
            return chance.random()
        while True:
            place = chance.gauss(self._places[number], self._widths[number])
            if 0.0 <= place <= 1.0:
                return place

    def at(self, place: float) -> float:
        """The density at a place."""
        if self._choices is not None:
            return self._counts[self._slot(place)] / sum(self._counts)
        bumps = sum(
            _bell((place - here) / width) / (width * _mass_inside(here, width))
            for here, width in zip(self._places, self._widths, strict=True)
        )
        return (1.0 + bumps) / (1 + len(self._places))

    def _slot(self, place: float) -> int:
        choices = self._choices or 1
        return min(int(place * choices), choices - 1)


def _bell(distance: float) -> float:
    return math.exp(-0.5 * distance * distance) / math.sqrt(2 * math.pi)


def _mass_inside(middle: float, width: float) -> float:
    """How much of a bump lies between 0 and 1."""
    root = width * math.sqrt(2)
    return 0.5 * (math.erf((1 - middle) / root) - math.erf(-middle / root))
