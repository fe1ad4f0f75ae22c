"""An exported model in the server's hands: fallbacks, threads, and what it was calibrated on."""

import dataclasses
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from tests.training.runtimes.conftest import Model

from contract.model_card import write_card
from contract.preprocessing import eval_view
from contract.processor import Processor
from contract.runtimes import RuntimeCard
from contract.strict import ContractError
from inference.archive import open_archive
from inference.predictor import load_predictor
from inference.runtimes import openvino_cpu
from training.data import read_data
from training.runtimes.export import CALIBRATION_PICTURES, calibration_views

pytestmark = pytest.mark.slow
AMX = Processor(level="amx", bf16=True, int8=True)


def with_golden(model: Model, **probabilities: float) -> None:
    """Write a card that accepts all runtimes and says other things of their golden picture."""

    def changed(runtime: RuntimeCard) -> RuntimeCard:
        said = probabilities.get(runtime.precision, runtime.golden_probability)
        return dataclasses.replace(runtime, accepted=True, refused=None, golden_probability=said)

    card = model.card
    fast = tuple(changed(runtime) for runtime in card.runtimes if runtime.accepted)
    write_card(dataclasses.replace(card, runtimes=fast), model.folder)


def test_a_runtime_that_fails_on_the_golden_picture_is_passed_over(
    copied: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openvino_cpu, "this_processor", lambda: AMX)
    with_golden(copied, int8=0.1, bf16=0.1)

    with caplog.at_level(logging.WARNING):
        predictor = load_predictor(copied.folder, {}, threads=1)

    assert predictor.runtime.name == "openvino-fp32"
    assert {record.message for record in caplog.records} == {"passed over a runtime"}
    reason = caplog.records[-1].fields["reason"]  # type: ignore[attr-defined]  # of this log
    assert "from openvino-bf16; the card says" in reason


def test_the_last_and_the_one_asked_for_must_not_fail(
    copied: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_cpu, "this_processor", lambda: AMX)
    with_golden(copied, bf16=0.1, fp32=0.1)

    with pytest.raises(ContractError, match=r"golden\.jpg came out as .* from openvino-bf16"):
        load_predictor(copied.folder, {"PRECISION": "bf16"}, threads=1)
    with pytest.raises(ContractError, match=r"golden\.jpg came out as .* from openvino-fp32"):
        load_predictor(copied.folder, {"PRECISION": "fp32"}, threads=1)


def test_threads_at_once_get_the_answers_of_one_alone(exported: Model) -> None:
    card = exported.card
    float32 = next(runtime for runtime in card.runtimes if runtime.precision == "fp32")
    runtime = openvino_cpu.load(open_archive(exported.folder), float32, threads=1)
    pictures = read_data(exported.data).split("valid")[:8]
    views = [eval_view(picture.path.read_bytes(), card.input)[None] for picture in pictures]
    alone = [runtime.logits(view) for view in views]
    together = Barrier(len(views))

    def often(place: int) -> bool:
        together.wait(timeout=30)
        said = [runtime.logits(views[place]) for _ in range(50)]
        return all(np.array_equal(one, alone[place]) for one in said)

    with ThreadPoolExecutor(len(views)) as pool:
        assert all(pool.map(often, range(len(views))))
    np.testing.assert_array_equal(runtime.logits(np.concatenate(views)), np.concatenate(alone))


def test_ranges_are_taken_from_training_pictures_only(
    exported: Model, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("calibration") / "data"
    shutil.copytree(exported.data, root)
    data = read_data(root)
    for split in ("valid", "test"):
        shutil.rmtree(root / split)

    views = calibration_views(data, exported.card)

    trained = data.split("train")
    assert len(views) == min(len(trained), CALIBRATION_PICTURES)
    seen = {view.tobytes() for view in views}
    assert seen == {eval_view(p.path.read_bytes(), exported.card.input).tobytes() for p in trained}
