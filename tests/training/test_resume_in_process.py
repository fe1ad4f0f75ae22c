"""A run that is taken up at any step ends with the same bits as one that was never interrupted."""

import copy
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from contract.hyperparameters import Hyperparameters
from contract.model_card import Metrics
from training.answers import one_thread
from training.chance import shuffled
from training.loop import Batches, Epoch, Lesson, Watcher, fit, measure
from training.runlog import RunLog
from training.state import State, new_state

PICTURES = 23
SETTINGS = Hyperparameters(
    method="finetune",
    epochs=3,
    batch_size=3,
    accumulate=2,
    learning_rate=0.05,
    batch_norm="adaptive",
    ema_decay=0.9,
    warmup_epochs=0.5,
    schedule="cosine",
    clip_norm=0.5,
    label_smoothing=0.1,
)
STEPS = 4  # of 6 pictures, the last of 5


class Saver(Watcher):
    """Keeps a copy of the state after every step and every epoch."""

    def __init__(self) -> None:
        self.saved: list[dict[str, Any]] = []

    def after_step(self, state: State, loss: Tensor) -> None:  # noqa: ARG002 (the hook's shape)
        self.saved.append(copy.deepcopy(state.state_dict()))

    def after_epoch(self, state: State, epoch: Epoch) -> None:  # noqa: ARG002 (the hook's shape)
        self.saved.append(copy.deepcopy(state.state_dict()))


class Loader(Watcher):
    """Begins where an earlier state was."""

    def __init__(self, saved: dict[str, Any]) -> None:
        self.saved = saved

    def begin(self, state: State) -> None:
        state.load_state_dict(self.saved)


def bits(model: nn.Module) -> list[bytes]:
    return [value.numpy().tobytes() for value in model.state_dict().values()]


def train(folder: Path, watcher: Watcher) -> tuple[int, list[bytes], str]:
    torch.manual_seed(1)
    inputs, labels = torch.randn(PICTURES, 5), torch.randint(0, 3, (PICTURES,))
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3))

    def batches_of(epoch: int, first: int) -> Batches:
        order = shuffled(PICTURES, SETTINGS.seed, epoch)
        for start in range(first * 3, PICTURES, 3):
            yield inputs[order[start : start + 3]], labels[order[start : start + 3]]

    def validate() -> Metrics:
        with torch.inference_mode():
            return measure(model(inputs), labels)

    lesson = Lesson(pictures=PICTURES, batches_of=batches_of, validate=validate)
    log = RunLog(folder, io.StringIO())
    with one_thread():  # the sums of a batch depend on how many there are
        best = fit(model, new_state(model, SETTINGS), lesson, SETTINGS, log, [watcher])
    last = log.path.read_text().splitlines()[-1] if log.path.exists() else ""
    return best, bits(model), last.rpartition(', "seconds"')[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[dict[str, Any]]]:
    saver = Saver()
    return train(tmp_path_factory.mktemp("whole"), saver), saver.saved


def test_a_state_is_kept_after_every_step_and_epoch(whole: Any) -> None:
    positions = [(saved["epoch"], saved["step"]) for saved in whole[1]]

    steps = [[(epoch, step) for step in range(1, STEPS + 1)] for epoch in (1, 2, 3)]
    assert positions == [*steps[0], (2, 0), *steps[1], (3, 0), *steps[2], (4, 0)]


@pytest.mark.parametrize("number", range(15))
def test_a_run_taken_up_at_any_step_ends_with_the_same_bits(
    number: int, whole: Any, tmp_path: Path
) -> None:
    wanted, states = whole

    found = train(tmp_path, Loader(states[number]))

    assert found[:2] == wanted[:2]
    assert found[2] in (wanted[2], "")  # a run that was over has no epoch to tell
