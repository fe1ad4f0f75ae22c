"""The packed archive in real Ray Serve, as AWS's Ray image runs it: PyTorch, and no OpenVINO."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from tests.events.samples import Sample, body_bytes, picture, samples
from tests.inference.model import build_model
from tests.inference.packing import unpack
from tests.inference.serving import Server, serving

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("ray_child.py")
WAIT_SECONDS = 120
TORCH_AND_WHAT_IT_NEEDS = (
    "filelock",
    "fsspec",
    "functorch",
    "jinja2",
    "markupsafe",
    "mpmath",
    "networkx",
    "safetensors",
    "sympy",
    "torch",
    "torchgen",
    "torchvision",
    "torchvision.libs",
)
SAMPLES = [sample for sample in samples("endpoint") if "s3_uri" not in sample.name]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a container has as /opt/ml, from a packed archive."""
    folder = tmp_path_factory.mktemp("opt-ml")
    build = tmp_path_factory.mktemp("build")
    build_model(build / "model")
    unpack(build, folder / "model")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Ray's log is."""
    return tmp_path_factory.mktemp("ray")


@pytest.fixture(scope="module")
def ray_server(base: Path, folder: Path) -> Iterator[Server]:
    """Ray Serve with the archive's application."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [ROOT / ".venv-ray/bin/python", CHILD, str(port), base / "model/config.yaml"],
            cwd=folder,
            env={
                **clean,
                "PYTHONPATH": f"{base / 'model'}:{_image_packages(folder)}",
                "MODEL_VERSION": "0123456789ab",
                "PYTHONUNBUFFERED": "1",
                "RAY_DEDUP_LOGS": "0",  # as modules/endpoint sets it
                "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
                "RAY_USAGE_STATS_ENABLED": "0",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process=process, port=port)  # type: ignore[arg-type]  # nobody reads its pipe
    try:
        _until_it_answers(server, log)
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def own_server(base: Path) -> Iterator[Server]:
    """Our own server with the same archive."""
    with serving(base) as running:
        running.wait_for("ready")
        yield running


def _image_packages(folder: Path) -> Path:
    """PyTorch, which AWS's image has, from the environment of this Python."""
    packages = folder / "packages"
    packages.mkdir()
    [found] = ROOT.glob(".venv/lib/*/site-packages")
    for name in TORCH_AND_WHAT_IT_NEEDS:
        (packages / name).symlink_to(found / name)
    return packages


def _until_it_answers(server: Server, log: Path) -> None:
    def answers() -> bool:
        assert server.process.poll() is None, log.read_text()
        with suppress(OSError):
            return bool(_ask(server, SAMPLES[0]).status != 404)  # that there is no application yet
        return False

    _until(answers)


def _until(holds: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + WAIT_SECONDS, threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.2)


def _ask(server: Server, sample: Sample, path: str = "/", **headers: str):  # type: ignore[no-untyped-def]  # as serving.Server has it
    return server.send("POST", path, body_bytes(sample), {**sample.request["headers"], **headers})


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_request_is_answered_as_our_own_server_answers_it(
    ray_server: Server, own_server: Server, sample: Sample
) -> None:
    here = _ask(ray_server, sample)
    there = _ask(own_server, sample, "/invocations")

    assert (here.status, here.json) == (there.status, there.json)
    assert here.headers["content-type"] == there.headers["content-type"]
    assert here.headers["x-kennel-runtime"] == there.headers["x-kennel-runtime"]


def test_the_callers_wishes_are_heard_and_its_request_id_is_logged(
    ray_server: Server, folder: Path
) -> None:
    reply = ray_server.send(
        "POST",
        "/",
        picture("rgb.jpg"),
        {
            "Content-Type": "image/jpeg",
            "X-Amzn-SageMaker-Custom-Attributes": "request_id=abc-123;top_k=2",
        },
    )

    _until(lambda: '"request_id": "abc-123", "status": 200' in (folder / "log").read_text())
    assert len(json.loads(reply.text)["predictions"]) == 2


def test_ray_says_that_it_is_healthy(ray_server: Server) -> None:
    assert ray_server.send("GET", "/-/healthz").status == 200
