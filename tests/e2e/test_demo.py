"""`make demo`, interrupted in the middle and then run to its end."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from tests.e2e.stage import ROOT, processes_below, shell

pytestmark = pytest.mark.slow


def demo(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        ["make", "--no-print-directory", "demo", f"DEMO={folder}"],
        cwd=ROOT,
        env=shell(),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_demo_that_was_interrupted_leaves_no_process_and_runs_again(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    first = demo(folder)
    pause = threading.Event()
    while first.poll() is None and not any(folder.glob("log/*-train.log")):
        pause.wait(0.2)
    os.killpg(first.pid, signal.SIGINT)
    told, _ = first.communicate(timeout=120)

    assert first.returncode != 0, told
    assert "Interrupted" in told
    assert processes_below(folder) == []

    second = demo(folder)
    told, _ = second.communicate(timeout=600)

    assert second.returncode == 0, told
    assert "none failed" in told
    assert "no changes" in told
    assert "nothing is left" in told
    assert "data:image/jpeg;base64," in (folder / "summary.html").read_text()
    assert processes_below(folder) == []
