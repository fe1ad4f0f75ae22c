"""What is known of one tuning job, and how SageMaker tells it."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localaws.jobs.record import ENDED, Job


@dataclass(kw_only=True, slots=True)
class Trial:
    """One training job of a search."""

    number: int
    """From 1."""

    job: Job
    tuned: Mapping[str, str]
    """The hyperparameters that the search chose."""

    metric_name: str
    sign: float
    """1 to minimise, -1 to maximise."""

    @property
    def losses(self) -> list[float]:
        """Every value of the objective that was logged, in order; lower is better."""
        values = list(self.job.history.get(self.metric_name, ()))
        return [self.sign * value for value in values if not math.isnan(value)]

    @property
    def loss(self) -> float | None:
        """The last one of a job that has ended well or was stopped; None without one."""
        losses = self.losses
        return losses[-1] if losses and self.job.status in ("Completed", "Stopped") else None

    @property
    def objective_status(self) -> str:
        """Succeeded, Pending or Failed."""
        if self.job.status not in ENDED:
            return "Pending"
        return "Failed" if self.loss is None else "Succeeded"


@dataclass(kw_only=True, slots=True)
class Tuning:
    """One tuning job."""

    arn: str
    params: Mapping[str, Any]
    """As CreateHyperParameterTuningJob was given them, with the objective among the static
    hyperparameters."""

    trials: list[Trial] = field(default_factory=list)
    parents: Sequence["Tuning"] = ()
    status: str = "InProgress"
    failure_reason: str | None = None
    created: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)
    ended: float | None = None

    @property
    def name(self) -> str:
        """Of the tuning job."""
        return str(self.params["HyperParameterTuningJobName"])

    @property
    def definition(self) -> Mapping[str, Any]:
        """What its training jobs are made of."""
        found: Mapping[str, Any] = self.params["TrainingJobDefinition"]
        return found

    @property
    def config(self) -> Mapping[str, Any]:
        """How it searches."""
        found: Mapping[str, Any] = self.params["HyperParameterTuningJobConfig"]
        return found

    @property
    def objective(self) -> Mapping[str, Any]:
        """Name and direction of what is to be improved."""
        chosen = self.config.get("HyperParameterTuningJobObjective")
        found: Mapping[str, Any] = chosen or self.definition["TuningObjective"]
        return found

    @property
    def sign(self) -> float:
        """1 to minimise, -1 to maximise."""
        return -1.0 if self.objective["Type"] == "Maximize" else 1.0

    def best(self) -> Trial | None:
        """The training job with the best objective so far."""
        return _best(self.trials)

    def not_improving(self) -> int:
        """How many training jobs have ended since the best one."""
        ended = sorted(
            (one for one in self.trials if one.job.status in ENDED),
            key=lambda one: one.job.training_ended or 0.0,
        )
        best = self.best()
        return len(ended) - 1 - ended.index(best) if best in ended else 0

    def description(self) -> dict[str, Any]:
        """What DescribeHyperParameterTuningJob says."""
        best = self.best()
        overall = None
        if self.params.get("WarmStartConfig", {}).get("WarmStartType") == (
            "IdenticalDataAndAlgorithm"
        ):
            overall = _best([*self.trials, *(one for job in self.parents for one in job.trials)])
        seconds = (self.ended or time.time()) - self.created
        asked = ("HyperParameterTuningJobConfig", "TrainingJobDefinition", "WarmStartConfig")
        about = {
            **self._head(),
            **{name: self.params[name] for name in asked if name in self.params},
            "BestTrainingJob": best and self._child(best),
            "ConsumedResources": {"RuntimeInSeconds": round(seconds)},
            "FailureReason": self.failure_reason,
            "OverallBestTrainingJob": overall and self._child(overall),
            "TuningJobCompletionDetails": {
                "NumberOfTrainingJobsObjectiveNotImproving": self.not_improving()
            },
        }
        return {name: value for name, value in about.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """What ListHyperParameterTuningJobs says."""
        limits = self.config["ResourceLimits"]
        return {**self._head(), "ResourceLimits": limits, "Strategy": self.config["Strategy"]}

    def children(self) -> list[dict[str, Any]]:
        """What ListTrainingJobsForHyperParameterTuningJob says, newest first."""
        return [self._child(trial) for trial in reversed(self.trials)]

    def _head(self) -> dict[str, Any]:
        objectives = [trial.objective_status for trial in self.trials]
        about = {
            "CreationTime": self.created,
            "HyperParameterTuningEndTime": self.ended,
            "HyperParameterTuningJobArn": self.arn,
            "HyperParameterTuningJobName": self.name,
            "HyperParameterTuningJobStatus": self.status,
            "LastModifiedTime": self.changed,
            "ObjectiveStatusCounters": {
                name: objectives.count(name) for name in ("Failed", "Pending", "Succeeded")
            },
            "TrainingJobStatusCounters": self._counters(),
        }
        return {name: value for name, value in about.items() if value is not None}

    def _counters(self) -> dict[str, int]:
        statuses = [trial.job.status for trial in self.trials]
        return {
            "Completed": statuses.count("Completed"),
            "InProgress": statuses.count("InProgress") + statuses.count("Stopping"),
            "NonRetryableError": statuses.count("Failed"),
            "RetryableError": 0,
            "Stopped": statuses.count("Stopped"),
        }

    def _child(self, trial: Trial) -> dict[str, Any]:
        job, loss = trial.job, trial.loss
        metric = {
            "MetricName": trial.metric_name,
            "Type": "Maximize" if trial.sign < 0 else "Minimize",
            "Value": None if loss is None else trial.sign * loss,
        }
        owner = job.tuning_job_arn.rpartition("/")[2] if job.tuning_job_arn else self.name
        about = {
            "CreationTime": job.created,
            "FailureReason": job.failure_reason,
            "FinalHyperParameterTuningJobObjectiveMetric": metric if loss is not None else None,
            "ObjectiveStatus": trial.objective_status,
            "TrainingEndTime": job.training_ended,
            "TrainingJobArn": job.arn,
            "TrainingJobDefinitionName": self.definition.get("DefinitionName"),
            "TrainingJobName": job.name,
            "TrainingJobStatus": job.status,
            "TrainingStartTime": job.training_started,
            "TunedHyperParameters": dict(trial.tuned),
            "TuningJobName": owner if owner != self.name else None,
        }
        return {name: value for name, value in about.items() if value is not None}


def _best(trials: Sequence[Trial]) -> Trial | None:
    known = [(trial.loss, trial.number, trial) for trial in trials]
    found = [(loss, number, trial) for loss, number, trial in known if loss is not None]
    return min(found, key=lambda one: one[:2])[2] if found else None
