"""Copies of a run's numbers for TensorBoard and MLflow, where they are installed.

TensorBoard's events go below the run's folder, whenever the library is there. MLflow is told when
it is there and MLFLOW_TRACKING_URI names a store: without one it would make a database in the
current folder. Neither can end a run: the first fault is a warning, and the copy ends there.
"""

import importlib.util
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from training.runlog import RunLog

TENSORBOARD_FOLDER = "tensorboard"
URI = "MLFLOW_TRACKING_URI"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
USUAL_EXPERIMENT = "kennel"
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""A server that does not answer must not hold a run up for MLflow's usual half hour."""
CURVES = {
    "train_loss": "loss/train",
    "valid_loss": "loss/valid",
    "valid_accuracy": "accuracy/valid",
    "best_valid_loss": "loss/best_valid",
}


class Tracker(Protocol):
    """Takes a run's numbers."""

    name: str

    def settings(self, values: Mapping[str, Any]) -> None:
        """The hyperparameters."""

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """Numbers of an epoch, or of the end."""

    def note(self, key: str, text: str) -> None:
        """A sentence."""

    def close(self, *, whole: bool) -> None:
        """The run is over; ``whole`` says whether it has a model."""


class TensorBoard:
    """Writes an events file without TensorFlow and without torch's writer, which loads slowly."""

    name = "TensorBoard"

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.event, self.summary = event_pb2.Event, summary_pb2
        self.tensor, self.text_type = tensor_pb2.TensorProto, types_pb2.DT_STRING
        self.writer = EventFileWriter(str(folder))

    def settings(self, values: Mapping[str, Any]) -> None:
        """As a text."""
        self.note("settings", "\n".join(f"    {key}: {value}" for key, value in values.items()))

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """As scalars."""
        made = [self.summary.Summary.Value(tag=k, simple_value=v) for k, v in values.items()]
        self._add(made, step)

    def note(self, key: str, text: str) -> None:
        """As a text."""
        plugin = self.summary.SummaryMetadata.PluginData(plugin_name="text")
        tensor = self.tensor(dtype=self.text_type, string_val=[text.encode()])
        metadata = self.summary.SummaryMetadata(plugin_data=plugin)
        self._add([self.summary.Summary.Value(tag=key, tensor=tensor, metadata=metadata)], 0)

    def close(self, *, whole: bool) -> None:  # noqa: ARG002  # it has no such notion
        """Write what is left."""
        self.writer.close()

    def _add(self, values: list[Any], step: int) -> None:
        summary = self.summary.Summary(value=values)
        self.writer.add_event(self.event(wall_time=time.time(), step=step, summary=summary))


class MLflow:
    """Makes one run in a tracking store."""

    name = "MLflow"

    def __init__(self, uri: str, experiment: str) -> None:
        for key, value in PATIENCE.items():
            os.environ.setdefault(key, value)
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=uri)
        found = self.client.get_experiment_by_name(experiment)
        home = found.experiment_id if found else self.client.create_experiment(experiment)
        self.run_id = self.client.create_run(home).info.run_id

    def settings(self, values: Mapping[str, Any]) -> None:
        """As parameters."""
        for key, value in values.items():
            self.client.log_param(self.run_id, key, value)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        """As metrics."""
        for key, value in values.items():
            self.client.log_metric(self.run_id, key, value, step=step)

    def note(self, key: str, text: str) -> None:
        """As a tag."""
        self.client.set_tag(self.run_id, key.replace("/", "."), text)

    def close(self, *, whole: bool) -> None:
        """Say how it ended."""
        self.client.set_terminated(self.run_id, "FINISHED" if whole else "FAILED")


class TrackedLog(RunLog):
    """Tells trackers what it records."""

    def __init__(self, folder: Path, stream: TextIO | None = None) -> None:
        super().__init__(folder, stream)
        self.trackers: list[Tracker] = []

    def add(self, make: Callable[[], Tracker], name: str) -> None:
        """Begin to tell a tracker."""
        with self._harmless(name, None):
            self.trackers.append(make())

    def close(self, *, whole: bool) -> None:
        """The run is over."""
        for tracker in tuple(self.trackers):
            with self._harmless(tracker.name, tracker):
                tracker.close(whole=whole)

    def _record(self, event: str, facts: dict[str, Any]) -> str:
        line = super()._record(event, facts)
        for tracker in tuple(self.trackers):
            with self._harmless(tracker.name, tracker):
                tell(tracker, event, facts)
        return line

    @contextmanager
    def _harmless(self, name: str, tracker: Tracker | None) -> Iterator[None]:
        try:
            with warnings.catch_warnings(action="ignore"):  # of libraries about their own parts
                yield
        except Exception as error:  # whatever it is, the run is worth more than its copy
            if tracker is not None:
                self.trackers.remove(tracker)
            first = (str(error).splitlines() or [""])[0]
            self.warn(
                f"{name} is told no more ({type(error).__name__}: {first}); training goes on."
            )


def tell(tracker: Tracker, event: str, facts: Mapping[str, Any]) -> None:
    """What a tracker is told of an event."""
    if event == "start":
        tracker.settings(facts["hyperparameters"])
    elif event == "epoch":
        tracker.numbers({CURVES[k]: facts[k] for k in CURVES if k in facts}, facts["epoch"])
    elif event == "finding":
        tracker.note(f"finding/{facts['rule']}", f"{facts['evidence']} {facts['remedy']}")
    elif event == "end":
        ends = {
            f"{split}/{key}": facts[split][key]
            for split in ("validation", "test")
            if facts[split] is not None
            for key in ("accuracy", "loss")
        }
        tracker.numbers(ends, facts["best_epoch"])
        tracker.note("end", json.dumps({"model_dir": facts["model_dir"]}))


@contextmanager
def tracked(folder: Path, env: Mapping[str, str]) -> Iterator[RunLog]:
    """A log that also tells the trackers there are.

    Args:
        folder: of the run.
        env: may name MLflow's store and experiment.
    """
    log = TrackedLog(folder)
    if importlib.util.find_spec("tensorboard") is not None:
        log.add(lambda: TensorBoard(folder / TENSORBOARD_FOLDER), TensorBoard.name)
    if env.get(URI) and importlib.util.find_spec("mlflow") is not None:
        experiment = env.get(EXPERIMENT) or USUAL_EXPERIMENT
        log.add(lambda: MLflow(env[URI], experiment), MLflow.name)
    whole = False
    try:
        yield log
        whole = True
    finally:
        log.close(whole=whole)
