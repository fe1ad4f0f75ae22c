"""The method `head` beside scikit-learn, on features of a network that has learnt digits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tests.training.digits import Digits

from contract.model_card import read_card
from contract.network import build_classifier
from training.answers import answers
from training.data import read_data
from training.runlog import Silence

Run = Callable[..., dict[str, Any]]
HALF_A_POINT = 0.005
STRENGTHS = (0.001, 0.01, 0.1, 1.0)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def theirs(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Test accuracy of scikit-learn's logistic regression, its strength chosen on validation."""
    card, data = read_card(digits.model), read_data(digits.data)
    classifier = build_classifier(card.network, len(card.classes))
    classifier.load_state_dict(load_file(digits.model / "weights.safetensors"))
    log = Silence(tmp_path_factory.mktemp("log"))
    seen, labels = {}, {}
    for split in ("train", "valid", "test"):
        pictures = data.split(split)
        seen[split] = answers(classifier.backbone, pictures, card.input, log, split).numpy()
        labels[split] = torch.tensor(data.numbers(pictures)).numpy()
    scaler = StandardScaler().fit(seen["train"])
    scaled = {split: scaler.transform(features) for split, features in seen.items()}
    fits = [
        LogisticRegression(C=c, max_iter=2000).fit(scaled["train"], labels["train"])
        for c in STRENGTHS
    ]
    best = max(fits, key=lambda fit: fit.score(scaled["valid"], labels["valid"]))
    return float(best.score(scaled["test"], labels["test"]))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_head_is_as_good_as_scikit_learns_on_the_same_features(
    solver: str, digits: Digits, theirs: float, run: Run
) -> None:
    weights: Path = digits.model / "weights.safetensors"

    ours = run(
        digits.data, f"--weights={weights}", "--image-size-px=32", "--hidden-units=0",
        f"--solver={solver}", "--epochs=20",
    )  # fmt: skip

    assert ours["code"] == 0
    accuracy = ours["card"]["test"]["accuracy"]
    assert theirs > 0.97
    assert accuracy == pytest.approx(theirs, abs=HALF_A_POINT)
