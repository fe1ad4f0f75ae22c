"""Rules on gradients, layers and curves, each on numbers that break it and on healthy ones."""

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from contract.hyperparameters import Hyperparameters
from training.diagnostics.curve_rules import (
    data_loader_bound,
    diverging,
    loss_not_decreasing,
    over_fitting,
    over_training,
)
from training.diagnostics.finding import Finding, summary, tell_finding, told_findings
from training.diagnostics.gradient_rules import (
    exploding_gradients,
    not_a_number,
    vanishing_gradients,
)
from training.diagnostics.layer_rules import dead_units, poor_initialisation
from training.diagnostics.statistics import Epoch, Layer, Step, activity, observed_step
from training.runlog import RunLog

SETTINGS = Hyperparameters()


def step(number: int, loss: float = 1.0, norm: float = 2.0, smallest: float = 0.01) -> Step:
    layers = {"first": smallest, "second": smallest, "third": 0.02, "last": 0.1}
    return Step(epoch=1, step=number, loss=loss, gradient_norm=norm, largest=0.1, gradients=layers)


def curve(train: list[float], valid: list[float]) -> list[Epoch]:
    return [
        Epoch(
            epoch=number,
            train_loss=now,
            valid_loss=judged,
            valid_accuracy=0.5,
            valid_pictures=400,
            seconds=1.0,
            waiting_seconds=0.1,
        )
        for number, (now, judged) in enumerate(zip(train, valid, strict=True), 1)
    ]


def rule(finding: Finding | None) -> str:
    assert finding is not None
    assert finding.evidence.endswith(".")
    assert finding.remedy.endswith(".")
    return finding.rule


def test_layers_without_gradients_are_vanishing_gradients_and_are_named() -> None:
    steps = [step(number, smallest=1e-9) for number in (1, 2, 3)]

    finding = vanishing_gradients(steps)

    assert rule(finding) == "vanishing_gradient"
    assert finding is not None
    assert finding.facts["layers"] == ["first", "second"]
    assert "first" in finding.evidence


def test_one_step_or_one_layer_without_gradients_is_healthy() -> None:
    once = [step(1), step(2), step(3, smallest=1e-9)]
    single = [replace(step(n), gradients={**step(n).gradients, "first": 1e-9}) for n in (1, 2, 3)]

    assert vanishing_gradients(once) is None
    assert vanishing_gradients(single) is None


def test_small_gradients_everywhere_are_those_of_a_model_that_has_learnt() -> None:
    done = [
        replace(step(n), largest=1e-7, gradients={"first": 1e-8, "last": 1e-7}) for n in (1, 2, 3)
    ]

    assert vanishing_gradients(done) is None


def test_gradients_that_grow_with_a_bad_loss_explode() -> None:
    first, recent = [step(n) for n in (1, 2, 3)], [step(n, 50.0, 900.0) for n in (20, 30, 40)]

    assert rule(exploding_gradients(first, recent, 10, SETTINGS)) == "exploding_gradient"
    well = [replace(s, loss=0.1) for s in recent]
    assert exploding_gradients(first, well, 10, SETTINGS) is None


@pytest.mark.parametrize("odd", [{"loss": math.nan}, {"gradient_norm": math.inf}])
def test_what_is_no_number_is_divergence(odd: dict[str, float]) -> None:
    finding = not_a_number(replace(step(7), **odd), SETTINGS)  # type: ignore[arg-type]

    assert rule(finding) == "divergence"
    assert finding is not None
    assert "learning_rate" in finding.remedy
    assert not_a_number(step(7), SETTINGS) is None


def test_an_epoch_far_worse_than_guessing_is_divergence() -> None:
    assert rule(diverging(curve([80.0], [90.0]), 10, SETTINGS)) == "divergence"
    assert diverging(curve([3.5], [2.9]), 10, SETTINGS) is None


def test_a_layer_that_is_mostly_off_has_dead_units() -> None:
    layers = [Layer(name="gate", spread=1.0, units=8, silent=7)]

    finding = dead_units(layers, 2, SETTINGS)

    assert rule(finding) == "dead_units"
    assert dead_units([replace(layers[0], silent=4)], 2, SETTINGS) is None


@pytest.mark.parametrize(
    ("spread", "loss", "found"), [(1e-7, 2.3, True), (1e7, 2.3, True), (1.0, 40.0, True),
                                  (1.0, 2.6, False)]
)  # fmt: skip
def test_a_signal_that_fades_or_swells_is_poor_initialisation(
    spread: float, loss: float, found: bool
) -> None:
    layers = [Layer(name="odd", spread=spread, units=8, silent=0)]

    finding = poor_initialisation(layers, loss, 10)

    assert (finding is not None) is found
    assert finding is None or rule(finding) == "poor_initialisation"


