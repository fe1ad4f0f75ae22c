"""The rules of a search: what is tried next, and what is stopped early."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler

from contract.hyperparameters import Hyperparameters
from contract.search_space import Searched, SearchSpace, is_searched, settings_of

FIRST_AT_RANDOM = 6
"""Trials before the sampler has something to learn from."""
ATTEMPTS = 40
"""How often values that were tried before are thrown away for others."""
DIGITS = 4
"""Of a searched number; what is written down is then exactly what was trained with."""


def pruner(space: SearchSpace, epochs: int) -> optuna.pruners.BasePruner:
    """The rule by which trials are stopped early.

    Hyperband is Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter
    Optimization, 2018; the median rule is that of Golovin et al., Google Vizier, 2017.
    """
    if space.strategy == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max(epochs, 2))
    if space.early_stopping:
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1 + epochs // 3)
    return optuna.pruners.NopPruner()


def sampler(space: SearchSpace, fixed: dict[str, Any], position: int, attempt: int) -> BaseSampler:
    """The rule by which the next values are chosen.

    TPE is Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011. Trials that run
    elsewhere at the same time count as bad ones, so that nobody tries the same.

    What it likes best may have been tried, and nothing about it be left to choose: a closed form
    has no rate. Then chance takes the choices that conditions hang on, and in the end all.
    """
    seed = (space.seed * 1_000_003 + position * ATTEMPTS + attempt) % 2**32
    if fixed:
        return PartialFixedSampler(fixed, RandomSampler(seed))
    if space.strategy == "random" or attempt >= ATTEMPTS // 2:
        return RandomSampler(seed)
    learning = TPESampler(
        seed=seed, n_startup_trials=FIRST_AT_RANDOM, multivariate=True, group=True,
        constant_liar=True,
    )  # fmt: skip
    parents = sorted({name for searched in space.space.values() for name in searched.when})
    if attempt == 0 or not parents:
        return learning
    chance = np.random.default_rng(seed)
    drawn = {name: space.space[name].values[chance.integers(len(space.space[name].values))]
             for name in parents}  # fmt: skip
    return PartialFixedSampler(drawn, learning)


def suggest(trial: optuna.Trial, space: Mapping[str, Searched]) -> dict[str, Any]:
    """Ask for a value of each hyperparameter whose condition holds; conditions come last."""
    values: dict[str, Any] = {}
    for name, searched in sorted(space.items(), key=lambda item: bool(item[1].when)):
        if not is_searched(searched, values):
            continue
        if searched.kind == "choice":
            values[name] = trial.suggest_categorical(name, searched.values)
            continue
        low, high = searched.ends
        log = searched.scale == "log"
        if searched.kind == "int":
            values[name] = trial.suggest_int(name, int(low), int(high), log=log)
        else:
            value = float(f"{trial.suggest_float(name, low, high, log=log):.{DIGITS}g}")
            values[name] = min(max(value, low), high)
    return values


def within(
    space: SearchSpace, point: Mapping[str, Any], base: Hyperparameters
) -> Hyperparameters | None:
    """The settings of a point if it lies in the space."""
    for name, searched in space.space.items():
        if not is_searched(searched, point):
            continue
        low, high = searched.ends
        inside = point[name] in searched.values or (
            searched.kind != "choice" and low <= point[name] <= high
        )
        if not inside:
            return None
    return settings_of(space, point, base)


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna marks what is used here as new; the lock pins its version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
