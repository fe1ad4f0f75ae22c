"""Planted problems are each named, by the rules and on the page; healthy runs raise none."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.training.conftest import COLOURS, draw

from contract.network import torchvision
from training.report.__main__ import main as report

Run = Callable[..., dict[str, Any]]
Folder = Callable[..., Path]
RUST, SKY, MOSS = COLOURS
PLUM, SAND = "004.plum", "005.sand"
ALL = {**COLOURS, PLUM: (120, 40, 110), SAND: (230, 210, 150)}


def rules(result: dict[str, Any]) -> set[str]:
    return {event["rule"] for event in result["events"] if event["event"] == "finding"}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A copy in two splits, a mislabelled folder, 1:50 and two files that are cut short."""
    root = tmp_path / "planted"
    counts = {
        "train": {RUST: 50, SKY: 50, PLUM: 40, SAND: 40, MOSS: 1},
        "valid": dict.fromkeys([RUST, SKY, PLUM, SAND, MOSS], 8),
    }
    for place, (split, labels) in enumerate(counts.items()):
        for number, (label, count) in enumerate(labels.items()):
            # valid/002.sky holds pictures of rust.
            colour = ALL[RUST if (split, label) == ("valid", SKY) else label]
            for index in range(count):
                seed = 10_000 * number + 1000 * place + index
                draw(root / split / label / f"{index}.jpg", colour, seed)
    shutil.copy(root / "valid" / RUST / "0.jpg", root / "train" / RUST / "copy.jpg")
    for split in ("train", "valid"):
        whole = (root / split / MOSS / "0.jpg").read_bytes()
        (root / split / MOSS / "torn.jpg").write_bytes(whole[: len(whole) // 2])
    return root


def test_planted_faults_of_the_data_are_named_by_the_rules_and_on_the_page(
    planted: Path, run: Run, tmp_path: Path
) -> None:
    result = run(planted, "--epochs=3", "--batch-size=16")

    assert rules(result) == {"leak", "corrupt_files", "class_imbalance", "mislabelled_folder"}
    told = {e["rule"]: e for e in result["events"] if e["event"] == "finding"}
    assert told["leak"]["facts"]["files"] == [f"train/{RUST}/copy.jpg"]
    assert told["corrupt_files"]["facts"]["files"] == [f"{s}/{MOSS}/torn.jpg" for s in
                                                       ("train", "valid")]  # fmt: skip
    assert told["mislabelled_folder"]["facts"]["folder"] == f"valid/{SKY}"
    assert "50 to 1" in told["class_imbalance"]["evidence"]
    assert set(result["events"][-1]["findings"]) == rules(result)
    page = tmp_path / "report.html"
    folders = [f"--model-dir={result['model']}", f"--output-dir={result['output']}"]
    assert report([*folders, f"--data={planted}", f"--out={page}", "--no-latency"]) == 0
    for heading in ("leak", "corrupt files", "class imbalance", "mislabelled folder"):
        assert re.search(f"<h3>{heading} ", page.read_text())


def test_a_mislabelled_folder_among_the_training_pictures_is_named(
    folder: Folder, run: Run
) -> None:
    root = folder(train=20, valid=4)
    for index in range(8):
        draw(root / "train" / RUST / "second_delivery" / f"{index}.jpg", COLOURS[SKY], 777 + index)

    result = run(root, "--epochs=3")

    findings = [event for event in result["events"] if event["event"] == "finding"]
    assert [f["facts"]["folder"] for f in findings] == [f"train/{RUST}/second_delivery"]


def test_vanishing_gradients_of_badly_scaled_weights_are_named_with_their_layers(
    folder: Folder, run: Run, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    state = torchvision.models.resnet18(weights=None).state_dict()
    scaled = {name: 0.02 * v if v.dim() == 4 else v for name, v in state.items()}
    torch.save(scaled, tmp_path / "faint.pt")

    result = run(
        folder(train=12, valid=2), "--method=finetune", "--epochs=1", "--batch-size=8",
        "--learning-rate=0.0003", f"--weights={tmp_path / 'faint.pt'}",
    )  # fmt: skip

    assert {"vanishing_gradient", "poor_initialisation"} <= rules(result)
    found = next(e for e in result["events"] if e.get("rule") == "vanishing_gradient")
    assert "backbone.layer1.0.conv2" in found["facts"]["layers"]
    assert "layers were below" in found["evidence"]


def test_a_rate_that_is_far_too_high_is_named_with_its_setting(folder: Folder, run: Run) -> None:
    result = run(folder(train=12, valid=2), "--epochs=2", "--learning-rate=10", "--hidden-units=32")

    found = next(e for e in result["events"] if e.get("rule") == "divergence")
    assert "learning_rate, now 10" in found["remedy"]


def test_a_run_that_ends_without_numbers_says_where_before_it_ends(
    folder: Folder, run: Run
) -> None:
    data = folder(train=12, valid=2)

    result = run(data, "--method=finetune", "--epochs=2", "--batch-size=4", "--learning-rate=10")

    assert result["code"] == 2
    found = next(e for e in result["events"] if e.get("rule") == "divergence")
    assert found["severity"] == "error"
    assert "epoch 1, step" in found["evidence"]


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Handwritten digits, bundled with scikit-learn: 30 of each for training."""
    from sklearn.datasets import load_digits

    root, seen = tmp_path / "digits", dict.fromkeys(range(10), 0)
    loaded = load_digits()
    for image, digit in zip(loaded.images, loaded.target.tolist(), strict=True):
        seen[digit] += 1
        split = "train" if seen[digit] <= 30 else "valid" if seen[digit] <= 42 else ""
        if split:
            path = root / split / f"{digit}" / f"{seen[digit]}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.clip(16 * image, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((32, 32)).save(path)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, 8])
@pytest.mark.parametrize(
    "settings",
    [
        ["--epochs=8"],
        ["--epochs=8", "--hidden-units=64"],
        ["--method=finetune", "--epochs=2", "--learning-rate=0.0005", "--batch-norm=adaptive"],
    ],
    ids=["linear head", "head", "finetune"],
)
def test_a_healthy_run_on_digits_raises_no_finding(
    settings: list[str], seed: int, digits: Path, run: Run
) -> None:
    result = run(digits, *settings, f"--seed={seed}")

    assert result["code"] == 0
    assert rules(result) == set()


@pytest.mark.slow
def test_healthy_runs_on_the_demo_s_photos_name_its_two_odd_files_only(
    run: Run, tmp_path: Path
) -> None:
    data = tmp_path / "photos"
    script = Path(__file__).parents[2] / "examples" / "draw_photos.py"
    command = [sys.executable, str(script), f"--out={data}", "--per-class=8"]
    subprocess.run(command, check=True, capture_output=True)

    head = run(data, "--epochs=8", name="head")
    tuned = run(
        data, "--method=finetune", "--epochs=3", "--learning-rate=0.0003", "--batch-size=16",
        "--batch-norm=adaptive", name="tuned",
    )  # fmt: skip

    assert rules(head) == rules(tuned) == {"leak", "corrupt_files"}
    assert json.loads((head["output"] / "data_report.json").read_text())["left_out"]
