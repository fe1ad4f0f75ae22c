"""Runtimes of a really trained network, really converted, quantized and measured."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.training.conftest import make_folder
from tests.training.runtimes.conftest import TIMES, Model
from torch import Tensor

from contract.model_card import WEIGHTS_FILE, ModelCard
from contract.network import Classifier, build_classifier
from contract.preprocessing import eval_view
from contract.runtimes import MODEL_FILES, RuntimeCard
from contract.strict import ContractError
from inference.predictor import load_predictor
from inference.requests import Wanted
from training.answers import one_thread
from training.data import read_data
from training.runtimes import export
from training.runtimes.export import answers, judged_pictures
from training.runtimes.judge import NOT_MADE, WITHOUT_PICTURES
from training.runtimes.ways import openvino_way, rounded_way, torch_way

pytestmark = pytest.mark.slow
UNTIMED = "this processor has no fast 8-bit arithmetic to time it with"


def by_precision(card: ModelCard) -> dict[str, RuntimeCard]:
    return {runtime.precision: runtime for runtime in card.runtimes}


def network_of(model: Model) -> Classifier:
    network = build_classifier(model.card.network, len(model.card.classes)).eval()
    network.load_state_dict(load_file(model.folder / WEIGHTS_FILE))
    return network.requires_grad_(False)


def add_outlier(tensors: dict[str, Tensor]) -> None:
    """One channel ten thousand times as large as the rest, that the next layer ignores."""
    for name in ("weight", "bias"):
        tensors[f"backbone.layer4.1.bn1.{name}"][0] = 1e4
    tensors["backbone.layer4.1.conv2.weight"][:, 0] = 0.0
    for name in ("weight", "bias"):
        tensors[f"backbone.bn1.{name}"][0] = 1e4
    for name in ("layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1", "layer1.1.conv2"):
        tensors[f"backbone.{name}.weight"][:, 0] = 0.0
        tensors[f"backbone.{name}.weight"][0] = 0.0
    tensors["backbone.layer2.0.conv1.weight"][:, 0] = 0.0
    tensors["backbone.layer2.0.downsample.0.weight"][:, 0] = 0.0


def test_every_runtime_is_measured_and_its_files_are_the_cards(exported: Model) -> None:
    found = by_precision(exported.card)

    assert list(found) == ["fp32", "bf16", "int8"]
    for runtime in found.values():
        assert runtime.refused in (None, UNTIMED)
        assert (runtime.accuracy, runtime.agreement) == (1.0, 1.0)
        if runtime.accepted:
            assert set(runtime.files) <= exported.card.files.keys()
    assert (found["fp32"].accepted, found["bf16"].accepted) == (True, True)
    assert found["fp32"].median_ms == TIMES[0]
    assert found["fp32"].machine
    on_disk = {file.name for file in exported.folder.iterdir()}
    assert on_disk == exported.card.files.keys() | {"model.json"}


def test_float32_says_what_torch_says(exported: Model) -> None:
    network, card = network_of(exported), exported.card
    ways = {
        "torch": torch_way(network),
        "openvino": openvino_way(exported.folder / MODEL_FILES["fp32"], "fp32", 32, 1),
    }

    said = answers(ways, judged_pictures(read_data(exported.data)), card)

    assert len(said["torch"]) == 24
    np.testing.assert_allclose(said["openvino"], said["torch"], atol=1e-3, rtol=1e-4)


def test_rounding_loses_as_much_as_bfloat16_does(exported: Model) -> None:
    network, card = network_of(exported), exported.card
    file = exported.folder / MODEL_FILES["fp32"]
    ways = {
        "exact": torch_way(network),
        "rounded": rounded_way(network),
        "bf16": openvino_way(file, "bf16", 32, 1),
    }

    said = answers(ways, judged_pictures(read_data(exported.data)), card)

    size = np.abs(said["exact"]).max()
    off = {name: float(np.abs(said[name] - said["exact"]).max() / size) for name in said}
    assert 0 < off["rounded"] < 0.1
    assert off["bf16"] < 5 * off["rounded"]
    assert all(torch.equal(p, q) for p, q in zip(
        network.parameters(), network_of(exported).parameters(), strict=True
    ))  # fmt: skip


def test_serving_says_of_pictures_what_was_measured(copied: Model) -> None:
    network, card = network_of(copied), copied.card
    served = load_predictor(copied.folder, {"PRECISION": "fp32"}, threads=1)

    assert served.runtime.name == "openvino-fp32"
    for picture in read_data(copied.data).split("test"):
        data = picture.path.read_bytes()
        reply = served.answer(Wanted(picture=data, top_k=3)).reply
        with torch.inference_mode(), one_thread():
            logits_K = network(torch.from_numpy(eval_view(data, card.input))[None])[0]
        wanted_K = (logits_K.double() / card.temperature).softmax(0)
        for prediction in reply.predictions:
            truth = float(wanted_K[card.classes.index(prediction.label)])
            assert prediction.probability == pytest.approx(truth, abs=1e-4)


@pytest.mark.parametrize("file", ["openvino.xml", "openvino.bin"])
def test_an_altered_file_of_a_runtime_is_not_served(copied: Model, file: str) -> None:
    with (copied.folder / file).open("ab") as opened:
        opened.write(b"\0")

    with pytest.raises(ContractError, match=f"{file} has SHA-256"):
        load_predictor(copied.folder, {}, threads=1)


def test_a_second_export_changes_no_byte(copied: Model, capsys: pytest.CaptureFixture[str]) -> None:
    before = copied.content

    assert copied.export() == 0

    assert copied.content == before
    assert "has its runtimes already" in capsys.readouterr().out


def test_a_runtime_that_changes_answers_is_refused_and_not_packed(
    trained: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    trained.change_weights(add_outlier)

    assert trained.export() == 0

    int8 = by_precision(trained.card)["int8"]
    assert by_precision(trained.card)["fp32"].accepted
    assert not int8.accepted
    assert int8.agreement is not None
    assert int8.agreement < 0.995
    assert not set(int8.files) & trained.card.files.keys()
    assert not any((trained.folder / name).exists() for name in int8.files)
    assert f"refused: {int8.refused}" in capsys.readouterr().out
    with pytest.raises(ContractError, match="refused openvino-int8"):
        load_predictor(trained.folder, {"PRECISION": "int8"}, threads=1)


def test_what_is_refused_now_and_was_not_before_leaves_the_folder(copied: Model) -> None:
    left = copied.folder / MODEL_FILES["int8"]
    left.touch()  # where this processor cannot time it, it was not accepted before either
    copied.change_weights(add_outlier)

    assert copied.export("--max-points-lost=0.1") == 0

    assert not by_precision(copied.card)["int8"].accepted
    assert not left.exists()
    assert not left.with_suffix(".bin").exists()


def test_where_nncf_fails_the_others_serve_and_the_card_says_why(
    trained: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "CALIBRATION_PICTURES", 0)  # which NNCF refuses

    assert trained.export() == 0

    found = by_precision(trained.card)
    assert found["int8"].refused == "NNCF cannot make it: Subset size must be positive"
    assert found["bf16"].accuracy == 1.0
    assert not (trained.folder / ".partial").exists()


def test_without_pictures_float32_alone_is_exported_and_a_line_says_what_is_lost(
    trained: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained.export(data=trained.folder / "absent") == 0

    found = by_precision(trained.card)
    assert (found["fp32"].accepted, found["fp32"].accuracy) == (True, None)
    assert found["bf16"].refused == found["int8"].refused == WITHOUT_PICTURES
    last = capsys.readouterr().out.splitlines()[-1]
    assert "absent is not there" in last
    assert "make package DATA=" in last


def test_other_pictures_than_the_models_measure_nothing(
    trained: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = make_folder(tmp_path / "others", train=5, valid=2)

    assert trained.export(data=others) == 0

    assert by_precision(trained.card)["fp32"].accuracy is None
    assert "holds other pictures than the model was trained on" in capsys.readouterr().out


def test_pictures_that_come_later_measure_what_was_not(trained: Model) -> None:
    trained.export(data=trained.folder / "absent")
    trained.export("--no-int8")
    between = by_precision(trained.card)

    trained.export()

    assert between["int8"].refused == NOT_MADE
    assert between["bf16"].accuracy == 1.0
    assert by_precision(trained.card)["int8"].accuracy == 1.0


def test_another_limit_needs_the_pictures_again(
    copied: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    before = copied.content

    assert copied.export("--max-points-lost=0.1", data=copied.folder / "absent") == 2
    assert copied.content == before
    assert "max_points_lost is 0.1" in capsys.readouterr().err
    assert copied.export("--max-points-lost=0.1") == 0

    assert {runtime.max_points_lost for runtime in copied.card.runtimes} == {0.1}


def test_the_limit_comes_from_the_stages_settings(trained: Model) -> None:
    settings = Path(__file__).parents[3] / "config" / "local.tfvars.json"

    trained.export(f"--settings={settings}", data=trained.folder / "absent")

    assert {runtime.max_points_lost for runtime in trained.card.runtimes} == {0.5}


def test_a_limit_out_of_range_and_a_missing_model_are_one_line(
    trained: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained.export("--max-points-lost=-1") == 2
    shutil.rmtree(trained.folder)
    assert trained.export() == 2

    first, second = capsys.readouterr().err.splitlines()
    assert "--max-points-lost is -1.0; it must be 0 to 100" in first
    assert "`make train` makes it" in second
