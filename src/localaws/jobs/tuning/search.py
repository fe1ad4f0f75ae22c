"""Runs one tuning job: chooses hyperparameters, starts training jobs, ends the bad ones."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from localaws.core import AwsError
from localaws.jobs.record import ENDED, Job
from localaws.jobs.tuning.ranges import Space, point_of, space_of, values_at
from localaws.jobs.tuning.record import Trial, Tuning
from localaws.jobs.tuning.samplers import (
    TRIES,
    Seen,
    grid_values,
    model_point,
    new_values,
    random_point,
)
from localaws.jobs.tuning.stopping import Rungs, is_below_median, resources_of

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.05
ATTEMPTS = 5
"""So many training jobs may fail before the first one that does not."""
StartJob = Callable[[Mapping[str, Any], str], Job]
StopJob = Callable[[Job], None]


class Search:
    """One tuning job's thread."""

    def __init__(self, tuning: Tuning, start_job: StartJob, stop_job: StopJob) -> None:
        """Prepare it.

        Args:
            tuning: what was asked, and where results are kept.
            start_job: starts a training job, given CreateTrainingJob's parameters and the tuning
                job's ARN.
            stop_job: stops one.
        """
        self._tuning = tuning
        self._start_job = start_job
        self._stop_job = stop_job
        self._space: Space = space_of(tuning.config.get("ParameterRanges") or {})
        seed = tuning.config.get("RandomSeed")
        self._seed = str(secrets.randbits(32) if seed is None else seed)
        self._strategy = tuning.config["Strategy"]
        grid = self._strategy == "Grid"
        self._grid = grid_values(self._space) if grid else []
        limits = tuning.config["ResourceLimits"]
        self._most = len(self._grid) if grid else int(limits["MaxNumberOfTrainingJobs"])
        self._parallel = int(limits["MaxParallelTrainingJobs"])
        static = tuning.definition.get("StaticHyperParameters") or {}
        resources = resources_of(tuning.config, static) if self._strategy == "Hyperband" else None
        self._rungs = Rungs(*resources) if resources else None
        self._auto_stop = tuning.config.get("TrainingJobEarlyStoppingType") == "Auto"
        self._stop_asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name=tuning.name, daemon=True)

    def start(self) -> None:
        """Run it, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Stop it and its training jobs; returns at once."""
        self._tuning.status = "Stopping"
        self._tuning.changed = time.time()
        self._stop_asked.set()

    def end(self) -> None:
        """Start no more training jobs: the local AWS is going down."""
        self._stop_asked.set()

    def close(self) -> None:
        """Wait until it has ended."""
        self._thread.join(10)

    def _run(self) -> None:
        tuning = self._tuning
        try:
            status, reason = self._search()
            self._stop_running()
        except Exception as error:
            log.exception("Tuning job %s", tuning.name)
            self._stop_running()
            status, reason = "Failed", f"InternalServerError: {error!r}"
        tuning.failure_reason = reason
        tuning.ended = tuning.changed = time.time()
        tuning.status = status

    def _search(self) -> tuple[str, str | None]:
        """Start and watch training jobs; the tuning job's status and failure."""
        trials = self._tuning.trials
        while True:
            ended = [trial for trial in trials if trial.job.status in ENDED]
            verdict = self._verdict(ended)
            if verdict:
                return verdict
            while len(trials) < self._most and len(trials) - len(ended) < self._parallel:
                refusal = self._start_next()
                if refusal:
                    return "Failed", refusal
            self._stop_early(ended)
            if self._stop_asked.wait(LOOK_SECONDS):
                return "Stopped", None

    def _verdict(self, ended: list[Trial]) -> tuple[str, str | None] | None:
        """How the tuning job has ended; None while it goes on."""
        tuning = self._tuning
        good = [trial for trial in ended if trial.job.status != "Failed"]
        if not good and len(ended) >= ATTEMPTS:
            return "Failed", (
                f"No training job succeeded after {ATTEMPTS} attempts. Please take a look at the "
                "training job failures to get more details."
            )
        best = tuning.best()
        if good and best is None and len(ended) >= min(ATTEMPTS, self._most):
            return "Failed", (
                f"No objective metrics found after running {len(ended)} training jobs. Please "
                "ensure that the custom algorithm is emitting the objective metric as defined by "
                "the regular expression provided."
            )
        if len(ended) >= self._most:
            return ("Completed", None) if good else (
                "Failed",
                "All training jobs failed. Please take a look at the training jobs failures to "
                "get more details.",
            )  # fmt: skip
        criteria = tuning.config.get("TuningJobCompletionCriteria") or {}
        target = criteria.get("TargetObjectiveMetricValue")
        if target is not None and best and (best.loss or 0.0) <= tuning.sign * target:
            return "Completed", None
        patience = (criteria.get("BestObjectiveNotImproving") or {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        )
        if patience is not None and tuning.not_improving() >= patience:
            return "Completed", None
        seconds = tuning.config["ResourceLimits"].get("MaxRuntimeInSeconds")
        if seconds is not None and time.time() - tuning.created > seconds:
            return "Completed", None
        return None

    def _start_next(self) -> str | None:
        """Start a training job; why it cannot be, else None."""
        tuning = self._tuning
        number = len(tuning.trials) + 1
        tuned = self._choose(number)
        try:
            job = self._start_job(request_of(tuning.params, tuned, number), tuning.arn)
        except AwsError as error:
            return f"ClientError: {error.message}"
        tuning.trials.append(
            Trial(
                number=number,
                job=job,
                tuned=tuned,
                metric_name=tuning.objective["MetricName"],
                sign=tuning.sign,
            )
        )
        tuning.changed = time.time()
        return None

    def _choose(self, number: int) -> dict[str, str]:
        if self._strategy == "Grid":
            return self._grid[number - 1]
        taken = [dict(trial.tuned) for trial in self._tuning.trials]
        tries = [random_point(self._space, f"{self._seed}/{n}", number) for n in range(TRIES)]
        if self._strategy == "Bayesian":
            tries.insert(0, model_point(self._space, self._seen(), f"{self._seed}/0", number))
        found = new_values(self._space, tries, taken)
        return found or values_at(self._space, tries[0])

    def _seen(self) -> list[Seen]:
        """Every trial of this search and of those that it was started from."""
        parents = [trial for parent in self._tuning.parents for trial in parent.trials]
        found = []
        for trial in (*parents, *self._tuning.trials):
            values = {**trial.job.params.get("HyperParameters", {}), **trial.tuned}
            point = point_of(self._space, values)
            if point is not None:
                found.append(Seen(point=point, loss=trial.loss))
        return found

    def _stop_early(self, ended: list[Trial]) -> None:
        previous = [trial.losses for trial in ended if trial.loss is not None]
        for trial in self._tuning.trials:
            if trial.job.status != "InProgress":
                continue
            losses = trial.losses
            if (self._rungs and self._rungs.must_stop(trial.number, losses)) or (
                self._auto_stop and is_below_median(losses, previous)
            ):
                self._stop_job(trial.job)

    def _stop_running(self) -> None:
        running = [trial.job for trial in self._tuning.trials if trial.job.status not in ENDED]
        for job in running:
            self._stop_job(job)
        for job in running:
            job.ended.wait()


def request_of(params: Mapping[str, Any], tuned: Mapping[str, str], number: int) -> dict[str, Any]:
    """CreateTrainingJob's parameters for one training job of a search.

    Args:
        params: of CreateHyperParameterTuningJob.
        tuned: hyperparameters that the search chose.
        number: of the training job, from 1.
    """
    definition = dict(params["TrainingJobDefinition"])
    static = definition.pop("StaticHyperParameters", None) or {}
    for member in ("DefinitionName", "TuningObjective"):
        definition.pop(member, None)
    tags = {"Tags": params["Tags"]} if params.get("Tags") else {}
    name = params["HyperParameterTuningJobName"]
    return {
        **definition,
        **tags,
        "TrainingJobName": f"{name}-{number:03d}-{secrets.token_hex(4)}",
        "HyperParameters": {**static, **tuned},
    }
