"""Runs that are killed with SIGKILL, again and again, end with the bits of an undisturbed run."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Folder = Callable[..., Path]
KILLS = 25  # of each method


@pytest.mark.slow
@pytest.mark.parametrize("method", ["head", "finetune"])
def test_killed_at_any_moment_a_run_ends_with_the_same_model_and_curve(
    method: str, folder: Folder, tmp_path: Path
) -> None:
    data = folder(train=4, valid=2, test=1)
    program = [sys.executable, "tests/training/killing.py"]
    env = {"PYTHONPATH": "src", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    ran = subprocess.run(
        [*program, data, tmp_path / "runs", method, str(KILLS), "1"],
        env=env, capture_output=True, text=True, timeout=600,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["wrong"] == [], found["log"]
    assert found["torn"] == []
    assert (found["died"], found["places"]) == (KILLS, 0)
    assert [told["epoch"] for told in found["epochs"]] == list(range(1, len(found["epochs"]) + 1))
    assert found["checkpoints"] == []
