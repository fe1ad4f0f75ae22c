"""The loop, its measure and its temperature."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from contract.hyperparameters import Hyperparameters
from contract.model_card import Metrics
from contract.strict import ContractError
from training.chance import chance, shuffled
from training.loop import (
    Batches,
    Lesson,
    Watcher,
    fit,
    measure,
    set_training,
)
from training.runlog import RunLog
from training.solvers import fold
from training.state import new_state


def settings(**changes: Any) -> Hyperparameters:
    return Hyperparameters(**{"method": "finetune", "epochs": 4, **changes})


def run(
    model: nn.Module,
    batches_of: Callable[[int, int], Batches],
    validate: Callable[[], Metrics],
    folder: Path,
    pictures: int = 2,
    watchers: Sequence[Watcher] = (),
    **changes: Any,
) -> int:
    wanted = settings(**changes)
    lesson = Lesson(pictures=pictures, batches_of=batches_of, validate=validate)
    log = RunLog(folder, io.StringIO())
    return fit(model, new_state(model, wanted), lesson, wanted, log, watchers)


def one_batch(_epoch: int, _first: int) -> Batches:
    yield torch.eye(2), torch.tensor([0, 1])


def test_the_best_epoch_is_kept_though_later_ones_are_made(tmp_path: Path) -> None:
    model, seen = nn.Linear(2, 2), []
    losses = iter([3.0, 1.0, 2.0, 1.5])

    def validate() -> Metrics:
        seen.append(model.weight.detach().clone())
        return Metrics(accuracy=0.5, loss=next(losses), pictures=2)

    best = run(model, one_batch, validate, tmp_path)

    assert best == 2
    assert len(seen) == 4
    assert torch.equal(model.weight, seen[1])
    assert not torch.equal(model.weight, seen[3])


def test_a_diverging_run_says_to_lower_the_learning_rate(tmp_path: Path) -> None:
    def broken(_epoch: int, _first: int) -> Batches:
        yield torch.full((2, 2), torch.nan), torch.tensor([0, 1])

    def validate() -> Metrics:
        return Metrics(accuracy=0.5, loss=1.0, pictures=2)

    with pytest.raises(ContractError, match="Lower learning_rate"):
        run(nn.Linear(2, 2), broken, validate, tmp_path)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_told_training_loss_is_a_mean_per_picture(batch_size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    inputs, labels = torch.randn(20, 2), torch.randint(0, 2, (20,))
    torch.manual_seed(1)
    model = nn.Linear(2, 2)
    wanted = nn.functional.cross_entropy(model(inputs), labels).item()

    def batches(_epoch: int, _first: int) -> Batches:
        yield from zip(inputs.split(batch_size), labels.split(batch_size), strict=True)  # type: ignore[no-untyped-call]

    def validate() -> Metrics:
        return measure(model(inputs), labels)

    changes: dict[str, Any] = {"epochs": 1, "learning_rate": 1e-12, "batch_size": batch_size}
    run(model, batches, validate, tmp_path, pictures=20, **changes)

    told = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert told["train_loss"] == pytest.approx(wanted, abs=1e-6)
    assert told["valid_loss"] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("batch_norm", "follows"), [("frozen", False), ("adaptive", True)])
def test_batch_norm_follows_the_batches_only_if_it_is_adaptive(
    batch_norm: str, follows: bool
) -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout())

    set_training(model, settings(batch_norm=batch_norm))

    assert model[0].training is follows
    assert model[1].training


def test_frozen_parts_stay_in_eval_mode() -> None:
    early = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3))
    model = nn.Sequential(early, nn.Dropout())

    set_training(model, settings(batch_norm="adaptive"), frozen=[early])

    assert [layer.training for layer in model.modules()] == [True, False, False, False, True]


@pytest.mark.parametrize("hidden", [False, True])
def test_a_folded_head_answers_raw_features_as_it_did_standardised_ones(hidden: bool) -> None:
    torch.manual_seed(0)
    head = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3)) if hidden else nn.Linear(6, 3)
    features = 5 + 3 * torch.randn(50, 6)
    mean, std = features.mean(0), features.std(0)
    wanted = head((features - mean) / std)

    fold(head, mean, std)

    assert torch.allclose(head(features), wanted, atol=1e-4)


def test_chance_depends_on_seed_epoch_and_sample_alone() -> None:
    draws = {(s, e, i): chance(s, e, i).random() for s in (0, 1) for e in (1, 2) for i in (0, 1)}

    assert len(set(draws.values())) == 8
    assert chance(1, 2, 1).random() == draws[1, 2, 1]
    assert sorted(shuffled(9, 7, 1)) == list(range(9))
    assert shuffled(9, 7, 1) != shuffled(9, 7, 2)
