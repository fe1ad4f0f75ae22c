"""Whatever JSON comes, a reader returns what it promises or raises ContractError."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.hyperparameters import Hyperparameters
from contract.messages import Reply, Request
from contract.model_card import ModelCard
from contract.release import Release
from contract.settings import Settings
from contract.stack import Stack
from contract.strict import ContractError, parse, read_json

CONFIG = Path(__file__).parents[2] / "config"
DIGEST = "0" * 64
VALID: dict[type, dict[str, Any]] = {
    Hyperparameters: json.loads((CONFIG / "hyperparameters.json").read_text()),
    ModelCard: {
        "schema_version": 1,
        "classes": ["cat", "dog"],
        "input": {"resize_px": 256, "size_px": 224, "mean": [0.5] * 3, "std": [0.2] * 3},
        "network": {"backbone": "resnet18", "hidden_units": 0},
        "temperature": 1.5,
        "validation": {"accuracy": 0.9, "loss": 0.3, "pictures": 10},
        "test": {"accuracy": 0.9, "loss": 0.3, "pictures": 10},
        "golden": {"file": "golden.jpg", "label": "dog", "probability": 0.8},
        "provenance": {
            "hyperparameters": {"seed": 7},
            "pretrained_weights": "random",
            "data_sha256": DIGEST,
            "code_sha256": DIGEST,
            "libraries": {"torch": "2.13.0"},
        },
        "files": {"weights.safetensors": DIGEST, "golden.jpg": DIGEST},
    },
    Release: {
        kind: {"key": f"{kind}/{DIGEST}/{kind}.zip", "sha256": DIGEST}
        for kind in ("function", "model", "training")
    },
    Reply: {"model_version": "v", "predictions": [{"label": "dog", "probability": 0.9}]},
    Request: {"image_base64": "aGk=", "top_k": 3},
    Settings: json.loads((CONFIG / "aws.tfvars.json").read_text()),
    Stack: {
        "account_id": "123456789012",
        "bucket": "b",
        "ec2_training": {
            "instance_id": None,
            "instance_type": "t3.large",
            "launch_template_id": "lt-1",
            "log_group": "/kennel/training",
            "max_hours": 8,
        },
        "endpoint": {"name": "kennel", "variant": "live"},
        "function": {"alias": "live", "api_url": None, "name": "kennel", "url": ""},
        "model_version": "v",
        "name": "kennel",
        "notebook_name": None,
        "region": "us-east-1",
        "stage": "local",
        "serving_image": None,
        "training_image": "pytorch:1",
        "training_job_role_arn": "arn",
    },
}
KINDS = sorted(VALID, key=lambda kind: kind.__name__)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 0])
    | st.floats()
    | st.text(max_size=8)
)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document, from its top down."""
    if not isinstance(value, dict | list):
        return [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of a document with another value at one place."""
    if not path:
        return value
    changed = copy.deepcopy(document)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return changed


def parse_or_refuse(kind: type, value: Any) -> None:
    try:
        outcome: Any = parse(kind, value, "file.json")
    except ContractError as error:
        outcome = str(error)
    assert isinstance(outcome, kind) or outcome.startswith("file.json")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_documents_of_these_tests_are_valid(kind: type) -> None:
    assert isinstance(parse(kind, VALID[kind], "file.json"), kind)


@given(kind=st.sampled_from(KINDS), value=ANY_JSON)
def test_any_json_value_is_parsed_or_refused(kind: type, value: Any) -> None:
    parse_or_refuse(kind, value)


@given(data=st.data(), value=ANY_JSON)
def test_any_value_in_any_place_is_parsed_or_refused(data: st.DataObject, value: Any) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    path = data.draw(st.sampled_from(places(VALID[kind])))

    parse_or_refuse(kind, with_value(VALID[kind], path, value))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(10**400, id="a number beyond floats"),
        pytest.param([[]], id="a list"),
        pytest.param({"a": None}, id="an object"),
        pytest.param(float("nan"), id="nan"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param("", id="no text"),
        pytest.param(None, id="null"),
    ],
)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_odd_value_in_every_place_is_parsed_or_refused(kind: type, value: Any) -> None:
    for path in places(VALID[kind]):
        parse_or_refuse(kind, with_value(VALID[kind], path, value))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{name: kennel}", id="almost JSON"),
        pytest.param(b'"\xff"', id="not UTF-8"),
        pytest.param(b"9" * 5000, id="a number of too many digits"),
        pytest.param(b"[" * 100_000, id="too deep a list"),
    ],
)
def test_a_file_that_cannot_be_read_as_json_is_refused_by_its_name(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)

    with pytest.raises(ContractError, match=r"settings\.json is not JSON"):
        read_json(path, "`make settings`")
