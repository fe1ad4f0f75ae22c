"""Exporting asks nobody: OpenVINO and NNCF report their use to their makers unless stopped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.training.runtimes.conftest import Model

SRC = Path(__file__).parents[3] / "src"
WATCHED = """
import sys
EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
def watch(event, arguments):
    if event in EVENTS:
        open(sys.argv[1], "a").write(f"{event} {arguments[1:]}\\n")
        raise OSError("this process may not ask anybody")
sys.addaudithook(watch)
"""
EXPORT = """
from training.runtimes.__main__ import main
code = main(sys.argv[2:])
sys.exit(code)
"""
ASK = """
import socket
socket.create_connection(("localhost", 9))
"""


def watched(script: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script that may not ask anybody; what it tried is in home/asked."""
    # Their makers' tests are told apart by such variables, and report nothing.
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", WATCHED + script, str(home / "asked"), *arguments],
        env={**kept, "HOME": str(home), "PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_exporting_asks_nobody_and_leaves_nothing_at_home(trained: Model, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    folders = [f"--data={trained.data}", f"--model-dir={trained.folder}"]

    done = watched(EXPORT, home, *folders, f"--cache-dir={trained.cache}")

    assert done.returncode == 0, done.stderr
    assert {runtime.accuracy for runtime in trained.card.runtimes} == {1.0}  # all were made
    assert [str(file.relative_to(home)) for file in home.rglob("*")] == []
    first, heading, *rows = done.stdout.splitlines()
    assert first.startswith("Exporting ")
    assert heading.split() == ["runtime", "accuracy", "as", "float32", "ms", "verdict"]
    assert [row.split()[0] for row in rows] == ["openvino-fp32", "openvino-bf16", "openvino-int8"]
    assert done.stderr == ""


def test_asking_would_have_been_seen(tmp_path: Path) -> None:
    done = watched(ASK, tmp_path)

    assert done.returncode != 0
    assert "socket." in (tmp_path / "asked").read_text()
