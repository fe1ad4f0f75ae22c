"""Fine-tuning: what learns, what stays, and that ways which should be alike are."""

import copy
import io
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from contract.hyperparameters import Hyperparameters
from contract.model_card import Network
from contract.network import Classifier, build_classifier
from contract.strict import ContractError
from training.data import read_data
from training.finetune import finetune
from training.loop import Epoch, Watcher
from training.run import input_spec, make_repeatable
from training.runlog import RunLog
from training.state import State

Folder = Callable[..., Path]
BACKBONE = "shufflenet_v2_x0_5"


class Tuned:
    """A finished run."""

    def __init__(self, classifier: Classifier, before: dict[str, Tensor], log: Path) -> None:
        self.after = classifier.state_dict()
        self.before = before
        self.events = [json.loads(line) for line in log.read_text().splitlines()]

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    def moved(self) -> set[str]:
        return {
            name for name, value in self.after.items() if not torch.equal(value, self.before[name])
        }


Tune = Callable[..., Tuned]


@pytest.fixture
def tune(folder: Folder, tmp_path: Path) -> Tune:
    root = folder(train=6, valid=2)

    def go(
        name: str = "run",
        watchers: Sequence[Watcher] = (),
        *,
        learnt: bool = True,
        **changes: Any,
    ) -> Tuned:
        fields = {
            "method": "finetune", "backbone": BACKBONE, "image_size_px": 32, "hidden_units": 0,
            "epochs": 2, "batch_size": 6, "learning_rate": 0.001,
        }  # fmt: skip
        settings = Hyperparameters(**{**fields, **changes})
        data = read_data(root)
        make_repeatable(settings.seed)
        network = Network(backbone=settings.backbone, hidden_units=settings.hidden_units)
        classifier = build_classifier(network, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if learnt:
            give_statistics(classifier)
        before = copy.deepcopy(classifier.state_dict())
        log = RunLog(tmp_path / name, io.StringIO())
        spec, cache = input_spec(settings), tmp_path / "cache"
        finetune(classifier, data, spec, settings, log, watchers, cache_dir=cache)
        return Tuned(classifier, before, log.path)

    return go


def give_statistics(classifier: Classifier) -> None:
    """Let BatchNorm have seen pictures before, as it has in a network that has learnt."""
    layers = [m for m in classifier.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for momentum in (1.0, 0.1):
        for layer in layers:
            layer.momentum = momentum
        if momentum == 1.0:
            with torch.no_grad():
                classifier.train()(torch.randn(16, 3, 32, 32))


def far(one: Tuned, other: Tuned) -> float:
    """The largest difference of two runs' weights."""
    return max(
        float((one.after[name].double() - value.double()).abs().max())
        for name, value in other.after.items()
    )


def backbone_of(names: set[str]) -> set[str]:
    """The parts of the backbone that names belong to."""
    return {name.split(".")[1] for name in names if name.startswith("backbone.")}


@pytest.mark.parametrize("augmentation", ["none", "crop"])
def test_frozen_stages_do_not_move_by_a_bit(augmentation: str, tune: Tune) -> None:
    run = tune(stages=2, augmentation=augmentation, weight_decay=0.1, ema_decay=0.9)

    assert backbone_of(run.moved()) == {"stage4", "conv5"}
    assert {"head.weight", "head.bias"} <= run.moved()


def test_all_stages_learn_and_batch_statistics_stay(tune: Tune) -> None:
    run = tune()

    assert backbone_of(run.moved()) == {"conv1", "stage2", "stage3", "stage4", "conv5"}
    assert not any("running" in name or "tracked" in name for name in run.moved())


def test_adaptive_batch_statistics_follow_the_batches_where_layers_learn(tune: Tune) -> None:
    run = tune(stages=2, batch_norm="adaptive")

    statistics = {name for name in run.moved() if "running" in name}
    assert backbone_of(statistics) == {"stage4", "conv5"}


def test_a_last_batch_of_one_picture_is_no_special_case(tune: Tune) -> None:
    run = tune(batch_norm="adaptive", batch_size=17)

    assert len(run.told("epoch")) == 2


def test_accumulated_batches_make_the_step_of_one_big_batch(tune: Tune) -> None:
    shared = {"epochs": 1, "mixup": 0.4, "balanced": True, "label_smoothing": 0.1}

    big = tune("big", batch_size=12, **shared)
    parts = tune("parts", batch_size=4, accumulate=3, **shared)
    other = tune("other", batch_size=4, **shared)

    assert far(parts, big) < 1e-5
    assert far(other, big) > 1e-4
    losses = [run.told("epoch")[0]["train_loss"] for run in (big, parts)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_views_kept_as_maps_are_the_ones_that_epochs_would_make(tune: Tune) -> None:
    live = tune("live", stages=1)
    kept = tune("kept", stages=1, views=2)

    assert far(kept, live) < 1e-5
    other = tune("other", stages=1, views=2, seed=8)
    assert far(other, live) > 1e-3


def test_maps_are_computed_once_and_read_again(tune: Tune) -> None:
    first = tune("first", stages=1, augmentation="none")
    second = tune("second", stages=1, augmentation="none")

    assert far(first, second) == 0.0
    made = [[event["doing"] for event in run.told("progress")] for run in (first, second)]
    assert "maps" in made[0]
    assert "maps" not in made[1]


def test_bf16_is_used_where_it_is_asked_for(tune: Tune, tmp_path: Path) -> None:
    run = tune(stages=1, augmentation="none", precision="bf16")

    assert [event["precision"] for event in run.told("speed")] == ["bf16", "bf16"]
    kept = [path.read_bytes()[:200] for path in (tmp_path / "cache" / "maps").iterdir()]
    assert len(kept) == 2
    assert all(b'"dtype": "BF16"' in header for header in kept)
    first, last = (event["train_loss"] for event in run.told("epoch"))
    assert last < first
    assert all(value.dtype != torch.bfloat16 for value in run.after.values())


def test_the_head_is_fitted_before_the_backbone_moves(tune: Tune) -> None:
    run = tune(epochs=1, learning_rate=1e-12)

    (told,) = run.told("start_head")
    assert told["fitted"]
    assert told["fitted_loss"] < told["untrained_loss"]
    assert run.told("epoch")[0]["valid_loss"] < math.log(3)


def test_a_fitted_head_is_not_taken_where_adaptive_statistics_spoil_it(tune: Tune) -> None:
    run = tune(epochs=1, batch_norm="adaptive", learnt=False)

    (told,) = run.told("start_head")
    assert not told["fitted"]
    assert told["fitted_loss"] > told["untrained_loss"]
    assert run.told("epoch")[0]["train_loss"] < 2


def test_a_hidden_layer_is_fitted_too(tune: Tune) -> None:
    run = tune(epochs=1, learning_rate=1e-12, hidden_units=8)

    assert run.told("start_head")[0]["fitted"]
    assert len(run.told("epoch")) == 1


def test_the_average_is_what_is_judged_and_kept(tune: Tune) -> None:
    plain = tune("plain", learning_rate=0.01)
    averaged = tune("averaged", learning_rate=0.01, ema_decay=0.99)

    assert plain.told("epoch")[0]["train_loss"] == averaged.told("epoch")[0]["train_loss"]
    assert plain.told("epoch")[0]["valid_loss"] != averaged.told("epoch")[0]["valid_loss"]


def test_more_stages_than_the_backbone_has_are_refused(tune: Tune) -> None:
    with pytest.raises(ContractError, match=r"stages is 9; shufflenet_v2_x0_5 has 5"):
        tune(stages=9)


class Saver(Watcher):
    """Keeps a copy of the state after every step, or begins with one."""

    def __init__(self, start: dict[str, Any] | None = None) -> None:
        self.start = start
        self.saved: list[dict[str, Any]] = []

    def begin(self, state: State) -> None:
        if self.start is not None:
            state.load_state_dict(self.start)

    def after_step(self, state: State, loss: Tensor) -> None:  # noqa: ARG002 (the hook's shape)
        self.saved.append(copy.deepcopy(state.state_dict()))

    def after_epoch(self, state: State, epoch: Epoch) -> None:  # noqa: ARG002 (the hook's shape)
        self.saved.append(copy.deepcopy(state.state_dict()))


@pytest.mark.parametrize(
    "fields",
    [
        {"augmentation": "crop", "mixup": 0.4, "ema_decay": 0.9, "batch_norm": "adaptive"},
        {"augmentation": "none", "stages": 2, "mixup": 0.4, "schedule": "cosine"},
    ],
    ids=["pictures", "maps"],
)
def test_a_run_taken_up_at_any_step_ends_with_the_same_bits(
    fields: dict[str, Any], tune: Tune
) -> None:
    saver = Saver()
    whole = tune("whole", [saver], batch_size=4, accumulate=2, **fields)

    assert [(saved["epoch"], saved["step"]) for saved in saver.saved] == [
        (1, 1), (1, 2), (1, 3), (2, 0), (2, 1), (2, 2), (2, 3), (3, 0)
    ]  # fmt: skip
    for start in saver.saved[1:6:2]:
        rest = tune("rest", [Saver(start)], batch_size=4, accumulate=2, **fields)
        assert far(rest, whole) == 0.0
