"""Temperature, reliability and calibration error."""

import pytest
import torch

from training.calibration import (
    calibration,
    expected_calibration_error,
    fit_temperature,
    reliability,
)


def test_the_temperature_finds_the_factor_that_logits_were_spoilt_by() -> None:
    torch.manual_seed(0)
    honest = 2 * torch.randn(4000, 5)
    labels = torch.distributions.Categorical(logits=honest).sample()  # type: ignore[no-untyped-call]

    found = fit_temperature(3 * honest, labels)

    assert found == pytest.approx(3.0, rel=0.05)


def test_a_faultless_validation_set_does_not_make_the_model_certain() -> None:
    logits = 10 * torch.eye(4)

    temperature = fit_temperature(logits, torch.arange(4))

    assert (logits / temperature).softmax(1).max() < 0.99


def test_the_calibration_error_is_the_mean_distance_of_what_is_said_and_what_is_true() -> None:
    # Probabilities 0.9 (right, wrong) and 0.6 (right, right): |0.9 - 0.5| / 2 + |0.6 - 1| / 2.
    said = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    bins = reliability(said.log(), torch.tensor([0, 1, 0, 1]), 1.0)

    assert [(b.pictures, b.accuracy) for b in bins] == [(2, 1.0), (2, 0.5)]
    assert expected_calibration_error(bins) == pytest.approx(0.4)


def test_every_probability_has_a_bin() -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 0.0]])

    bins = reliability(logits, torch.tensor([0, 0]), 1.0)

    assert sum(b.pictures for b in bins) == 2
    assert bins[-1].high == 1.0


def test_the_fitted_temperature_mends_logits_that_were_too_sure() -> None:
    torch.manual_seed(0)
    honest = 2 * torch.randn(4000, 5)
    labels = torch.distributions.Categorical(logits=honest).sample()  # type: ignore[no-untyped-call]

    before, after = calibration(3 * honest, labels, fit_temperature(3 * honest, labels))

    assert before > 0.15
    assert after < 0.03
