"""config/search_space.json: what both tuners search, the local one and SageMaker's."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from contract.hyperparameters import Hyperparameters
from contract.strict import ContractError, parse, read_json, require

NOT_SEARCHED = {
    "seed": "a search over seeds finds luck",
}
MOST_CHOICES = 30
"""Values of one hyperparameter, and hyperparameters of one search: SageMaker's limits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Searched:
    """The values that one hyperparameter may take in a search."""

    kind: Literal["float", "int", "choice"]
    """float and int lie between low and high, both included; choice is one of values."""

    low: float | None = None
    """Of a float or an int."""

    high: float | None = None
    """Of a float or an int."""

    scale: Literal["linear", "log"] = "linear"
    """Of a float or an int; log tries as many values from 0.001 to 0.01 as from 0.01 to 0.1."""

    values: tuple[Any, ...] = ()
    """Of a choice."""

    when: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """It is searched only where these choices have one of these values."""

    otherwise: Any = None
    """What it is elsewhere; null is what config/hyperparameters.json says."""

    def __post_init__(self) -> None:
        if self.kind == "choice":
            require(self.low is None and self.high is None, "a choice has values, no low and high.")
            require(self.scale == "linear", "a choice has no scale.")
            texts = [str(value) for value in self.values]
            require(
                2 <= len(texts) <= MOST_CHOICES and len(set(texts)) == len(texts),
                f"values must list 2 to {MOST_CHOICES} different values; a single one belongs "
                "into config/hyperparameters.json.",
            )
        else:
            require(not self.values, f"a range of kind {self.kind} has low and high, no values.")
            low = math.nan if self.low is None else self.low
            high = math.nan if self.high is None else self.high
            require(
                -math.inf < low < high < math.inf,
                f"kind {self.kind} wants low and high, low below high; they are {self.low} and "
                f"{self.high}.",
            )
            require(
                self.scale == "linear" or low > 0,
                f"low is {low}; on a log scale it must be above 0.",
            )
            require(
                self.kind == "float" or low % 1 == high % 1 == 0,
                "low and high of kind int must be whole numbers.",
            )

    @property
    def ends(self) -> tuple[float, float]:
        """Low and high of a float or an int; whole numbers for an int."""
        low, high = self.low or 0.0, self.high or 0.0
        return (int(low), int(high)) if self.kind == "int" else (low, high)

    @property
    def corners(self) -> tuple[Any, ...]:
        """The values that are checked before a search: all choices, or low and high."""
        return self.values if self.kind == "choice" else self.ends


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace:
    """One search."""

    strategy: Literal["bayesian", "random", "hyperband", "grid"] = "bayesian"
    """bayesian learns from the trials before; hyperband gives most epochs to the best few."""

    trials: int = 20
    """Trainings in all."""

    parallel_trials: int = 2
    """Trainings at once on SageMaker; `make tune` fits itself to the machine."""

    early_stopping: bool = True
    """Whether trials that are worse than most others at the same epoch are stopped."""

    minimize: Literal["best_valid_loss"] = "best_valid_loss"
    """The objective: mean loss per validation picture of the best epoch so far, in nats."""

    seed: int = 7
    """Of the search itself, not of its trainings."""

    space: dict[str, Searched]
    """Hyperparameters by name; all others are as in config/hyperparameters.json."""

    def __post_init__(self) -> None:
        require(1 <= self.trials <= 750, "trials must be 1 to 750.")
        require(1 <= self.parallel_trials <= 100, "parallel_trials must be 1 to 100.")
        require(
            self.parallel_trials <= self.trials,
            f"parallel_trials is {self.parallel_trials}; it must not exceed trials, {self.trials}.",
        )
        require(0 <= self.seed < 2**31, "seed must be 0 to 2147483647.")
        require(
            1 <= len(self.space) <= MOST_CHOICES,
            f"space must name 1 to {MOST_CHOICES} hyperparameters.",
        )
        for name, searched in self.space.items():
            _check_kind(name, searched)
            _check_condition(name, searched, self.space)
        if self.strategy == "grid":
            _check_grid(self)


