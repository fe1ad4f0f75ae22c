"""What the Dockerfile makes, without Docker: its packages alone, its command, and no network."""

import json
import os
import re
import shlex
import subprocess
import venv
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest
from tests.events.samples import Sample, body_bytes, picture, samples
from tests.inference.model import build_model
from tests.inference.packing import unpack
from tests.inference.serving import Server, started

from contract.model_card import read_card
from pipeline.image import SOURCES
from training.runtimes.export import add_runtimes

ROOT = Path(__file__).parents[2]
MODEL = "/opt/ml/model"
# In every Python process of the container: whoever would leave this machine is written down.
NO_NETWORK = """
import socket, sys
def look(event, args):
    if event == "socket.getaddrinfo" or (
        event == "socket.connect" and args[0].family != socket.AF_UNIX
    ):
        with open(LOG, "a") as file:
            print(event, args[1:], file=file)
        raise OSError("the network is unreachable")
sys.addaudithook(look)
"""


def steps() -> dict[str, list[str]]:
    """The Dockerfile's instructions by name, each on one line."""
    text = (ROOT / SOURCES["Dockerfile"]).read_text()
    plain = "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
    found: dict[str, list[str]] = {}
    for line in plain.replace("\\\n", " ").splitlines():
        name, _, rest = line.partition(" ")
        found.setdefault(name, []).append(" ".join(rest.split()))
    return found


def locked() -> set[str]:
    """The distributions of the lock that this image copies."""
    text = (ROOT / SOURCES["serve.txt"]).read_text()
    return {name.lower() for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}


def test_the_base_is_one_python_forever() -> None:
    [base] = steps()["FROM"]

    assert re.fullmatch(
        r"public\.ecr\.aws/docker/library/python:3\.13-slim@sha256:[0-9a-f]{64}", base
    )


def test_it_installs_the_serving_lock_and_nothing_else() -> None:
    [copied] = steps()["COPY"]
    [run] = steps()["RUN"]
    install, _, removal = run.partition(" && ")

    assert copied.split() == ["serve.txt", "/opt/serve.txt"]
    assert SOURCES["serve.txt"] == Path("requirements/serve.txt")
    words = shlex.split(install)
    assert words[:4] == ["python", "-m", "pip", "install"]
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(words)
    assert words[-2:] == ["--requirement", "/opt/serve.txt"]
    assert removal == "python -m pip uninstall --yes pip"
    assert locked() & {"torch", "torchvision", "ray", "pip"} == set()


def test_it_is_nobody_in_particular_and_sagemaker_may_choose_its_port() -> None:
    [user] = steps()["USER"]
    [label] = steps()["LABEL"]

    assert user.split(":")[0] not in ("0", "root")
    assert steps()["EXPOSE"] == ["8080"]
    assert label == "com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true"
    # Nothing after it is done as root, and nothing else is copied or fetched.
    assert set(steps()) == {"COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "LABEL", "RUN", "USER"}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the lock's distributions, and no others."""
    folder = tmp_path_factory.mktemp("image")
    venv.create(folder, with_pip=False, symlinks=True)
    [packages] = folder.glob("lib/*/site-packages")
    for name in locked():
        with suppress(metadata.PackageNotFoundError):  # what is for another Python only
            found = metadata.distribution(name)
            for top in {file.parts[0] for file in found.files or ()} - {".."}:
                with suppress(FileExistsError):  # packages may share a folder
                    (packages / top).symlink_to(str(found.locate_file(top)))
    guard = NO_NETWORK.replace("LOG", repr(str(folder / "network.log")), 1)
    (packages / "no_network.py").write_text(guard)
    # Not as sitecustomize: some systems' Python has its own.
    (packages / "no_network.pth").write_text("import no_network\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a container has as /opt/ml/model, from a packed archive."""
    build, folder = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("opt-ml")
    build_model(build / "model")
    add_runtimes(build / "model", None, 0.5, with_int8=False)
    unpack(build, folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def container(python: Path, model: Path) -> Iterator[Server]:
    """The entry point, as SageMaker starts it."""
    [entry] = steps()["ENTRYPOINT"]
    command = [word.replace(MODEL, str(model)) for word in [*json.loads(entry), "serve"]]
    assert command[0] == "python"
    given = dict(pair.split("=", 1) for pair in shlex.split(" ".join(steps()["ENV"])))
    given |= {"PATH": os.environ["PATH"], "SAGEMAKER_BASE_DIR": str(model.parent)}
    with started([str(python), *command[1:]], Path("/"), given) as server:
        server.wait_for("ready")
        yield server


@pytest.mark.slow
def test_what_is_not_in_the_lock_is_not_in_the_image(python: Path) -> None:
    script = "import importlib.metadata as m; print(*{d.name.lower() for d in m.distributions()})"
    ran = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)

    there = {re.sub(r"[-_.]+", "-", name) for name in ran.stdout.split()}
    assert there <= locked()
    assert {"openvino", "pillow", "numpy"} <= there


@pytest.mark.slow
def test_it_serves_without_network_without_credentials_and_without_torch(
    container: Server, python: Path, model: Path
) -> None:
    golden = read_card(model).golden

    reply = container.invoke(picture("rgb.jpg"))

    assert reply.json["predictions"][0]["label"] == golden.label
    assert reply.headers["x-kennel-runtime"].startswith("openvino-")
    assert not (python.parents[1] / "network.log").exists()


@pytest.mark.slow
@pytest.mark.parametrize("sample", samples("endpoint"), ids=lambda sample: sample.name)
def test_every_sample_gets_its_answer(container: Server, sample: Sample) -> None:
    headers: dict[str, str] = sample.request["headers"]

    reply = container.send("POST", "/invocations", body_bytes(sample), headers)

    assert reply.status == sample.expected["status"]


@pytest.mark.slow
def test_the_guard_sees_who_leaves_the_machine(python: Path) -> None:
    script = "import urllib.request; urllib.request.urlopen('http://192.0.2.1/', timeout=5)"

    ran = subprocess.run([python, "-c", script], capture_output=True, text=True)

    log = python.parents[1] / "network.log"
    told = log.read_text()
    log.unlink()
    assert "the network is unreachable" in ran.stderr
    assert "socket." in told
