"""Tiny labelled folders, and runs of the real entry point on them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.training.digits import digits

from training.main import main

__all__ = ["digits"]

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]

COLOURS = {"001.rust": (190, 80, 40), "002.sky": (70, 140, 220), "003.moss": (80, 150, 70)}
QUICK = ["--backbone=resnet18", "--image-size-px=32", "--hidden-units=0", "--weights=random"]


def draw(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pixels = np.asarray(colour) + rng.normal(0, 25, (36, 48, 1)) + rng.normal(0, 15, 3)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SM_MODEL_DIR", "SM_HPS", "SM_HOSTS", "SM_CHANNEL_TRAINING", "SM_CHANNEL_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tests run side by side already
    yield
    torch.set_num_threads(threads)


def make_folder(root: Path, **counts: int) -> Path:
    """Make a folder of coloured noise, with splits or, for `plain`, without."""
    for number, (label, colour) in enumerate(COLOURS.items()):
        for place, (split, count) in enumerate(counts.items()):
            home = root / label if split == "plain" else root / split / label
            for index in range(count):
                draw(home / f"{index}.jpg", colour, 10_000 * number + 1000 * place + index)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Makes folders of coloured noise by name."""

    def make(name: str = "data", **counts: int) -> Path:
        return make_folder(tmp_path / name, **(counts or {"train": 12, "valid": 4, "test": 4}))

    return make


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs training.main in this process.

    Returns its exit code, model folder, card and events.
    """

    def go(data: Path, *arguments: str, name: str = "run", quick: bool = True) -> dict[str, Any]:
        model, output = tmp_path / name / "model", tmp_path / name / "output"
        argv = [f"--data={data}", f"--model-dir={model}", f"--output-dir={output}"]
        argv += [f"--{kept}-dir={tmp_path / name / kept}" for kept in ("cache", "checkpoint")]
        code = main([*argv, *(QUICK if quick else []), *arguments])
        card, metrics = model / "model.json", output / "metrics.jsonl"
        return {
            "code": code,
            "model": model,
            "output": output,
            "card": json.loads(card.read_text()) if card.exists() else None,
            "events": [json.loads(line) for line in metrics.read_text().splitlines()]
            if metrics.exists()
            else [],
        }

    return go
