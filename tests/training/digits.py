"""Handwritten digits as a folder, and a network that was trained on them from random weights."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from training.main import main

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Digits:
    """A folder of digits and the model that was trained on it."""

    data: Path
    model: Path
    """With model.json and weights.safetensors."""
    cache: Path
    events: list[dict[str, Any]]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Digits:
    """Trains as `examples/digits.json` says; some 20 seconds of one core."""
    home = tmp_path_factory.mktemp("digits")
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        from write_digits import write_digits  # type: ignore[import-not-found]  # a script
    finally:
        sys.path.pop(0)
    write_digits(home / "data")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tests run side by side already
    arguments = {
        "data": home / "data",
        "model-dir": home / "model",
        "output-dir": home / "output",
        "cache-dir": home / "cache",
        "checkpoint-dir": home / "checkpoints",
        "hyperparameters": ROOT / "examples" / "digits.json",
        "weights": "random",
    }
    assert main([f"--{name}={value}" for name, value in arguments.items()]) == 0
    torch.set_num_threads(threads)
    lines = (home / "output" / "metrics.jsonl").read_text().splitlines()
    return Digits(
        data=home / "data",
        model=home / "model",
        cache=home / "cache",
        events=[json.loads(line) for line in lines],
    )
