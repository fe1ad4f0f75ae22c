"""One trial of a search is the training that `make train` makes, judged by one number."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.hyperparameters import Hyperparameters
from training.data import read_data
from training.tuning.trial import PrunedError, TrialLog, Trials
from training.tuning.wire import data_from, data_to, without_test

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]

SETTINGS = Hyperparameters(
    backbone="resnet18", image_size_px=32, epochs=2, batch_size=8, hidden_units=0
)


def silent(folder: Path) -> TrialLog:
    return TrialLog(folder, lambda *_: None, lambda *_: None)


@pytest.fixture
def trials(folder: Folder, tmp_path: Path) -> Trials:
    return Trials(without_test(read_data(folder())), "random", tmp_path / "cache")


def test_the_objective_is_the_same_for_any_batch_size(trials: Trials, tmp_path: Path) -> None:
    # With so small a rate no weight moves, so only the way of counting could differ.
    still = dataclasses.replace(SETTINGS, learning_rate=1e-20, weight_decay=0.0)

    losses = {
        trials.run(dataclasses.replace(still, batch_size=size), silent(tmp_path / str(size)))
        for size in (1, 5, 36, 512)
    }

    assert len(losses) == 1


@pytest.mark.parametrize("method", ["head", "finetune"])
def test_a_trial_has_the_loss_that_training_has(
    method: Any, trials: Trials, folder: Folder, run: Run, tmp_path: Path
) -> None:
    wanted = dataclasses.replace(SETTINGS, method=method, hidden_units=8, learning_rate=0.001)
    trials.run(dataclasses.replace(wanted, hidden_units=4), silent(tmp_path / "before"))

    found = trials.run(wanted, silent(tmp_path / "trial"))

    again = run(
        folder("data"), f"--method={method}", "--hidden-units=8", "--epochs=2", "--batch-size=8",
        "--learning-rate=0.001",
    )  # fmt: skip
    epochs = [event for event in again["events"] if event["event"] == "epoch"]
    assert found == epochs[-1]["best_valid_loss"]


def test_a_trial_may_be_stopped_after_any_epoch(trials: Trials, tmp_path: Path) -> None:
    def stop(epoch: int, _loss: float) -> None:
        if epoch == 3:
            raise PrunedError

    log = TrialLog(tmp_path, stop, lambda *_: None)

    with pytest.raises(PrunedError):
        trials.run(dataclasses.replace(SETTINGS, epochs=9), log)
    assert len(log.curve) == 3


def test_a_worker_knows_no_test_picture(folder: Folder) -> None:
    data = read_data(folder())

    known = data_from(data_to(without_test(data)))

    assert {picture.split for picture in known.pictures} == {"train", "valid"}
    assert known.split("train") == data.split("train")
    assert known.classes == data.classes
