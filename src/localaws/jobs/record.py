"""What is known of one training job, and how SageMaker tells it."""

import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SPOT_PRICE = 0.3
"""Of spot instances, as a share; what AWS asks changes by type, place and hour."""
ENDED = ("Completed", "Failed", "Stopped")
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds",
    "Interrupted": "Training job interrupted: its spot instances were taken away",
    "MaxWaitTimeExceeded": "Training job waiting time exceeded MaxWaitTimeInSeconds",
    "Stopped": "Training job stopped",
}
_ECHOED = (
    "AlgorithmSpecification", "CheckpointConfig", "DebugHookConfig",
    "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "EnableNetworkIsolation",
    "Environment", "ExperimentConfig", "HyperParameters", "InfraCheckConfig", "InputDataConfig",
    "OutputDataConfig", "ProfilerConfig", "RemoteDebugConfig", "ResourceConfig", "RetryStrategy",
    "RoleArn", "StoppingCondition", "TensorBoardOutputConfig", "TrainingJobName", "VpcConfig",
)  # fmt: skip


@dataclass(slots=True)
class _Transition:
    status: str
    started: float
    message: str
    ended: float | None = None


@dataclass(kw_only=True, slots=True)
class Job:
    """One training job."""

    arn: str
    params: Mapping[str, Any]
    """As CreateTrainingJob was given them."""
    tuning_job_arn: str | None = None
    status: str = "InProgress"
    failure_reason: str | None = None
    model_uri: str | None = None
    created: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)
    training_started: float | None = None
    training_ended: float | None = None
    training_seconds: float = 0.0
    """How long its script ran, however often it was started."""
    metrics: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Last value and its time, by name."""
    history: dict[str, list[float]] = field(default_factory=dict)
    """Every value, by name, in the order of the log."""
    stop_asked: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    _transitions: list[_Transition] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        """Of the job."""
        return str(self.params["TrainingJobName"])

    def enter(self, secondary: str, message: str | None = None) -> None:
        """Go to the next secondary status."""
        with self._lock:
            self._enter(secondary, message)

    def stop(self) -> bool:
        """Ask for its end; False when it is ending already."""
        with self._lock:
            if self.status != "InProgress":
                return False
            self.status = "Stopping"
            self._enter("Stopping", None)
        self.stop_asked.set()
        return True

    def end(self, status: str, secondary: str, reason: str | None = None) -> None:
        """Come to the end."""
        with self._lock:
            self._enter(secondary, reason and f"{_MESSAGES['Failed']}: {reason}"[:1024])
            self.training_ended = time.time()
            self._transitions[-1].ended = self.training_ended
            self.failure_reason = reason[:1024] if reason else None
            self.status = status
        self.ended.set()

    def _enter(self, secondary: str, message: str | None) -> None:
        now = time.time()
        self.changed = now
        if self._transitions:
            self._transitions[-1].ended = now
        text = message or _MESSAGES[secondary]
        self._transitions.append(_Transition(secondary, now, text))
        if secondary == "Training" and self.training_started is None:
            self.training_started = now

    def summary(self) -> dict[str, Any]:
        """What ListTrainingJobs says."""
        about = {
            "TrainingJobName": self.name,
            "TrainingJobArn": self.arn,
            "TrainingJobStatus": self.status,
            "SecondaryStatus": self._secondary(),
            "CreationTime": self.created,
            "LastModifiedTime": self.changed,
            "TrainingEndTime": self.training_ended,
        }
        return {name: value for name, value in about.items() if value is not None}

    def description(self) -> dict[str, Any]:
        """What DescribeTrainingJob says."""
        with self._lock:
            transitions = [
                {
                    "Status": item.status,
                    "StartTime": item.started,
                    "StatusMessage": item.message,
                    **({"EndTime": item.ended} if item.ended else {}),
                }
                for item in self._transitions
            ]
            metrics = [
                {"MetricName": name, "Value": value, "Timestamp": when}
                for name, (value, when) in self.metrics.items()
            ]
        seconds = math.ceil(self.training_seconds) if self.training_seconds else None
        share = SPOT_PRICE if self.params.get("EnableManagedSpotTraining") else 1.0
        billed = math.ceil(share * self.training_seconds) if self.training_seconds else None
        about = {
            **{name: self.params[name] for name in _ECHOED if name in self.params},
            **self.summary(),
            "BillableTimeInSeconds": billed,
            "FailureReason": self.failure_reason,
            "FinalMetricDataList": metrics or None,
            "ModelArtifacts": {"S3ModelArtifacts": self.model_uri} if self.model_uri else None,
            "SecondaryStatusTransitions": transitions,
            "TrainingStartTime": self.training_started,
            "TrainingTimeInSeconds": seconds,
            "TuningJobArn": self.tuning_job_arn,
        }
        return {name: value for name, value in about.items() if value is not None}

    def trained(self, seconds: float) -> None:
        """Count the time that the script ran."""
        with self._lock:
            self.training_seconds += seconds

    def measure(self, name: str, value: float) -> None:
        """Take the newest value of a metric."""
        with self._lock:
            self.metrics[name] = (value, time.time())
            self.history.setdefault(name, []).append(value)

    def _secondary(self) -> str:
        return self._transitions[-1].status if self._transitions else "Starting"
