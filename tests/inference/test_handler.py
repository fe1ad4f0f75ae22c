"""The four functions, called as AWS's inference toolkit calls them."""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from tests.events.samples import Sample, body_bytes, outcomes, picture, samples
from tests.inference.model import CLASSES

from contract.messages import Reply
from contract.model_card import WEIGHTS_FILE
from contract.strict import ContractError
from inference.handler import Replies, input_fn, model_fn, output_fn, predict_fn
from inference.predictor import Predictor
from inference.runtimes.weights import read_weights


class TorchServeContext:
    """The request context of AWS's image, as far as the toolkit's interface goes."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers
        self.request_processor = [self]
        self.status = 200

    def get_request_properties(self) -> dict[str, str]:
        return self.headers

    def set_response_status(self, code: int, phrase: str) -> None:
        assert phrase
        self.status = code


@pytest.fixture(scope="module")
def model(base_folder: Path) -> Predictor:
    return model_fn(str(base_folder / "model"))


@pytest.mark.parametrize("sample", samples("endpoint"), ids=lambda sample: sample.name)
def test_every_sample_gets_its_answer(model: Predictor, sample: Sample) -> None:
    context = TorchServeContext(sample.request["headers"])
    content_type = sample.request["headers"].get("content-type")
    body: Any = body_bytes(sample)
    if content_type == "application/json":  # the toolkit decodes it
        body = body.decode()

    data = input_fn(body, content_type, context)
    text, kind = output_fn(predict_fn(data, model), "application/json", context)

    assert (context.status, kind) == (sample.expected["status"], "application/json")
    reply = json.loads(text)
    assert reply.get("error", {}).get("code") == sample.expected.get("code")
    if "results" in sample.expected:
        assert outcomes(reply["results"]) == sample.expected["results"]
        return
    count = sample.expected.get("predictions", len(CLASSES) if context.status == 200 else 0)
    assert len(reply.get("predictions", [])) == count


def test_without_a_context_the_functions_answer_as_well(model: Predictor) -> None:
    found = predict_fn(input_fn(picture("rgb.jpg"), "image/jpeg"), model)

    assert isinstance(found, Replies)
    reply = found.replies[0]
    assert isinstance(reply, Reply)
    assert (reply.model_version, len(reply.predictions)) == ("unreleased", 4)


@pytest.mark.slow
def test_the_import_of_aws_finds_the_four_functions(base_folder: Path) -> None:
    script = (
        "import importlib; m = importlib.import_module('inference');"
        "print([callable(getattr(m, n)) for n in ('model_fn','input_fn','predict_fn','output_fn')])"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=base_folder / "model" / "code",
        env={"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.strip() == "[True, True, True, True]"


def test_weights_are_read_as_the_library_reads_them(base_folder: Path) -> None:
    path = base_folder / "model" / WEIGHTS_FILE

    ours, theirs = read_weights(path), load_file(path)

    assert ours.keys() == theirs.keys()
    assert all(ours[name].equal(theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        pickle.dumps({"a": 1}),
        (2).to_bytes(8, "little") + b"[]",
        (9).to_bytes(8, "little") + b"not json!",
        (66).to_bytes(8, "little")
        + b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 800]}}   ',
        (60).to_bytes(8, "little")
        + b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}  ',
    ],
)
def test_a_file_that_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)

    with pytest.raises(ContractError, match=r"safetensors|does not fit the file"):
        read_weights(path)
