"""The card's runtimes: what is read, and what is refused by name."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.models import write_model

from contract.model_card import CARD_FILE, ModelCard, file_sha256, read_card, write_card
from contract.runtimes import RuntimeCard, compile_settings
from contract.strict import ContractError

FLOAT = RuntimeCard(
    name="openvino-fp32",
    file="openvino.xml",
    precision="fp32",
    accepted=True,
    refused=None,
    accuracy=0.9,
    agreement=1.0,
    median_ms=30.0,
    machine="a processor",
    golden_probability=0.8,
    max_points_lost=0.5,
)


def with_runtime(folder: Path, **changes: Any) -> ModelCard:
    """A model with a runtime's files."""
    card = write_model(folder)
    for name in FLOAT.files:
        (folder / name).write_bytes(name.encode())
    files = card.files | {name: file_sha256(folder / name) for name in FLOAT.files}
    new = dataclasses.replace(card, files=files, runtimes=(dataclasses.replace(FLOAT, **changes),))
    write_card(new, folder)
    return new


def test_a_card_says_again_what_it_was_told(tmp_path: Path) -> None:
    card = with_runtime(tmp_path / "model")

    assert read_card(tmp_path / "model") == card


def test_a_card_of_before_there_were_runtimes_is_read(tmp_path: Path) -> None:
    card = write_model(tmp_path / "model")
    file = tmp_path / "model" / CARD_FILE
    raw = json.loads(file.read_text())
    del raw["runtimes"]
    file.write_text(json.dumps(raw))

    assert read_card(tmp_path / "model") == card


@pytest.mark.parametrize("name", FLOAT.files)
def test_an_altered_or_missing_file_of_a_runtime_is_refused_by_name(
    tmp_path: Path, name: str
) -> None:
    with_runtime(tmp_path / "model")
    file = tmp_path / "model" / name
    file.write_bytes(file.read_bytes() + b"!")

    with pytest.raises(ContractError, match=f"{name} has SHA-256"):
        read_card(tmp_path / "model")
    file.unlink()
    with pytest.raises(ContractError, match=f"{name} is missing"):
        read_card(tmp_path / "model")


def test_an_accepted_runtime_has_its_files_among_the_cards(tmp_path: Path) -> None:
    card = write_model(tmp_path / "model")

    with pytest.raises(ContractError, match=r"files must list openvino\.bin, openvino\.xml"):
        dataclasses.replace(card, runtimes=(FLOAT,))


def test_a_name_is_there_once(tmp_path: Path) -> None:
    card = with_runtime(tmp_path / "model")

    with pytest.raises(ContractError, match="must not repeat a name"):
        dataclasses.replace(card, runtimes=(FLOAT, FLOAT))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"precision": "bf16"}, "must belong together"),
        ({"refused": "it is slow"}, "exactly when accepted is false"),
        ({"accepted": False}, "exactly when accepted is false"),
        ({"golden_probability": None}, "golden_probability must be given"),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        dataclasses.replace(FLOAT, **changes)


def test_float32_is_asked_for_where_openvino_would_choose_less() -> None:
    hints = {p: compile_settings(p, 1)["INFERENCE_PRECISION_HINT"] for p in ("fp32", "int8")}

    assert hints == {"fp32": "f32", "int8": "f32"}
    assert compile_settings("bf16", 1)["INFERENCE_PRECISION_HINT"] == "bf16"
