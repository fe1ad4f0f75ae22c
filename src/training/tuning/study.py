"""The study: which values are tried next, and what became of those before.

It lies in a sqlite file, so that a search that was killed goes on. What is proposed depends on
the seed and on the trials before, and on nothing else: with one worker a search that was killed
tries what it would have tried.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState

from contract.hyperparameters import Hyperparameters
from contract.search_space import SearchSpace, settings_of
from contract.strict import ContractError
from training.tuning.rules import ATTEMPTS, pruner, quiet, sampler, suggest, within

UNCOUNTED = "uncounted"
"""Trials that were killed, or repeat another, or failed for a reason that all shared."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What is to be tried."""

    number: int
    values: dict[str, Any]
    """Of the hyperparameters that are searched here."""
    settings: Hyperparameters | None
    """None where training refuses the values."""
    fault: str = ""
    """Why it does."""


class Study:
    """The trials of one search."""

    def __init__(
        self, storage: BaseStorage, name: str, space: SearchSpace, base: Hyperparameters
    ) -> None:
        """Open or begin a study.

        Args:
            storage: of studies.
            name: same name, same study.
            space: what is searched.
            base: supplies all else; it is the first trial where it lies in the space.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.base = space, base
        self.storage = storage
        epochs = space.space.get("epochs")
        most_epochs = int(epochs.corners[-1]) if epochs else base.epochs
        self.study = optuna.create_study(
            storage=self.storage,
            study_name=name,
            direction="minimize",
            pruner=pruner(space, most_epochs),
            load_if_exists=True,
        )
        self.live: dict[int, optuna.Trial] = {}
        self.uncounted: set[int] = set(self.study.user_attrs.get(UNCOUNTED, ()))

    def give_up_running(self) -> int:
        """Mark what a killed search left running; it will be tried anew.

        Returns:
            How many there were.
        """
        left = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self.forget(*(trial.number for trial in left))
        return len(left)

    def forget(self, *numbers: int) -> None:
        """Mark trials as ones that do not count; those that run, as failed."""
        self.uncounted.update(numbers)
        self.study.set_user_attr(UNCOUNTED, sorted(self.uncounted))
        for number in numbers:
            self.live.pop(number, None)
            self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def counted(self) -> list[FrozenTrial]:
        """Trials that are through: finished, stopped early or failed by themselves."""
        trials = self.study.get_trials(deepcopy=False, states=FINISHED)
        return [trial for trial in trials if trial.number not in self.uncounted]

    def best(self) -> FrozenTrial | None:
        """The finished trial with the lowest loss; of equals the first."""
        done = [trial for trial in self.counted() if trial.state == TrialState.COMPLETE]
        return min(done, key=lambda trial: (trial.value, trial.number)) if done else None

    def ask(self) -> Proposal | None:
        """Propose values that no trial has or had.

        Returns:
            None where there are none left, as far as can be seen.
        """
        tried = [trial.user_attrs.get("settings") for trial in self._taken()]
        position = len(self.counted()) + len(self.live)
        for attempt in range(ATTEMPTS):
            fixed = self._fixed(position)
            if fixed is None:
                return None
            with quiet():
                self.study.sampler = sampler(self.space, fixed, position, attempt)
                trial = self.study.ask()
                values = suggest(trial, self.space.space)
            trial.set_user_attr("values", values)
            self.live[trial.number] = trial
            try:
                settings = settings_of(self.space, values, self.base)
            except ContractError as error:
                return Proposal(number=trial.number, values=values, settings=None, fault=str(error))
            if asdict(settings) not in tried:
                trial.set_user_attr("settings", asdict(settings))
                return Proposal(number=trial.number, values=values, settings=settings)
            self.forget(trial.number)
        return None

    def is_hopeless(self, number: int, epoch: int, loss: float) -> bool:
        """Record a trial's loss after an epoch; whether it is worse than most at that point."""
        trial = self.live[number]
        trial.report(loss, epoch)
        with quiet():
            return trial.should_prune()

    def complete(self, number: int, loss: float, **facts: Any) -> None:
        """A trial made all its epochs."""
        self._tell(number, TrialState.COMPLETE, facts, loss)

    def stop(self, number: int, **facts: Any) -> None:
        """A trial was stopped early."""
        self._tell(number, TrialState.PRUNED, facts)

    def fail(self, number: int, reason: str, **facts: Any) -> None:
        """A trial failed by itself."""
        self._tell(number, TrialState.FAIL, facts | {"reason": reason})

    def _tell(
        self, number: int, state: TrialState, facts: Mapping[str, Any], loss: float | None = None
    ) -> None:
        trial = self.live.pop(number)
        for name, value in facts.items():
            trial.set_user_attr(name, value)
        self.study.tell(trial, loss, state)

    def _taken(self) -> list[FrozenTrial]:
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [*self.counted(), *(trial for trial in running if trial.number in self.live)]

    def _fixed(self, position: int) -> dict[str, Any] | None:
        """Values that need no sampler: of the first trial, and of a grid."""
        space = self.space.space
        if self.space.strategy == "grid":
            seen = [trial.user_attrs.get("values") for trial in self._taken()]
            for values in product(*(searched.values for searched in space.values())):
                point = dict(zip(space, values, strict=True))
                if point not in seen:
                    return point
            return None
        point = asdict(self.base)
        if position == 0 and self.base == within(self.space, point, self.base):
            return {name: point[name] for name in space}
        return {}


@contextmanager
def stored(file: Path) -> Iterator[RDBStorage]:
    """Studies in a sqlite file, which is made where it is missing."""
    storage = RDBStorage(f"sqlite:///{file}", engine_kwargs={"connect_args": {"timeout": 60}})
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
