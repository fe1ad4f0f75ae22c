"""The servers that are measured, each started as its users start it, on one core."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.serving.client import request
from benchmarks.serving.material import PEERS, PEERS_PYTHON, Material, torchserve_store

from contract.strict import require

BOUNDARY = "a-line-between-the-parts-of-a-form"


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """How a process is started."""

    command: Sequence[str]
    folder: Path
    """It works there."""
    environment: Mapping[str, str]
    """Besides PATH and the like."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One server."""

    name: str
    start: Callable[[Material, Path, int], Start]
    """Of what was prepared, an empty folder and a port."""
    ping: str
    predict: str
    first_label: Callable[[Any, Sequence[str]], str]
    """The first label of its JSON reply, given the classes."""
    form: bool = False
    """Whether it takes pictures as a form's file, in place of the body."""
    runtime: str = ""
    """What /ping must call the runtime, in part; otherwise this runtime is absent here."""

    def body(self, picture: bytes) -> tuple[bytes, str]:
        """A request's body and its content type."""
        if not self.form:
            return picture, "image/jpeg"
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="content"; '
            'filename="picture.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        )
        tail = f"\r\n--{BOUNDARY}--\r\n"
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        return head.encode() + picture + tail.encode(), kind

    def request(self, picture: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """The bytes of a request about a picture."""
        body, kind = self.body(picture)
        return request("POST", self.predict, body, {"Content-Type": kind, **(headers or {})})


def _torchserve(material: Material, folder: Path, port: int) -> Start:
    require(
        shutil.which("java") is not None,
        "TorchServe needs Java, which is not on PATH: apt-get install openjdk-17-jre-headless.",
    )
    # The ports after the first are TorchServe's own defaults, moved to where nobody else is.
    (folder / "config.properties").write_text(
        f"inference_address=http://127.0.0.1:{port}\n"
        f"management_address=http://127.0.0.1:{port + 1}\n"
        f"metrics_address=http://127.0.0.1:{port + 2}\n"
    )
    command = ["torchserve", "--start", "--foreground", "--model-store",
               str(torchserve_store(material)), "--models", "model=resnet50.mar",
               "--disable-token-auth", "--ncs", "--ts-config", "config.properties"]  # fmt: skip
    path = f"{PEERS_PYTHON.parent}:{os.environ['PATH']}"
    places = {"TMPDIR": str(folder), "TEMP": str(folder)}
    return Start(
        command=command, folder=folder,
        environment={"PATH": path, "PYTHONPATH": str(PEERS), **places},
    )  # fmt: skip


def _app(file: str) -> Callable[[Material, Path, int], Start]:
    """A Python file of peers/."""

    def start(material: Material, folder: Path, port: int) -> Start:
        require(
            PEERS_PYTHON.exists(),
            "The peers are not installed: .venv-peers is missing. Run `make .venv-peers/peers`.",
        )
        return Start(
            command=[str(PEERS_PYTHON), str(PEERS / file), str(port), str(material.weights)],
            folder=folder,
            environment={"PYTHONPATH": str(PEERS)},
        )

    return start


def _ours(precision: str) -> Callable[[Material, Path, int], Start]:
    """Our server as a container starts it."""

    def start(material: Material, _: Path, port: int) -> Start:
        chosen = {"PRECISION": precision} if precision else {}
        return Start(
            command=[sys.executable, "code/serve.py"],
            folder=material.base / "model",
            environment={
                "SAGEMAKER_BASE_DIR": str(material.base),
                "SAGEMAKER_BIND_TO_PORT": str(port),
                "MODEL_VERSION": "measured",
                **chosen,
            },
        )

    return start


def ours(precision: str = "") -> Side:
    """Our server; without a precision it chooses by itself."""
    return Side(
        name=f"ours, {precision or 'as it chooses'}",
        start=_ours(precision),
        ping="/ping",
        predict="/invocations",
        first_label=lambda reply, _: str(reply["predictions"][0]["label"]),
        runtime=precision,
    )


TORCHSERVE = Side(
    name="TorchServe",
    start=_torchserve,
    ping="/ping",
    predict="/predictions/model",
    first_label=lambda reply, classes: classes[int(next(iter(reply)))],
)
FASTAPI = Side(
    name="FastAPI and eager torch",
    start=_app("fastapi_app.py"),
    ping="/ping",
    predict="/predict",
    first_label=lambda reply, classes: classes[reply["classes"][0]],
)
LITSERVE = Side(
    name="LitServe",
    start=_app("litserve_app.py"),
    ping="/health",
    predict="/predict",
    first_label=lambda reply, classes: classes[reply["classes"][0]],
    form=True,
)


def first_label(side: Side, body: bytes, classes: Sequence[str]) -> str:
    """The first label of a reply."""
    return side.first_label(json.loads(body), classes)
