"""The file of answers: what a run wrote is what the report reads, or a sentence says why not."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from contract.strict import ContractError
from training.predictions import NAMES_FILE, TENSORS_FILE, read_predictions

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]


def test_the_answers_of_a_run_give_its_metrics(folder: Folder, run: Run) -> None:
    data = folder()
    result = run(data, "--epochs=3")

    found = read_predictions(result["output"])

    assert found.weights_sha256 == result["card"]["files"]["weights.safetensors"]
    assert found.classes == ("moss", "rust", "sky")
    for split, key in (("valid", "validation"), ("test", "test")):
        part = found.splits[split]
        assert all((data / file).is_file() for file in part.files)
        scaled = part.logits_NK.double() / result["card"]["temperature"]
        loss = torch.nn.functional.cross_entropy(scaled, part.labels_N).item()
        assert loss == pytest.approx(result["card"][key]["loss"], abs=1e-6)
        for file, label in zip(part.files, part.labels_N.tolist(), strict=True):
            assert file.split("/")[1].endswith(found.classes[label])


def write(folder: Path, classes: int = 2) -> None:
    names = {
        "schema_version": 1,
        "weights_sha256": "0" * 64,
        "classes": ["cat", "dog"],
        "files": {"valid": ["valid/cat/1.jpg"]},
    }
    (folder / NAMES_FILE).write_text(json.dumps(names))
    tensors = {"valid.logits_NK": torch.zeros(1, classes), "valid.labels_N": torch.tensor([0])}
    save_file(tensors, folder / TENSORS_FILE)


@pytest.mark.parametrize("name", [NAMES_FILE, TENSORS_FILE])
def test_a_missing_and_a_torn_file_are_refused_by_name(name: str, tmp_path: Path) -> None:
    write(tmp_path)
    assert read_predictions(tmp_path).splits["valid"].files == ("valid/cat/1.jpg",)

    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ContractError, match="is damaged"):
        read_predictions(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ContractError, match=f"{re.escape(name)} is missing"):
        read_predictions(tmp_path)


def test_answers_of_another_number_of_classes_are_refused(tmp_path: Path) -> None:
    write(tmp_path, classes=3)

    with pytest.raises(ContractError, match="another number of pictures or classes"):
        read_predictions(tmp_path)


def test_the_answers_are_plain_tensors(folder: Folder, run: Run) -> None:
    result = run(folder(train=6, valid=2), "--epochs=1")

    tensors = load_file(result["output"] / TENSORS_FILE)

    assert sorted(tensors) == ["valid.labels_N", "valid.logits_NK"]
