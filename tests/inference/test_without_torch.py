"""The fast runtime's processes: no torch in them, nothing that the serving lock does not list."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.events.samples import picture
from tests.inference.model import add_code, build_model, rewrite_card
from tests.inference.serving import Server, serving

from contract.model_card import file_sha256, read_card
from training.runtimes.export import add_runtimes

pytestmark = pytest.mark.slow
LOCK = Path(__file__).parents[2] / "requirements" / "serve.txt"
ONLY_THE_LOCK = """
import re, sys
from importlib.metadata import packages_distributions
plain = lambda name: re.sub("[-_.]+", "-", name).lower()
listed = {plain(name) for name in re.findall("(?m)^([A-Za-z0-9_.-]+)==", open(LOCK).read())}
FORBIDDEN = {
    module for module, homes in packages_distributions().items()
    if not {plain(home) for home in homes} & listed
}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a container has as /opt/ml, with an exported model."""
    base = tmp_path_factory.mktemp("opt-ml-fast")
    build_model(base / "model")
    add_runtimes(base / "model", None, 0.5, with_int8=False)
    add_code(base / "model")
    return base


@pytest.fixture(scope="module")
def fast(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that can import what requirements/serve.txt lists, and nothing else."""
    folder = tmp_path_factory.mktemp("only-the-lock")
    script = ONLY_THE_LOCK.replace("LOCK", repr(str(LOCK)), 1)
    (folder / "sitecustomize.py").write_text(script)
    with serving(base, PYTHONPATH=str(folder)) as server:
        server.wait_for("ready")
        yield server


def processes_of(server: Server) -> list[int]:
    """The server's own and all below it."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--sid", str(server.process.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(pid) for pid in listed.stdout.split()]


def test_it_serves_with_what_the_lock_lists(fast: Server, base: Path) -> None:
    reply = fast.invoke(picture("rgb.jpg"))

    golden = read_card(base / "model").golden
    first = reply.json["predictions"][0]
    assert (reply.status, first["label"]) == (200, golden.label)
    assert first["probability"] == pytest.approx(golden.probability, abs=1e-4)


def test_no_process_of_it_holds_torch(fast: Server) -> None:
    fast.invoke(picture("rgb.jpg"))

    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in processes_of(fast)]

    assert len(maps) >= 2
    assert any("libopenvino" in text for text in maps)
    assert [text for text in maps if "libtorch" in text] == []


def test_a_process_that_runs_torch_is_seen_to_hold_it(server: Server) -> None:
    server.invoke(picture("rgb.jpg"))

    maps = [Path(f"/proc/{pid}/maps").read_text() for pid in processes_of(server)]

    assert any("libtorch" in text for text in maps)


def test_it_says_what_it_is_in_the_log_in_ping_and_in_each_reply(fast: Server) -> None:
    ready, ping = fast.wait_for("ready"), fast.send("GET", "/ping").json

    assert ready["runtime"] == ping["runtime"] == "openvino-fp32"
    assert ready["processor"] == ping["processor"]
    assert ping["processor"] in ("amx", "avx512", "avx2", "none")
    header = fast.invoke(picture("rgb.jpg")).headers["x-kennel-runtime"]
    assert header == f"openvino-fp32; {ping['processor']}"


@pytest.mark.parametrize(
    ("precision", "says"),
    [
        ("int8", "refused openvino-int8: not measured"),
        ("fp16", "PRECISION is 'fp16'; it must be one of auto, fp32, bf16, int8"),
    ],
)
def test_a_precision_that_cannot_be_had_ends_the_start_with_one_line(
    base: Path, precision: str, says: str
) -> None:
    with serving(base, PRECISION=precision) as server:
        status = server.process.wait(timeout=60)
        line = server.wait_for("refused to start")

    assert (status, says in line["reason"]) == (3, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<net/>", "openvino.xml is not an OpenVINO network"),
        ('<net name="a" version="11"><layers/></net>', "cannot be run as openvino-fp32"),
    ],
    ids=["nothing", "empty"],
)
def test_a_file_that_openvino_cannot_run_is_refused_by_name(
    base: Path, tmp_path: Path, text: str, says: str
) -> None:
    shutil.copytree(base, tmp_path / "copy")
    folder = tmp_path / "copy" / "model"
    card = read_card(folder)
    (folder / "openvino.xml").write_text(text)
    files = card.files | {"openvino.xml": file_sha256(folder / "openvino.xml")}
    rewrite_card(folder, card, files=files)

    with serving(tmp_path / "copy") as server:
        status = server.process.wait(timeout=60)
        line = server.wait_for("refused to start")

    assert (status, says in line["reason"]) == (3, True)