def read_search_space(path: Path, base: Hyperparameters, trials: int | None = None) -> SearchSpace:
    """Read and check config/search_space.json.

    Args:
        path: the file.
        base: supplies what the space does not name.
        trials: takes the place of what the file says.

    Raises:
        ContractError: the file is missing or misspelt, or holds values that training refuses.
    """
    made_by = "SEARCH_SPACE=file names another, `git restore config`"
    space = parse(SearchSpace, read_json(path, made_by), path.name)
    try:
        if trials is not None:
            parallel = min(space.parallel_trials, max(1, trials))
            space = dataclasses.replace(space, trials=trials, parallel_trials=parallel)
        check_values(space, base)
    except ContractError as error:
        raise ContractError(f"{path.name}: {error}") from None
    return space


def settings_of(
    space: SearchSpace, values: Mapping[str, Any], base: Hyperparameters
) -> Hyperparameters:
    """What a trial trains with.

    Args:
        space: names the hyperparameters.
        values: of those that are searched here.
        base: supplies all others.

    Raises:
        ContractError: training refuses these values.
    """
    merged = dataclasses.asdict(base)
    for name, searched in space.space.items():
        if is_searched(searched, values):
            merged[name] = values[name]
        elif searched.otherwise is not None:
            merged[name] = searched.otherwise
    return parse(Hyperparameters, merged, "hyperparameters")


def is_searched(searched: Searched, values: Mapping[str, Any]) -> bool:
    """Whether a hyperparameter's condition holds."""
    return all(values.get(name) in allowed for name, allowed in searched.when.items())


def check_values(space: SearchSpace, base: Hyperparameters) -> None:
    """Refuse now what training would refuse in the middle of a search.

    Every value that a choice has and both ends of every range are tried, alone and with those of
    each other hyperparameter: what training refuses is one value, or two together.

    Raises:
        ContractError: training refuses a value or two.
    """
    for values in _points(space):
        settings_of(space, values, base)


def _points(space: SearchSpace) -> Iterator[dict[str, Any]]:
    first = {name: searched.corners[0] for name, searched in space.space.items()}
    yield first
    for size in (1, 2):
        for names in combinations(space.space, size):
            for corner in product(*(space.space[name].corners for name in names)):
                yield first | dict(zip(names, corner, strict=True))


def _check_kind(name: str, searched: Searched) -> None:
    hints = get_type_hints(Hyperparameters)
    require(
        name in hints,
        f"space names {name!r}, which is no hyperparameter; there are {', '.join(hints)}.",
    )
    require(name not in NOT_SEARCHED, f"space names {name}: {NOT_SEARCHED.get(name)}. Take it out.")
    kind = hints[name]
    if searched.kind == "choice":
        return
    wanted = " or ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else kind.__name__
    require(
        kind in (int, float),
        f"space.{name} is of kind {searched.kind}; it is {wanted}: make it a choice.",
    )
    require(
        kind is float or searched.kind == "int",
        f"space.{name} is of kind float; it is a whole number: make it an int.",
    )


def _check_condition(name: str, searched: Searched, space: Mapping[str, Searched]) -> None:
    require(
        bool(searched.when) or searched.otherwise is None,
        f"space.{name} has otherwise without when; say when it is searched.",
    )
    parents = {n: s.values for n, s in space.items() if s.kind == "choice" and not s.when}
    for parent, allowed in searched.when.items():
        require(
            parent in parents,
            f"space.{name}.when names {parent!r}; it must be a choice of this space that has no "
            "condition itself.",
        )
        values = parents[parent]
        require(
            bool(allowed) and set(allowed) <= set(values),
            f"space.{name}.when.{parent} must list some of {', '.join(map(str, values))}.",
        )


def _check_grid(space: SearchSpace) -> None:
    ranges = [name for name, searched in space.space.items() if searched.kind != "choice"]
    require(
        not ranges,
        f"strategy grid tries every combination of choices; {', '.join(ranges)} must be a choice.",
    )
    conditions = [name for name, searched in space.space.items() if searched.when]
    require(not conditions, "strategy grid knows no `when`; search with another strategy.")
    size = math.prod(len(searched.values) for searched in space.space.values())
    require(
        space.trials == size,
        f"trials is {space.trials}; strategy grid has {size} combinations: set trials to {size}.",
    )
