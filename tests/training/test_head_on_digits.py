"""The method `head` beside scikit-learn, on handwritten digits."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tests.training.backbones import SPEC
from torch import nn

from contract.hyperparameters import Hyperparameters
from contract.network import Classifier, build_head
from training.data import read_data
from training.data.store import Store
from training.faster import Speed
from training.features import Source, Tally, View, features
from training.head import HeadFeatures, fit_at_once, fit_by_steps
from training.identity import weights_sha256
from training.loop import measure
from training.runlog import RunLog

HALF_A_POINT = 0.005


@pytest.mark.slow
def test_a_head_is_as_good_as_scikit_learns_on_the_same_features(tmp_path: Path) -> None:
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        home = tmp_path / "digits" / f"digit{label}"
        home.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray((16 * pixels).clip(0, 255).astype(np.uint8))
        small.resize((36, 36), Image.Resampling.BICUBIC).save(home / f"{number}.png")
    data, log = read_data(tmp_path / "digits"), RunLog(tmp_path / "log", io.StringIO())
    torch.manual_seed(0)
    backbone = nn.Sequential(
        nn.Conv2d(3, 32, 5, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten()
    )
    source = Source(
        backbone=backbone,
        name="random",
        weights=weights_sha256(backbone),
        store=Store(SPEC, None, log.warn),
        speed=Speed(),
    )
    pictures = sorted(data.pictures, key=lambda picture: picture.sha256)
    all_NF = features(source, pictures, View(), tmp_path / "cache", log, Tally())
    train_NF, valid_NF, test_NF = all_NF.split([900, 296, 600])  # type: ignore[no-untyped-call]
    train_N, valid_N, test_N = torch.tensor(data.numbers(pictures)).split([900, 296, 600])  # type: ignore[no-untyped-call]
    seen = HeadFeatures(views_NF=(train_NF,), train_N=train_N, valid_NF=valid_NF, valid_N=valid_N)
    scaler = StandardScaler().fit(train_NF)
    theirs = max(
        (
            LogisticRegression(C=c, max_iter=2000).fit(scaler.transform(train_NF), train_N)
            for c in (0.001, 0.01, 0.1, 1.0)
        ),
        key=lambda fitted: fitted.score(scaler.transform(valid_NF), valid_N),
    ).score(scaler.transform(test_NF), test_N)

    by_steps = Hyperparameters(hidden_units=0, epochs=20)
    ours = {}
    for settings in (replace(by_steps, solver="lbfgs"), by_steps):
        classifier = Classifier(backbone, build_head(512, 0, 10), 512)
        fit = fit_by_steps if settings.solver == "adam" else fit_at_once
        fit(classifier, seen, settings, log)
        with torch.no_grad():
            ours[settings.solver] = measure(classifier.head(test_NF), test_N).accuracy

    assert theirs > 0.93
    assert ours == {name: pytest.approx(theirs, abs=HALF_A_POINT) for name in ours}
