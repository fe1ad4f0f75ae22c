"""The notebook's own idle check, against a server that answers as Jupyter does."""

import importlib.util
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "infra" / "modules" / "notebook" / "idle_stop.py"
STARTED, NOW = 1_795_363_200.0, 1_795_366_800.0  # 2026-11-22, 16:00 and 17:00 UTC
IDLE = {"execution_state": "idle", "last_activity": "2026-11-22T16:20:00.123456Z"}
BUSY = {"execution_state": "busy", "last_activity": "2026-11-22T16:10:00.123456Z"}
TERMINAL = {"name": "1", "last_activity": "2026-11-22T16:40:00Z"}
Serve = Callable[[dict[str, Any]], str]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("idle_stop", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


idle_stop = load()


@pytest.fixture
def jupyter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Answers the given paths below /api, and 404 to others; tells its address."""
    monkeypatch.setenv("no_proxy", "*")
    answers: dict[str, Any] = {}

    class Jupyter(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path in answers
            body = json.dumps(answers[self.path] if known else {"message": "Not Found"}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Jupyter)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def serve(what: dict[str, Any]) -> str:
        answers.update({f"/api/{name}": value for name, value in what.items()})
        return f"http://127.0.0.1:{server.server_port}/api"

    yield serve
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("kernels", "terminals", "last"),
    [
        pytest.param([], [], STARTED, id="never opened: since the machine started"),
        pytest.param([IDLE], [], STARTED + 1200, id="an idle kernel: since it last answered"),
        pytest.param([IDLE, BUSY], [], NOW, id="a busy kernel: in use, however old its last sign"),
        pytest.param([IDLE], [TERMINAL], STARTED + 2400, id="a terminal used after the kernel"),
        pytest.param([], [TERMINAL], STARTED + 2400, id="a terminal and no kernel"),
    ],
)
def test_the_last_use_is_the_latest_sign_of_life(
    kernels: list[Any], terminals: list[Any], last: float, jupyter: Serve
) -> None:
    address = jupyter({"kernels": kernels, "terminals": terminals})

    found = idle_stop.last_use(
        idle_stop.ask(address, "kernels"), idle_stop.ask(address, "terminals"), STARTED, NOW
    )

    assert found == last


def test_a_sign_of_life_from_before_the_start_does_not_count() -> None:
    before = {"execution_state": "idle", "last_activity": "2026-11-22T15:00:00Z"}

    assert idle_stop.last_use([before], [], STARTED, NOW) == STARTED


def test_a_server_that_is_down_has_nothing_running() -> None:
    assert idle_stop.ask("http://127.0.0.1:9/api", "kernels") == []


def test_a_server_that_does_not_know_terminals_has_none(jupyter: Serve) -> None:
    assert idle_stop.ask(jupyter({"kernels": [IDLE]}), "terminals") == []


def test_times_are_read_as_utc_wherever_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()

    found = idle_stop.seconds_of("2026-11-22T16:00:00.123Z")

    monkeypatch.undo()
    time.tzset()
    assert found == STARTED


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """An `aws` on PATH that writes down what it was asked; tells it."""
    asked = tmp_path / "asked"
    program = tmp_path / "bin" / "aws"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> "{asked}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return lambda: asked.read_text() if asked.exists() else ""


def test_an_idle_notebook_stops_itself_by_its_name(
    jupyter: Serve, stopped: Callable[[], str], tmp_path: Path
) -> None:
    metadata = tmp_path / "resource-metadata.json"
    metadata.write_text(json.dumps({"ResourceName": "kennel"}))

    idle_stop.main("0", jupyter({"kernels": [], "terminals": []}), str(metadata))

    assert stopped() == "sagemaker stop-notebook-instance --notebook-instance-name kennel\n"


def test_a_notebook_that_is_used_goes_on(
    jupyter: Serve, stopped: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    idle_stop.main("10", jupyter({"kernels": [BUSY], "terminals": []}))

    assert stopped() == ""
    assert capsys.readouterr().out == "idle for 0 of 10 minutes\n"
