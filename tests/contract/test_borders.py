"""Model cards, releases, stacks, hyperparameters and requests: read strictly, written whole."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from contract.hyperparameters import Hyperparameters, from_text, read_hyperparameters
from contract.messages import STATUS_OF_ERROR, Request, RequestError
from contract.model_card import (
    Golden,
    InputSpec,
    Metrics,
    ModelCard,
    Network,
    Provenance,
    read_card,
    write_card,
)
from contract.release import Artifact, Release, read_release, write_release
from contract.strict import ContractError

CONFIG = Path(__file__).parents[2] / "config"


def artifact(kind: str, file: str) -> Artifact:
    digest = hashlib.sha256(kind.encode()).hexdigest()
    return Artifact(key=f"{kind}/{digest}/{file}", sha256=digest)


def model_in(folder: Path) -> ModelCard:
    files = {"weights.safetensors": b"weights", "golden.jpg": b"picture"}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    card = ModelCard(
        schema_version=1,
        classes=("Affenpinscher", "Briard"),
        input=InputSpec(resize_px=256, size_px=224, mean=(0.5,) * 3, std=(0.2,) * 3),
        network=Network(backbone="resnet18", hidden_units=0),
        temperature=1.5,
        validation=Metrics(accuracy=0.9, loss=0.3, pictures=10),
        test=None,
        golden=Golden(file="golden.jpg", label="Briard", probability=0.8),
        provenance=Provenance(
            hyperparameters={"seed": 7},
            pretrained_weights="random",
            data_sha256="0" * 64,
            code_sha256="1" * 64,
            libraries={"torch": "2.13.0"},
        ),
        files={name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    )
    write_card(card, folder)
    return card


def test_a_card_reads_back_as_it_was_written(tmp_path: Path) -> None:
    card = model_in(tmp_path)

    assert read_card(tmp_path) == card


def test_a_file_that_is_not_the_cards_is_refused(tmp_path: Path) -> None:
    model_in(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"others")

    with pytest.raises(ContractError, match=r"weights\.safetensors has SHA-256 .* says"):
        read_card(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    model_in(tmp_path)
    (tmp_path / "golden.jpg").unlink()

    with pytest.raises(ContractError, match=r"golden\.jpg is missing"):
        read_card(tmp_path)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_is_refused_by_its_number(version: object, tmp_path: Path) -> None:
    model_in(tmp_path)
    card = json.loads((tmp_path / "model.json").read_text()) | {"schema_version": version}
    (tmp_path / "model.json").write_text(json.dumps(card))

    with pytest.raises(ContractError, match="schema_version is"):
        read_card(tmp_path)


@pytest.mark.parametrize("name", ["../weights.safetensors", "/etc/passwd", ".hidden", "a/b"])
def test_a_card_cannot_name_a_file_elsewhere(name: str, tmp_path: Path) -> None:
    model_in(tmp_path)
    card = json.loads((tmp_path / "model.json").read_text())
    card["files"][name] = "0" * 64
    (tmp_path / "model.json").write_text(json.dumps(card))

    with pytest.raises(ContractError, match="plain file name"):
        read_card(tmp_path)


def test_a_release_reads_back_and_names_its_version(tmp_path: Path) -> None:
    release = Release(
        function=artifact("function", "function.zip"),
        model=artifact("model", "model.tar.gz"),
        training=artifact("training", "training.tar.gz"),
    )

    write_release(release, tmp_path / "build" / "release.tfvars.json")

    assert read_release(tmp_path / "build" / "release.tfvars.json") == release
    assert release.version == release.model.sha256[:12]


@pytest.mark.parametrize("sha256", ["", "F" * 64, "0" * 63, "latest"])
def test_a_bad_digest_is_refused_with_its_remedy(sha256: str) -> None:
    with pytest.raises(ContractError, match="64 lowercase hex digits, as printed by"):
        Artifact(key=f"model/{sha256}/model.tar.gz", sha256=sha256)


def test_a_key_must_be_named_by_its_content() -> None:
    with pytest.raises(ContractError, match="key is 'model/latest/model.tar.gz'"):
        Artifact(key="model/latest/model.tar.gz", sha256="0" * 64)


def test_the_repositorys_hyperparameters_are_valid() -> None:
    assert read_hyperparameters(CONFIG / "hyperparameters.json").backbone == "resnet50"


def test_text_becomes_the_fields_own_kind() -> None:
    changed = from_text({"epochs": "3", "learning_rate": "0.1"}, Hyperparameters())

    assert changed == dataclasses.replace(Hyperparameters(), epochs=3, learning_rate=0.1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": "3"}, "unknown key 'epoch'; did you mean 'epochs'"),
        ({"epochs": "many"}, 'epochs is "many"; it must be a whole number'),
        ({"epochs": "0"}, "epochs must be 1 to 10000"),
        ({"method": "magic"}, "must be one of head, finetune"),
        ({"learning_rate": "nan"}, "learning_rate must be above 0"),
    ],
)
def test_a_bad_hyperparameter_is_refused_with_its_remedy(
    values: dict[str, str], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        from_text(values, Hyperparameters())


@pytest.mark.parametrize(
    "members",
    [{}, {"image_base64": "aGk=", "s3_uri": "s3://b/k"}, {"s3_uri": "s3://b/k", "top_k": 0}],
)
def test_a_request_names_exactly_one_picture(members: dict[str, object]) -> None:
    with pytest.raises(ContractError, match="exactly one of|top_k is 0"):
        Request(**members)  # type: ignore[arg-type]


def test_every_error_code_has_its_status_and_body() -> None:
    for code, status in STATUS_OF_ERROR.items():
        error = RequestError(code, "Say what to do.")

        assert error.status == status
        assert error.body() == {"error": {"code": code, "message": "Say what to do."}}
