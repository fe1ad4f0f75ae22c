"""Linear heads that are fitted at once."""

import io
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor, nn

from contract.hyperparameters import Hyperparameters
from contract.network import Classifier, build_head
from contract.strict import ContractError
from training.calibration import fit_temperature
from training.head import HeadFeatures, fit_at_once, fit_by_steps
from training.loop import measure
from training.runlog import RunLog
from training.solvers import (
    RIDGE_STRENGTHS,
    class_weights,
    closed_form_head,
    logistic_path,
    ridge_path,
)


def clouds(count: int, features: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Features around a centre for each class, and the classes."""
    random = torch.Generator().manual_seed(seed)
    centres_KF = torch.randn(classes, features, generator=torch.Generator().manual_seed(99))
    labels_N = torch.randint(0, classes, (count,), generator=random)
    noise_NF = torch.randn(count, features, generator=random)
    return 3.0 + 0.6 * centres_KF[labels_N] + 2.0 * noise_NF, labels_N


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize(("count", "features"), [(200, 12), (40, 90)])
def test_ridge_is_that_of_scikit_learn(count: int, features: int, balanced: bool) -> None:
    x_NF, labels_N = clouds(count, features, 4)
    weight_N = class_weights(labels_N, 4)[labels_N] if balanced else torch.ones(count)

    for strength, weight_KF, bias_K in ridge_path(x_NF, labels_N, weight_N, 4):
        theirs = Ridge(alpha=strength * count, solver="svd").fit(
            x_NF.double().numpy(), np.eye(4)[labels_N], sample_weight=weight_N.double().numpy()
        )
        np.testing.assert_allclose(weight_KF.numpy(), theirs.coef_, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(bias_K.numpy(), theirs.intercept_, rtol=1e-6, atol=1e-8)


def test_logistic_regression_is_that_of_scikit_learn() -> None:
    x_NF, labels_N = clouds(300, 10, 4)

    for strength, weight_KF, bias_K in islice(
        logistic_path(x_NF - 3.0, labels_N, torch.ones(300), 4, 0.0), 6
    ):
        theirs = LogisticRegression(C=1 / (strength * 300), tol=1e-8, max_iter=5000)
        theirs.fit((x_NF - 3.0).numpy(), labels_N)
        ours_NK = ((x_NF - 3.0) @ weight_KF.T + bias_K).softmax(1).numpy()
        np.testing.assert_allclose(ours_NK, theirs.predict_proba((x_NF - 3.0).numpy()), atol=2e-3)


@pytest.mark.parametrize("solver", ["ridge", "lbfgs"])
def test_the_strength_is_the_best_on_validation_and_so_is_the_head(
    solver: Literal["ridge", "lbfgs"],
) -> None:
    (train_NF, train_N), (valid_NF, valid_N) = clouds(60, 40, 3), clouds(200, 40, 3, seed=1)

    fitted = closed_form_head(train_NF, train_N, valid_NF, valid_N, 3, solver=solver)

    assert fitted.losses[fitted.strength] == min(fitted.losses.values())
    assert fitted.strength not in (RIDGE_STRENGTHS[0], RIDGE_STRENGTHS[-1])
    with torch.no_grad():
        found = measure(fitted.head(valid_NF), valid_N).loss
    assert found == pytest.approx(fitted.losses[fitted.strength], abs=1e-4)


def test_ridge_scores_are_probabilities_that_hold() -> None:
    splits = [clouds(count, 30, 5, seed) for seed, count in enumerate((400, 400, 4000))]
    (train_NF, train_N), (valid_NF, valid_N), (other_NF, other_N) = splits

    head = closed_form_head(train_NF, train_N, valid_NF, valid_N, 5).head

    with torch.no_grad():
        assert fit_temperature(head(valid_NF), valid_N) == pytest.approx(1.0, abs=0.01)
        assert fit_temperature(head(other_NF), other_N) == pytest.approx(1.0, abs=0.15)


def test_a_rare_class_is_heard_when_classes_are_balanced() -> None:
    x_NF, labels_N = clouds(2000, 8, 2)
    kept = (labels_N == 0) | (torch.arange(2000) % 30 == 0)
    (train_NF, train_N), (valid_NF, valid_N) = (x_NF[kept], labels_N[kept]), clouds(500, 8, 2, 1)

    heads = [
        closed_form_head(
            train_NF, train_N, valid_NF, valid_N, 2, solver="lbfgs", balanced=balanced
        ).head
        for balanced in (False, True)
    ]

    with torch.no_grad():
        plain, balanced = ((h(valid_NF).argmax(1) == 1).float().mean().item() for h in heads)
    assert plain < 0.3 < balanced


def test_features_that_are_no_numbers_are_refused() -> None:
    x_NF, labels_N = clouds(20, 4, 2)
    x_NF[3, 1] = torch.nan

    with pytest.raises(ContractError, match="not all numbers"):
        closed_form_head(x_NF, labels_N, x_NF[:2], labels_N[:2], 2)


@pytest.mark.parametrize("solver", ["adam", "ridge", "lbfgs"])
def test_a_head_has_the_same_bits_with_any_number_of_threads(
    solver: Literal["adam", "ridge", "lbfgs"], tmp_path: Path
) -> None:
    (train_NF, train_N), (valid_NF, valid_N) = clouds(1000, 1024, 10), clouds(100, 1024, 10, 1)
    seen = HeadFeatures(views_NF=(train_NF,), train_N=train_N, valid_NF=valid_NF, valid_N=valid_N)
    settings = Hyperparameters(hidden_units=0, solver=solver, epochs=2, batch_size=1000)

    heads = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        classifier = Classifier(nn.Identity(), build_head(1024, 0, 10), 1024)
        fit = fit_by_steps if solver == "adam" else fit_at_once
        fit(classifier, seen, settings, RunLog(tmp_path, io.StringIO()))
        heads.append(dict(classifier.head.named_parameters())["weight"])

    assert torch.equal(heads[0], heads[1])
    assert torch.equal(heads[0], heads[2])


def test_an_epoch_sees_the_view_of_its_turn(tmp_path: Path) -> None:
    views_NF = tuple(torch.full((4, 3), float(v)) + torch.randn(4, 3) / 100 for v in range(3))
    labels_N = torch.tensor([0, 1, 0, 1])
    seen = HeadFeatures(views_NF=views_NF, train_N=labels_N, valid_NF=views_NF[0], valid_N=labels_N)
    classifier = Classifier(nn.Identity(), nn.Linear(3, 2), 3)
    given: list[float] = []

    def look(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if layer.training:
            given.append(inputs[0].mean().item())

    classifier.head.register_forward_pre_hook(look)
    settings = Hyperparameters(hidden_units=0, epochs=7, views=3)
    fit_by_steps(classifier, seen, settings, RunLog(tmp_path, io.StringIO()))

    assert given[0] < given[1] < given[2]
    assert given == pytest.approx([*given[:3], *given[:3], given[0]], abs=1e-6)
