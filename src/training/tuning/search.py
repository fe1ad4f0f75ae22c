"""The search: asks the study what to try, lets workers try it, and says what came of it."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from contract.strict import ContractError
from training.runlog import RunLog
from training.tuning.study import Proposal, Study
from training.tuning.words import duration, shown_values
from training.tuning.workers import Message, Worker

SECONDS_OF_SILENCE = 5.0
"""After which a person is told how far a trial is."""
HOPELESS = 3
"""Trials that fail one after the other, none having succeeded, before a search gives up."""


@dataclass(kw_only=True)
class Search:
    """One run of `make tune`."""

    study: Study
    first: Mapping[str, Any]
    """What each worker is told at its start."""
    folder: Path
    """Of the trials' records."""
    trials: int
    """In all, those of earlier runs included."""
    most_workers: int
    threads: int | None
    stoppable: bool
    """Whether trials may be stopped early."""
    log: RunLog
    workers: list[Worker] = field(default_factory=list)
    inbox: SimpleQueue[Message] = field(default_factory=SimpleQueue)
    proposals: dict[int, Proposal] = field(default_factory=dict)
    """Trials that run now."""
    begun: dict[int, float] = field(default_factory=dict)
    """When they began, as `time.monotonic`."""
    told: set[str] = field(default_factory=set)
    """Warnings that were said."""
    finished_here: int = 0
    started: float = field(default_factory=time.monotonic)
    last_told: float = field(default_factory=time.monotonic)
    """When something was said last."""
    exhausted: bool = False
    """Whether the study has nothing left to propose."""

    def run(self) -> None:
        """Try until there are as many trials as wanted.

        Raises:
            ContractError: every trial fails.
        """
        try:
            self._fill()
            while self.proposals:
                worker, message = self.inbox.get()
                if worker in self.workers:
                    self._hear(worker, message)
                self._fill()
        finally:
            for worker in self.workers:
                worker.end()
            self.workers = []

    def _fill(self) -> None:
        """Give every worker that is free, or may be started, a trial."""
        while self._wanted():
            worker = next((w for w in self.workers if w.trial is None), None)
            if worker is None and not self._may_start():
                return
            proposal = self.study.ask()
            if proposal is None:
                self.exhausted = True
                return
            if proposal.settings is None:
                self.study.fail(proposal.number, proposal.fault)
                self._tell_failed(proposal, proposal.fault)
                continue
            if worker is None:
                worker = Worker(self.first, self.threads, self.inbox)
                self.workers.append(worker)
            self._give(worker, proposal)

    def _wanted(self) -> bool:
        done = len(self.study.counted())
        return not self.exhausted and done + len(self.proposals) < self.trials

    def _may_start(self) -> bool:
        """Others wait until the first one's features are in the cache, and take them there."""
        ready = not self.workers or any(worker.told_epoch for worker in self.workers)
        return ready and len(self.workers) < self.most_workers

    def _give(self, worker: Worker, proposal: Proposal) -> None:
        folder = self.folder / str(proposal.number)
        worker.trial = proposal.number
        self.proposals[proposal.number] = proposal
        self.begun[proposal.number] = time.monotonic()
        settings = asdict(proposal.settings) if proposal.settings else {}
        worker.send(
            {
                "trial": proposal.number,
                "settings": settings,
                "folder": str(folder),
                "stoppable": self.stoppable,
            }
        )

    def _hear(self, worker: Worker, message: Mapping[str, Any] | None) -> None:
        if message is None:
            self._dismiss(worker)
            if worker.trial is not None:
                self._failed(worker, worker.why_it_died(), [])
            return
        match message["event"]:
            case "progress":
                self._progress(message)
            case "warning" if message["text"] not in self.told:
                self.told.add(message["text"])
                self.log.warn(message["text"])
            case "epoch":
                self._epoch(worker, message)
            case "done":
                self._done(worker, message)
            case "stopped":
                self._stopped(worker, message)
            case "no_memory":
                self._dismiss(worker)  # what it still holds would be lacking to the next trial
                self._failed(worker, message["reason"], message["curve"])
            case "failed":
                self._failed(worker, message["reason"], message["curve"])

    def _dismiss(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.end()

    def _progress(self, message: Mapping[str, Any]) -> None:
        """Show what takes long; a trial that takes a second has its own line soon."""
        if time.monotonic() - self.last_told >= SECONDS_OF_SILENCE:
            self.last_told = time.monotonic()
            self.log.event("progress", message["text"], **message["facts"])

    def _epoch(self, worker: Worker, message: Mapping[str, Any]) -> None:
        worker.told_epoch = True
        if self.stoppable:
            number, epoch, loss = message["trial"], message["epoch"], message["loss"]
            stop = self.study.is_hopeless(number, epoch, loss)
            worker.send({"go_on": not stop})

    def _done(self, worker: Worker, message: Mapping[str, Any]) -> None:
        proposal, seconds = self._take(worker)
        loss = message["loss"]
        self.study.complete(proposal.number, loss, curve=message["curve"], seconds=seconds)
        self._tell(proposal, f"valid loss {loss:.4f}", state="complete", loss=loss, seconds=seconds)

    def _stopped(self, worker: Worker, message: Mapping[str, Any]) -> None:
        proposal, seconds = self._take(worker)
        curve = message["curve"]
        self.study.stop(proposal.number, curve=curve, seconds=seconds)
        what = f"stopped after epoch {len(curve)} at valid loss {min(curve):.4f}"
        self._tell(proposal, what, state="stopped", loss=min(curve), seconds=seconds)

    def _failed(self, worker: Worker, reason: str, curve: list[float]) -> None:
        proposal, seconds = self._take(worker)
        self.study.fail(proposal.number, reason, curve=curve, seconds=seconds)
        self._tell_failed(proposal, reason)
        self._give_up_if_all_fail(reason)

    def _tell_failed(self, proposal: Proposal, reason: str) -> None:
        self._tell(proposal, f"FAILED: {reason.rstrip('.')}", state="failed", reason=reason)

    def _take(self, worker: Worker) -> tuple[Proposal, float]:
        number = -1 if worker.trial is None else worker.trial
        worker.trial = None
        self.finished_here += 1
        return self.proposals.pop(number), round(time.monotonic() - self.begun.pop(number), 3)

    def _tell(self, proposal: Proposal, what: str, **facts: Any) -> None:
        """The line of a trial that is through."""
        done, best = len(self.study.counted()), self.study.best()
        left = self.seconds_left(done)
        self.last_told = time.monotonic()
        so_far = "" if best is None else f"; best so far {best.value:.4f} (trial {best.number})"
        soon = f"; about {duration(left)} left" if math.isfinite(left) and left else ""
        self.log.event(
            "trial",
            f"trial {proposal.number} ({done} of {self.trials}): {what}; "
            f"{shown_values(proposal.values)}{so_far}{soon}",
            trial=proposal.number,
            done=done,
            trials=self.trials,
            values=proposal.values,
            best_valid_loss=None if best is None else best.value,
            best_trial=None if best is None else best.number,
            **facts,
        )

    def seconds_left(self, done: int) -> float:
        """By how long the trials of this run took."""
        if not self.finished_here:
            return math.inf
        pace = (time.monotonic() - self.started) / self.finished_here
        return pace * max(0, self.trials - done)

    def _give_up_if_all_fail(self, reason: str) -> None:
        """Stop a search that fails whatever it tries; its trials do not count."""
        counted = self.study.counted()
        reasons = {trial.user_attrs.get("reason") for trial in counted}
        if len(counted) >= min(HOPELESS, self.trials) and reasons == {reason}:
            self.study.forget(*(trial.number for trial in counted))
            raise ContractError(f"all of the first {len(counted)} trials failed: {reason}")
