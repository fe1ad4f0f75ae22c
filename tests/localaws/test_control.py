"""Starting, finding and stopping the local AWS."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from localaws import control

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "local"
    yield place
    control.down(place)


def _localaws(*arguments: str, env: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    path = {**(env or os.environ), "PYTHONPATH": str(Path(control.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-m", "localaws", *arguments],
        env=path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _output(process: "subprocess.Popen[str]") -> tuple[int, str]:
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


def test_a_second_up_finds_the_first(folder: Path) -> None:
    first = control.up(folder, "us-east-1")

    assert control.up(folder, "us-east-1") == first


def test_down_ends_the_daemon_and_takes_its_address_away(folder: Path) -> None:
    address = control.up(folder, "us-east-1")

    assert control.down(folder)

    assert not (folder / "gateway.json").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(address.pid, 0)


def test_the_address_of_a_dead_daemon_is_not_believed(folder: Path) -> None:
    old = control.up(folder, "us-east-1")
    os.kill(old.pid, signal.SIGKILL)
    os.waitpid(old.pid, 0)

    assert (folder / "gateway.json").exists()
    assert control.find(folder) is None
    new = control.up(folder, "us-east-1")

    assert new.pid != old.pid


def test_the_daemon_of_another_folder_is_not_taken_for_ones_own(
    folder: Path, tmp_path: Path
) -> None:
    address = control.up(folder, "us-east-1")
    other = tmp_path / "other"
    other.mkdir()
    (other / "gateway.json").write_text((folder / "gateway.json").read_text())

    assert control.find(other) is None
    assert control.find(folder) == address


def test_a_folder_with_somebody_elses_files_is_not_emptied(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("important")

    with pytest.raises(control.ControlError, match="did not make"):
        control.up(folder, "us-east-1")

    assert (folder / "thesis.txt").exists()


def test_run_gives_the_command_the_environment_and_its_exit_code(folder: Path) -> None:
    env = {**os.environ, "AWS_PROFILE": "work", "AWS_CA_BUNDLE": "/nowhere"}
    code = "import json, os, sys; print(json.dumps(dict(os.environ))); sys.exit(7)"

    status, out = _output(
        _localaws("run", "--folder", str(folder), "--", sys.executable, "-c", code, env=env)
    )

    seen = json.loads(out)
    address = control.find(folder)
    assert address is not None
    assert status == 7
    assert seen["AWS_ENDPOINT_URL"] == address.url
    assert seen["AWS_ACCESS_KEY_ID"] == address.access_key_id
    assert not {"AWS_PROFILE", "AWS_CA_BUNDLE"} & set(seen)


def test_ctrl_c_in_the_terminal_leaves_the_daemon_alone(folder: Path) -> None:
    address = control.up(folder, "us-east-1")

    assert os.getpgid(address.pid) == address.pid != os.getpgid(0)


def test_two_folders_have_two_separate_clouds(folder: Path, tmp_path: Path) -> None:
    first = control.up(folder, "us-east-1")
    second = control.up(tmp_path / "second", "eu-west-1")
    control.down(tmp_path / "second")

    assert first.url != second.url
    assert second.region == "eu-west-1"
    with urllib.request.urlopen(f"{first.url}/_localaws/status") as reply:
        assert json.load(reply)["folder"] == str(folder.resolve())


def test_a_daemon_that_cannot_start_is_reported_with_its_last_lines(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "werkzeug.py").write_text("raise RuntimeError('no such luck')\n")
    monkeypatch.setenv("PYTHONPATH", str(broken))

    with pytest.raises(control.ControlError, match="no such luck"):
        control.up(folder, "us-east-1")


def test_a_reader_of_the_log_may_stop_when_it_has_read_enough(tmp_path: Path) -> None:
    (tmp_path / "gateway.log").write_text("a line of the log\n" * 100_000)

    with _localaws("logs", "--folder", str(tmp_path)) as reading:
        assert reading.stdout is not None
        assert reading.stdout.readline() == "a line of the log\n"
        reading.stdout.close()

    assert reading.returncode == 0
