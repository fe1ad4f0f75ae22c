"""When a training job of a search is ended before its time."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

REDUCTION = 3
"""Hyperband keeps one of so many at each rung."""
PREVIOUS_JOBS = 3
"""The median rule waits for so many that have ended; AWS does not say how many its does."""
_EPOCH_NAMES = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
MOST_RESOURCE = 20_000


def is_below_median(losses: Sequence[float], previous: Sequence[Sequence[float]]) -> bool:
    """Whether a training job is worse than the median of those before, as AWS documents Auto.

    Args:
        losses: what it reported so far, in order; lower is better.
        previous: the same of each job that has ended.

    Returns:
        Whether its newest value is worse than the median of the running averages that the others
        had at the same report (Golovin and others, "Google Vizier", KDD 2017).
    """
    reported = len(losses)
    if reported == 0:
        return False
    averages = [sum(one[:reported]) / reported for one in previous if len(one) >= reported]
    if len(averages) < PREVIOUS_JOBS:
        return False
    return losses[-1] > median(averages)


class Rungs:
    """Hyperband's early stopping, without waiting for whole rungs.

    Successive halving as Li and others describe it in "Hyperband" (JMLR 2018), asynchronous as in
    their "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020): a job that reports
    at a rung goes on when it is among the best third of what was reported there.
    """

    def __init__(self, least: int, most: int) -> None:
        """Rungs between two numbers of reports.

        Args:
            least: no job is stopped before so many.
            most: every job is stopped after so many.
        """
        self._most = most
        steps = max(int(math.log(most / least, REDUCTION) + 1e-9), 0)
        self._rungs = [least * REDUCTION**step for step in range(steps + 1)]
        self._brackets = len(self._rungs)
        self._reported: dict[tuple[int, int], dict[int, float]] = {}

    def must_stop(self, number: int, losses: Sequence[float]) -> bool:
        """Whether a job has come to its end.

        Args:
            number: of the job; it decides its bracket, and so its first rung.
            losses: what it reported so far, in order; lower is better.
        """
        if len(losses) >= self._most:
            return True
        bracket = number % self._brackets
        for rung in self._rungs[bracket:]:
            if len(losses) < rung:
                break
            at_rung = self._reported.setdefault((bracket, rung), {})
            if number in at_rung:
                continue  # it was judged here, and went on
            at_rung[number] = losses[rung - 1]
            better = sum(loss < at_rung[number] for loss in at_rung.values())
            if len(at_rung) >= REDUCTION and better >= math.ceil(len(at_rung) / REDUCTION):
                return True
        return False


def resources_of(config: Mapping[str, Any], static: Mapping[str, str]) -> tuple[int, int] | None:
    """Hyperband's least and most resource; None when the most is neither given nor to be found."""
    given = (config.get("StrategyConfig") or {}).get("HyperbandStrategyConfig") or {}
    most = given.get("MaxResource")
    for name in _EPOCH_NAMES:
        text = str(static.get(name, "")).strip('"')
        if most is None and text.isdigit():
            most = int(text)
    if most is None:
        return None
    return int(given.get("MinResource") or 1), int(most)
