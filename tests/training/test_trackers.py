"""TensorBoard and MLflow, the real ones, get a run's numbers and can never end it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.trackers import TENSORBOARD_FOLDER, URI, TrackedLog, tracked

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URI, raising=False)


def test_tensorboard_reads_the_curves_back(folder: Folder, run: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = run(folder(train=6, valid=2), "--epochs=3")

    events = EventAccumulator(str(result["output"] / TENSORBOARD_FOLDER)).Reload()
    told = [e["valid_loss"] for e in result["events"] if e["event"] == "epoch"]
    read = [(e.step, e.value) for e in events.Scalars("loss/valid")]
    assert read == [(n, pytest.approx(loss, rel=1e-6)) for n, loss in enumerate(told, 1)]
    wanted = result["card"]["validation"]["accuracy"]
    assert events.Scalars("validation/accuracy")[0].value == pytest.approx(wanted)
    assert b"learning_rate" in events.Tensors("settings")[0].tensor_proto.string_val[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # MLflow warns of its own store
def test_mlflow_reads_settings_curves_and_findings_back(
    folder: Folder, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    store = (tmp_path / "mlruns").as_uri()  # making a database takes MLflow four seconds
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv(URI, store)
    monkeypatch.chdir(tmp_path)  # whatever MLflow leaves in the current folder is left there
    data = folder(train=6, valid=2)
    result = run(data, "--epochs=5", "--learning-rate=0.0000001")
    failed = run(data, "--backbone=alexnet9", name="failed")

    client = MlflowClient(tracking_uri=store)
    home = client.get_experiment_by_name("kennel")
    assert home is not None
    later, first = client.search_runs([home.experiment_id])
    assert (first.info.status, later.info.status) == ("FINISHED", "FAILED")
    assert failed["code"] == 2
    assert first.data.params["learning_rate"] == "1e-07"
    curve = client.get_metric_history(first.info.run_id, "loss/valid")
    told = [e["valid_loss"] for e in result["events"] if e["event"] == "epoch"]
    assert [metric.value for metric in sorted(curve, key=lambda m: m.step)] == told
    assert "Raise learning_rate" in first.data.tags["finding.loss_not_decreasing"]


def test_mlflow_makes_nothing_where_no_store_is_named(
    folder: Folder, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folder(train=6, valid=2)
    before = tmp_path / "empty"
    before.mkdir()
    monkeypatch.chdir(before)

    run(data, "--epochs=1", f"--checkpoint-dir={tmp_path / 'c'}", f"--cache-dir={tmp_path / 'd'}")

    assert list(before.iterdir()) == []


def test_a_store_that_cannot_be_reached_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracked(tmp_path, {URI: "nonsense://there"}) as log:
        log.event("start", "", hyperparameters={})

    assert "MLflow is told no more" in capsys.readouterr().err
    assert '"start"' in (tmp_path / "metrics.jsonl").read_text()


def test_a_tracker_that_breaks_is_told_no_more_and_the_run_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        name = "Broken"

        def __getattr__(self, name: str) -> Any:
            raise OSError("the disk is full")

    log = TrackedLog(tmp_path)
    log.add(Broken, "Broken")
    for _ in range(2):
        log.event("start", "", hyperparameters={})
    log.close(whole=True)

    assert capsys.readouterr().err.count("told no more") == 1
    assert (tmp_path / "metrics.jsonl").read_text().count('"start"') == 2
