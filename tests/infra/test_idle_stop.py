"""The notebook's own idle check, against a small Jupyter server."""

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "infra" / "modules" / "notebook" / "idle_stop.py"
HOUR = 3600.0
COMPUTE = """
import sys
from jupyter_client import BlockingKernelClient
client = BlockingKernelClient(connection_file=sys.argv[1])
client.load_connection_file()
client.start_channels(hb=False)  # a kernel that starts slowly is not dead
client.wait_for_ready()
client.execute(f"open({sys.argv[2]!r}).read()")
client.stop_channels()
"""


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("idle_stop", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


idle_stop = load()


@dataclass(frozen=True)
class Jupyter:
    """A running server."""

    url: str
    runtime: Path

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read() or "null")

    def wait(self, path: str, **wanted: str) -> None:
        """Wait until a kernel is as it must be."""
        while not wanted.items() <= self.call("GET", path).items():
            threading.Event().wait(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    folder = tmp_path_factory.mktemp("jupyter")
    env = os.environ | {
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "no_proxy": "*",
    }
    options = {
        "IdentityProvider.token": "",
        "ServerApp.allow_root": True,
        "ServerApp.disable_check_xsrf": True,
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.open_browser": False,
        "ServerApp.port": 0,
        "ServerApp.root_dir": folder,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *words],
            cwd=folder,
            env=env,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = None
        while address is None:
            assert process.poll() is None, (folder / "log").read_text()
            threading.Event().wait(0.05)
            address = re.search(r"http://127\.0\.0\.1:\d+/\n", (folder / "log").read_text())
        yield Jupyter(url=f"{address[0].strip()}api", runtime=folder / "runtime")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def jupyter(server: Jupyter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jupyter]:
    """The server without a kernel or a terminal."""
    monkeypatch.setenv("no_proxy", "*")
    yield server
    for kernel in server.call("GET", "kernels"):
        server.call("DELETE", f"kernels/{kernel['id']}")
    for terminal in server.call("GET", "terminals"):
        server.call("DELETE", f"terminals/{terminal['name']}")


@dataclass
class Machine:
    """The instance that the check runs on."""

    folder: Path
    up_seconds: float = 8 * HOUR
    worked_seconds: float = 0

    def look(self, jupyter: str, *, after_seconds: float = 0) -> bool:
        """Whether the check, run some time from now with a limit of an hour, stops the machine."""
        proc = self.folder / "proc"
        proc.mkdir(exist_ok=True)
        ticks = round((self.worked_seconds) * os.sysconf("SC_CLK_TCK"))
        (proc / "stat").write_text(f"cpu  {ticks} 0 0 987654 0 0 0 0 0 0\ncpu0 1 2 3 4\n")
        (proc / "uptime").write_text(f"{self.up_seconds + after_seconds:.2f} 1.00\n")
        metadata = self.folder / "resource-metadata.json"
        metadata.write_text(json.dumps({"ResourceName": "kennel"}))
        asked = self.folder / "asked"

        idle_stop.main(
            "60",
            jupyter,
            str(metadata),
            str(self.folder / "notes.json"),
            str(proc),
            time.time() + after_seconds,
        )

        words = asked.read_text() if asked.exists() else ""
        assert words in ("", "sagemaker stop-notebook-instance --notebook-instance-name kennel\n")
        return bool(words)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """With an `aws` on PATH that writes down what it was asked."""
    program = tmp_path / "bin" / "aws"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path / "asked"}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return Machine(tmp_path)


@pytest.fixture
def idle_kernel(jupyter: Jupyter) -> str:
    """A kernel that has answered and waits; its path."""
    path = f"kernels/{jupyter.call('POST', 'kernels', {'name': 'python3'})['id']}"
    compute(jupyter, path, os.devnull)
    jupyter.wait(path, execution_state="idle")
    return path


def compute(jupyter: Jupyter, path: str, file: str) -> None:
    """Let a kernel read a file."""
    connection = jupyter.runtime / f"kernel-{path.removeprefix('kernels/')}.json"
    subprocess.run([sys.executable, "-c", COMPUTE, str(connection), file], check=True)


@pytest.mark.slow
def test_a_notebook_that_nobody_opened_stops_an_hour_after_its_start(
    jupyter: Jupyter, machine: Machine
) -> None:
    machine.up_seconds = 0

    assert not machine.look(jupyter.url, after_seconds=0.9 * HOUR)
    assert machine.look(jupyter.url, after_seconds=1.1 * HOUR)


@pytest.mark.slow
@pytest.mark.usefixtures("idle_kernel")
def test_an_idle_kernel_is_use_until_an_hour_after_its_last_answer(
    jupyter: Jupyter, machine: Machine
) -> None:
    assert not machine.look(jupyter.url, after_seconds=0.9 * HOUR)
    assert machine.look(jupyter.url, after_seconds=1.1 * HOUR)


@pytest.mark.slow
def test_a_busy_kernel_is_use_however_long_it_computes(
    jupyter: Jupyter, machine: Machine, idle_kernel: str, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    compute(jupyter, idle_kernel, str(pipe))
    jupyter.wait(idle_kernel, execution_state="busy")

    stopped = machine.look(jupyter.url, after_seconds=30 * HOUR)

    pipe.write_text("done")
    assert not stopped
    jupyter.wait(idle_kernel, execution_state="idle")
    assert machine.look(jupyter.url, after_seconds=30 * HOUR)


@pytest.mark.slow
def test_an_open_terminal_is_use_until_an_hour_after_its_last_word(
    jupyter: Jupyter, machine: Machine
) -> None:
    jupyter.call("POST", "terminals")

    assert not machine.look(jupyter.url, after_seconds=0.9 * HOUR)
    assert machine.look(jupyter.url, after_seconds=1.1 * HOUR)


@pytest.mark.slow
def test_a_terminal_that_computes_without_a_word_is_use(jupyter: Jupyter, machine: Machine) -> None:
    jupyter.call("POST", "terminals")
    looks = []

    for minutes in range(5, 180, 5):
        machine.worked_seconds += 150  # half a core
        looks.append(machine.look(jupyter.url, after_seconds=60 * minutes))

    assert not any(looks)
    assert not machine.look(jupyter.url, after_seconds=3.9 * HOUR)
    assert machine.look(jupyter.url, after_seconds=4.1 * HOUR)


@pytest.mark.slow
def test_what_a_machine_does_by_itself_is_no_use(jupyter: Jupyter, machine: Machine) -> None:
    machine.up_seconds = 0
    looks = []

    for minutes in range(5, 65, 5):
        machine.worked_seconds += 30  # a tenth of a core
        looks.append(machine.look(jupyter.url, after_seconds=60 * minutes))

    assert looks == 11 * [False] + [True]


@pytest.mark.parametrize(("up_hours", "stops"), [(0.9, False), (1.1, True)])
def test_a_server_that_is_down_has_nothing_running(
    machine: Machine, up_hours: float, stops: bool
) -> None:
    machine.up_seconds = up_hours * HOUR

    assert machine.look("http://127.0.0.1:9/api") is stops


def test_times_are_read_as_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()

    found = idle_stop.seconds_of("2026-11-22T16:00:00.123Z")

    monkeypatch.undo()
    time.tzset()
    assert found == 1_795_363_200


def test_a_sign_of_life_from_before_the_start_does_not_count() -> None:
    before = {"execution_state": "idle", "last_activity": "2026-11-22T15:00:00Z"}
    started = 1_795_363_200.0

    assert idle_stop.last_use([before], [], started, started + HOUR) == started
