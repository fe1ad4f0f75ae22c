"""The packed archive under AWS's own inference toolkit, called as its PyTorch image calls it.

The image's server (in Java) and its handler service do nothing else with a request: they give
headers and body to a Transformer, and send back what it returns.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.events.samples import picture
from tests.inference.model import build_model
from tests.inference.packing import unpack

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
# What the image's handler service does at start and for each request. The toolkit comes behind
# this Python's own packages, PyTorch among them, as it is beside PyTorch in the image.
HANDLE = """
import base64, json, sys
sys.path.append(sys.argv[1])
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.transformer import Transformer

class Processor:
    def __init__(self, headers):
        self.headers, self.reply = headers, {"status": 200}
    def get_request_properties(self):
        return self.headers
    def report_status(self, code, reason_phrase=None):
        self.reply |= {"status": code, "phrase": reason_phrase}
    def add_response_property(self, name, value):
        self.reply[name] = value

class Context:
    system_properties = {"model_dir": sys.argv[2]}
    def set_response_status(self, code=200, phrase=""):
        self._request_processor[0].report_status(code, reason_phrase=phrase)
    def set_response_content_type(self, request_id, value):
        self._request_processor[0].add_response_property("content-type", value)
    def get_request_header(self, idx, key, exp=None):
        return self._request_processor[0].get_request_properties().get(key)
    @property
    def request_processor(self):
        return self._request_processor

service = DefaultHandlerService(transformer=Transformer(DefaultInferenceHandler()))
context = Context()
service.initialize(context)
for line in sys.stdin:
    asked = json.loads(line)
    processor = Processor(asked["headers"])
    context._request_processor = [processor]
    [said] = service.handle([{"body": bytearray(base64.b64decode(asked["body"]))}], context)
    said = said.decode() if isinstance(said, (bytes, bytearray)) else said
    sys.stdout.write("REPLY " + json.dumps({**processor.reply, "text": said}) + chr(10))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One reply."""

    status: int
    content_type: str
    text: str


def ask(model: Path, requests: Sequence[tuple[dict[str, str], bytes]]) -> list[Said]:
    """Start the toolkit on a model, and send it some requests."""
    [toolkit] = ROOT.glob(".venv-toolkit/lib/*/site-packages")
    lines = [
        json.dumps({"headers": headers, "body": base64.b64encode(body).decode()})
        for headers, body in requests
    ]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}
    ran = subprocess.run(
        [sys.executable, "-c", HANDLE, str(toolkit), str(model)],
        input="\n".join(lines),
        env={
            **clean,
            "MODEL_VERSION": "0123456789ab",
            "PYTHONPATH": str(model / "code"),  # as the image sets it for its workers
            "SAGEMAKER_BASE_DIR": str(model.parent),
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": str(model / "code"),
            "SAGEMAKER_REGION": "us-east-1",
        },
        cwd=model.parent,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    told = [line.removeprefix("REPLY ") for line in ran.stdout.splitlines() if "REPLY " in line]
    replies: list[dict[str, Any]] = [json.loads(line) for line in told]
    return [
        Said(status=r["status"], content_type=str(r.get("content-type")), text=r["text"])
        for r in replies
    ]


def test_aws_inference_toolkit_answers_and_refuses_as_our_own_server_does(tmp_path: Path) -> None:
    card = build_model(tmp_path / "build" / "model")
    unpack(tmp_path / "build", tmp_path / "ml" / "model")
    jpeg = {"Content-Type": "image/jpeg", "Accept": "application/json"}
    limited = jpeg | {"X-Amzn-SageMaker-Custom-Attributes": "top_k=2"}

    good, two, torn, text = ask(
        tmp_path / "ml" / "model",
        [
            (jpeg, picture("rgb.jpg")),
            (limited, picture("rgb.jpg")),
            (jpeg, picture("rgb.jpg")[:200]),
            ({**jpeg, "Content-Type": "text/plain"}, b"hello"),
        ],
    )

    assert (good.status, good.content_type) == (200, "application/json")
    reply = json.loads(good.text)
    assert reply["model_version"] == "0123456789ab"
    assert reply["predictions"][0]["label"] == card.golden.label
    assert len(json.loads(two.text)["predictions"]) == 2
    for refused, status in ((torn, 400), (text, 415)):
        assert refused.status == status
        assert refused.content_type == "application/json"
        assert set(json.loads(refused.text)) == {"error"}
        assert "Traceback" not in refused.text
