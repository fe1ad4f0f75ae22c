"""A user's mistake is one line that says what to do, and exit code 2."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from contract.model_card import Network, file_sha256
from contract.network import build_classifier, torchvision
from training.main import main

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]


def line(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    errors = [one for one in text.splitlines() if one.startswith("training: ")]
    assert len(errors) == 1
    assert "Traceback" not in text
    return errors[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs=many"], "epochs is \"many\"; it must be a whole number"),
        (["--epochs=0"], "epochs must be 1 to 10000"),
        (["--epoch=5"], "'--epoch=5' is not an argument"),
        (["--epochs"], "expected one argument"),
        (["--method=magic"], "must be one of head, finetune"),
        (["--backbone=resnet19"], "must be a classification network"),
        (["--weights=nowhere.pth"], "weights nowhere.pth do not exist"),
        (["--hyperparameters=nowhere.json"], "nowhere.json does not exist"),
    ],
)  # fmt: skip
def test_a_wrong_argument(
    arguments: list[str], message: str, folder: Folder, run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    result = run(folder(train=3, valid=2), *arguments)

    assert result["code"] == 2
    assert message in line(capsys)
    assert result["card"] is None


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "holds no labelled pictures"),
        ({"train/cat": 3, "valid/cat": 1}, "holds one label only, 'cat'"),
        ({"train/cat": 2, "train/dog": 2}, "valid has no usable picture of cat, dog"),
        ({"cat": 5, "dog": 2}, "label 'dog' has 2 different readable pictures"),
    ],
)
def test_a_folder_that_cannot_train(
    counts: dict[str, int], message: str, tmp_path: Path, run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from PIL import Image

    root = tmp_path / "pictures"
    root.mkdir()
    for number, (label, count) in enumerate(counts.items()):
        (root / label).mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (40, 40), (40 * number, 20 * index, 0)).save(
                root / label / f"{index}.png"
            )

    assert run(root)["code"] == 2
    assert message in line(capsys)


def test_a_wrong_path_and_no_path(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "nowhere")["code"] == 2
    assert "nowhere is not a folder" in line(capsys)

    assert main(["--model-dir", str(tmp_path / "model")]) == 2
    assert "name a folder with --data DIR" in line(capsys)


def test_several_instances_are_refused(
    folder: Folder, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SM_HOSTS", '["algo-1", "algo-2"]')

    assert run(folder(train=3, valid=2))["code"] == 2
    assert "SM_HOSTS names 2 instances" in line(capsys)


def test_a_failed_training_job_leaves_its_reason_where_sagemaker_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path / "ml"))
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "ml/model"))
    monkeypatch.setenv("SM_OUTPUT_DATA_DIR", str(tmp_path / "ml/output/data"))

    assert main(["--data", str(tmp_path / "nowhere")]) == 2

    assert "nowhere is not a folder" in (tmp_path / "ml/output/failure").read_text()


@pytest.mark.parametrize(("weights", "code"), [("imagenet", 2), ("auto", 0)])
def test_imagenet_weights_that_cannot_be_had(
    weights: str, code: int, folder: Folder, run: Run, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    result = run(folder(train=3, valid=2), f"--weights={weights}", "--epochs=1")

    errors = capsys.readouterr().err
    assert result["code"] == code
    assert "ImageNet weights of resnet18 cannot be had" in errors
    assert "--weights random" in errors
    assert ("RANDOM WEIGHTS" in errors) == (weights == "auto")


def test_cached_imagenet_weights_are_found_without_a_network(
    folder: Folder, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import contract.network

    enum = torchvision.models.get_model_weights("resnet18")
    torch.manual_seed(3)
    state = torchvision.models.resnet18(weights=None).state_dict()
    cache = tmp_path / "torch/hub/checkpoints"
    cache.mkdir(parents=True)
    torch.save(state, cache / enum.IMAGENET1K_V1.url.rsplit("/", 1)[1])
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert contract.network.torchvision is torchvision

    result = run(folder(train=3, valid=2), "--weights=imagenet", "--epochs=1")

    assert result["card"]["provenance"]["pretrained_weights"] == "IMAGENET1K_V1"


@pytest.mark.parametrize("kind", ["pth", "safetensors", "folder", "ours"])
def test_weights_from_a_file_fill_the_backbone(
    kind: str, folder: Folder, run: Run, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    torch.manual_seed(3)
    state = torchvision.models.resnet18(weights=None).state_dict()
    path = tmp_path / "weights" / ("a.pth" if kind in ("pth", "folder") else "a.safetensors")
    path.parent.mkdir()
    if kind == "ours":
        whole = build_classifier(Network(backbone="resnet18", hidden_units=0), 9)
        whole.backbone.load_state_dict(state, strict=False)
        save_file(whole.state_dict(), path)
    elif path.suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)

    named = path.parent if kind == "folder" else path
    result = run(folder(train=3, valid=2), f"--weights={named}", "--epochs=1")

    assert result["card"]["provenance"]["pretrained_weights"] == f"file:{file_sha256(path)}"
    found = load_file(result["model"] / "weights.safetensors")["backbone.conv1.weight"]
    assert torch.equal(found, state["conv1.weight"])


@pytest.mark.parametrize("content", ["resnet34", "text", "pickle"])
def test_a_file_of_other_weights_is_refused(
    content: str, folder: Folder, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.pth"
    if content == "resnet34":
        torch.save(torchvision.models.resnet34(weights=None).state_dict(), path)
    elif content == "pickle":
        torch.save({"weight": Path}, path)
    else:
        path.write_text(json.dumps({"not": "weights"}))

    assert run(folder(train=3, valid=2), f"--weights={path}")["code"] == 2
    assert "other.pth" in line(capsys) or content == "resnet34"
