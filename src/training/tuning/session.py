"""One `make tune` from its inputs to what it writes."""

import argparse
from dataclasses import asdict
from pathlib import Path

from optuna.storages import BaseStorage

from contract.hyperparameters import Hyperparameters
from contract.search_space import SearchSpace
from contract.strict import ContractError
from training.data import read_data
from training.runlog import RunLog
from training.tuning.identity import study_name
from training.tuning.outcome import write_outcome
from training.tuning.report import Facts, write_report
from training.tuning.search import Search
from training.tuning.study import Study
from training.tuning.wire import data_to, settings_from, without_test
from training.tuning.words import shown_values
from training.tuning.workers import threads_for, workers_for

REPORT = "report.html"


class Session:
    """The study of these inputs, open."""

    def __init__(
        self,
        options: argparse.Namespace,
        space: SearchSpace,
        base: Hyperparameters,
        storage: BaseStorage,
    ) -> None:
        """Read the pictures and find the study that they belong to.

        Args:
            options: of the command.
            space: what is searched.
            base: supplies all else.
            storage: of studies.

        Raises:
            ContractError: the pictures cannot be used.
        """
        self.options, self.space, self.base = options, space, base
        self.folder: Path = options.folder
        self.log = RunLog(self.folder)
        data = read_data(options.data, options.cache_dir)
        self.data_sha256 = data.sha256
        self.data = without_test(data)  # the test split stays locked until a model is chosen
        self.name = study_name(space, base, data.sha256, options.weights)
        self.study = Study(storage, self.name, space, base)

    def run(self) -> None:
        """Search, and write what was found.

        Raises:
            ContractError: no trial succeeds.
        """
        again = self.study.give_up_running()
        self._tell_start(len(self.study.counted()), again)
        search = self._search()
        try:
            search.run()
        except KeyboardInterrupt:
            self.study.give_up_running()
            self._tell_interrupted()
            raise
        if search.exhausted:
            self.log.event("exhausted", "no values are left that were not tried")
        self._conclude()

    def _search(self) -> Search:
        space, method = self.space, self.base.method
        workers = workers_for(self.options.workers, method, space.trials)
        methods = {method, *(space.space["method"].values if "method" in space.space else ())}
        return Search(
            study=self.study,
            first={
                "data": data_to(self.data),
                "weights": str(self.options.weights),
                "cache_dir": str(self.options.cache_dir),
            },
            folder=self.folder / "trials" / self.name,
            trials=space.trials,
            most_workers=workers,
            threads=threads_for(workers, method),
            # A head takes as long as asking whether to stop it.
            stoppable=space.strategy == "hyperband"
            or (space.early_stopping and "finetune" in methods),
            log=self.log,
        )

    def _tell_start(self, done: int, again: int) -> None:
        space = self.space
        splits = {name: len(self.data.split(name)) for name in ("train", "valid")}
        text = (
            f"searching {', '.join(space.space)} on {splits['train']} pictures, judged on "
            f"{splits['valid']} of validation; {space.trials} trials, {space.strategy}"
        )
        if done or again:
            text += f"; {done} are done already"
        if again:
            text += f", {again} that were running when the search ended are tried anew"
        self.log.event(
            "search", text, study=self.name, trials=space.trials, done=done, again=again,
            strategy=space.strategy, pictures=splits,
        )  # fmt: skip

    def _tell_interrupted(self) -> None:
        """What a person needs who pressed Ctrl-C."""
        done, best = len(self.study.counted()), self.study.best()
        self._report({})
        if best is None:
            found = "no trial is through yet"
        else:
            found = (
                f"best so far {best.value:.4f} (trial {best.number}: "
                f"{shown_values(best.user_attrs['values'])}); `make tune TRIALS={done}` writes it "
                f"into {self.options.hyperparameters}"
            )
        text = (
            f"stopped after {done} of {self.space.trials} trials: {found}. `make tune` goes on "
            "from here."
        )
        self.log.event("interrupted", text, done=done, trials=self.space.trials, message=text)

    def _conclude(self) -> None:
        best = self.study.best()
        if best is None:
            self._report({})
            raise ContractError(
                f"none of {len(self.study.counted())} trials succeeded; {self.folder / REPORT} "
                "says why each did not."
            )
        chosen = settings_from(best.user_attrs["settings"])
        path = self.options.hyperparameters
        changes = write_outcome(path, self.space, chosen)
        self._report(changes)
        said = ", ".join(f"{name} {change}" for name, change in changes.items())
        written = f"{path} now has {said}" if changes else f"{path} has these values already"
        self.log.event(
            "chosen",
            f"best is trial {best.number}: valid loss {best.value:.4f} with "
            f"{shown_values(best.user_attrs['values'])}. {written}; `make train` trains with it. "
            f"{self.folder / REPORT} shows the search.",
            trial=best.number,
            best_valid_loss=best.value,
            hyperparameters=asdict(chosen),
            changes=changes,
            report=str(self.folder / REPORT),
        )

    def _report(self, changes: dict[str, str]) -> None:
        facts = Facts(
            data=str(self.data.root),
            data_sha256=self.data_sha256,
            pictures={name: len(self.data.split(name)) for name in ("train", "valid")},
            classes=len(self.data.classes),
            weights=str(self.options.weights),
            hyperparameters=str(self.options.hyperparameters),
            study=self.name,
            changes=changes,
        )
        write_report(self.folder / REPORT, self.study, facts)
