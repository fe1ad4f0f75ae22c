"""As many classes and pictures as the dog breeds have, through the whole path."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference.predictor import load_predictor
from inference.requests import Wanted
from training.report.__main__ import main as report

Run = Callable[..., dict[str, Any]]
CLASSES, PICTURES = 133, {"train": 6680, "valid": 835, "test": 836}


def draw_many(root: Path) -> None:
    """Small pictures: coarse patches in the colours of their class."""
    rng = np.random.default_rng(0)
    palettes = rng.integers(0, 256, (CLASSES, 4, 3))
    for split, count in PICTURES.items():
        for number in range(count):
            label = number % CLASSES
            home = root / split / f"{label + 1:03}.Breed_{label:03}"
            home.mkdir(parents=True, exist_ok=True)
            patches = palettes[label][rng.integers(0, 4, (5, 6))] + rng.normal(0, 8, (5, 6, 3))
            small = Image.fromarray(patches.clip(0, 255).astype(np.uint8))
            small.resize((48, 40), Image.Resampling.BICUBIC).save(home / f"{number}.jpg")


@pytest.mark.slow
def test_133_classes_and_8351_pictures_need_no_special_settings(tmp_path: Path, run: Run) -> None:
    data = tmp_path / "data"
    draw_many(data)

    trained = run(data, "--backbone=shufflenet_v2_x0_5", "--solver=ridge")

    told = {event["event"]: event for event in trained["events"]}
    assert (trained["code"], told["data"]["classes"]) == (0, CLASSES)
    assert told["data"]["pictures"] == PICTURES
    assert trained["card"]["test"]["pictures"] == PICTURES["test"]
    assert trained["card"]["test"]["accuracy"] > 5 / CLASSES
    page = tmp_path / "report.html"
    folders = {"data": data, "model-dir": trained["model"], "output-dir": trained["output"]}
    assert (
        report(
            [
                *(f"--{name}={place}" for name, place in folders.items()),
                f"--out={page}",
                "--no-latency",
            ]
        )
        == 0
    )
    assert page.read_text().count("Breed_132") >= 2
    picture = (data / "test" / "001.Breed_000" / "0.jpg").read_bytes()
    predictor = load_predictor(trained["model"], {}, threads=1)
    assert len(predictor.answer(Wanted(picture=picture, top_k=5)).reply.predictions) == 5