def test_a_loss_that_stays_asks_for_a_higher_rate_and_one_that_grows_for_a_lower() -> None:
    flat, growing = curve([2.3] * 4, [2.3] * 4), curve([2.3, 2.8, 3.0, 3.1], [2.3] * 4)

    stays = loss_not_decreasing(flat, 10, SETTINGS)
    grows = loss_not_decreasing(growing, 10, SETTINGS)

    assert rule(stays) == rule(grows) == "loss_not_decreasing"
    assert stays is not None
    assert grows is not None
    assert stays.remedy.startswith("Raise learning_rate")
    assert grows.remedy.startswith("Lower learning_rate")


@pytest.mark.parametrize("losses", [[2.3, 2.2, 2.1, 2.0], [0.01, 0.01, 0.01, 0.01], [2.3, 2.3]])
def test_a_loss_that_falls_or_is_low_or_young_is_healthy(losses: list[float]) -> None:
    assert loss_not_decreasing(curve(losses, losses), 10, SETTINGS) is None


def test_a_valid_loss_that_rises_while_the_train_loss_falls_is_over_fitting() -> None:
    epochs = curve([1.0, 0.5, 0.3, 0.2, 0.1], [1.0, 0.8, 1.0, 1.1, 1.3])

    assert rule(over_fitting(epochs, SETTINGS)) == "over_fitting"
    level = curve([1.0, 0.5, 0.3, 0.2, 0.1], [1.0, 0.8, 0.81, 0.85, 0.84])
    assert over_fitting(level, SETTINGS) is None


def test_going_on_long_after_the_best_epoch_is_over_training() -> None:
    epochs = curve([1.0] * 8, [0.9, 0.8, 1.0, 1.1, 1.2, 1.2, 1.3, 1.3])

    finding = over_training(epochs)

    assert rule(finding) == "over_training"
    assert finding is not None
    assert "epochs to about 3" in finding.remedy
    assert over_training(epochs[:6]) is None


def test_an_epoch_that_mostly_waits_is_bound_by_its_loader() -> None:
    slow = [replace(e, seconds=100.0, waiting_seconds=80.0) for e in curve([1.0], [1.0])]

    assert rule(data_loader_bound(slow)) == "data_loader_bound"
    assert data_loader_bound([replace(slow[0], waiting_seconds=40.0)]) is None
    assert data_loader_bound([replace(slow[0], seconds=5.0, waiting_seconds=4.0)]) is None


def test_activity_sees_dead_gates_and_leaves_the_model_as_it_was() -> None:
    torch.manual_seed(0)
    first = nn.Linear(4, 6)
    model = nn.Sequential(first, nn.ReLU(), nn.Dropout(), nn.Linear(6, 3))
    with torch.no_grad():
        first.bias.copy_(torch.tensor([-99.0, -99, -99, -99, 9, 9]))
    model.train()

    logits_BK, layers = activity(model, torch.randn(64, 4))

    assert [(x.name, x.silent) for x in layers] == [("0", 0), ("1", 4), ("3", 0)]
    assert logits_BK.shape == (64, 3)
    assert model.training
    assert model[2].training
    assert not any(layer._forward_hooks for layer in model.modules())


def test_units_that_were_seen_a_few_times_are_not_called_silent() -> None:
    first = nn.Linear(4, 6)
    nn.init.constant_(first.bias, -99.0)
    model = nn.Sequential(first, nn.ReLU())

    _, layers = activity(model, torch.randn(16, 4))

    assert layers[1].silent == 0


def test_an_observed_step_has_the_gradients_of_each_weight() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 1))
    loss = model(torch.ones(1, 2)).sum()
    torch.autograd.backward(loss)

    seen = observed_step(model, 3, 4, loss)

    assert list(seen.gradients) == ["0", "1"]
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    wanted = math.sqrt(sum(float(g.pow(2).sum()) for g in grads))
    assert seen.gradient_norm == pytest.approx(wanted, rel=1e-5)
    assert seen.largest == pytest.approx(1.0)
    assert (seen.epoch, seen.step) == (3, 4)


def test_the_summary_names_the_worst_first() -> None:
    made = [
        Finding(rule="leak", severity="notice", evidence="It is.", remedy="Do."),
        Finding(rule="divergence", severity="error", evidence="It is.", remedy="Do."),
    ]

    assert summary(made) == "2 findings: divergence, leak"
    assert summary([]) == "nothing odd was found"


def test_findings_come_back_from_the_file_of_a_run(tmp_path: Path) -> None:
    leak = Finding(rule="leak", severity="notice", evidence="It is.", remedy="Do.")
    log = RunLog(tmp_path, io.StringIO())
    log.event("start", "")
    tell_finding(log, leak)

    assert told_findings(log.said() + b'{"event": "ep') == [leak]
