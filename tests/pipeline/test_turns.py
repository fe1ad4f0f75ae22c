"""Whose turn it is to work on a stage, in one folder and between machines."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.aws import Account
from pipeline.cli import Failed
from pipeline.turns import Lock, Turn, find_lock, here, remove_lock

SOURCE = str(Path(__file__).parents[2] / "src")
KEY = "terraform.tfstate"
TAKE = """
import subprocess, sys
from pathlib import Path
from pipeline.turns import Turn
turn = Turn(Path(sys.argv[1]))
child = subprocess.Popen(["cat"], pass_fds=[turn.fd], stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
child.wait()
"""


def lock(who: str, created: datetime) -> Lock:
    return Lock(created=created, etag="", operation="apply", who=who)


@pytest.fixture
def other(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has the turn, and gave it to a child that reads what this test writes."""
    with subprocess.Popen(
        [sys.executable, "-c", TAKE, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": SOURCE},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        yield process


def test_while_one_process_has_the_turn_another_is_told_which(
    tmp_path: Path, other: "subprocess.Popen[bytes]"
) -> None:
    assert other.stdout is not None
    other.stdout.readline()

    with pytest.raises(Failed, match=f"Process {other.pid}, .* works on this stage since 20"):
        Turn(tmp_path)


def test_the_turn_is_over_when_the_last_child_of_a_killed_process_is_gone(
    tmp_path: Path, other: "subprocess.Popen[bytes]"
) -> None:
    assert other.stdout is not None
    child = int(other.stdout.readline())
    other.kill()
    other.wait()
    with pytest.raises(Failed, match="or what it started"):
        Turn(tmp_path)

    os.kill(child, signal.SIGKILL)
    with (tmp_path / "turn").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)

    with Turn(tmp_path) as turn:
        assert turn.left(lock(here(), datetime.now(UTC)))


def test_a_command_that_ended_in_order_left_no_lock(tmp_path: Path) -> None:
    with Turn(tmp_path):
        pass

    with Turn(tmp_path) as turn:
        assert not turn.left(lock(here(), datetime.now(UTC)))


@pytest.mark.parametrize(
    ("who", "after_seconds", "left"),
    [
        pytest.param(here(), 1, True, id="taken when the killed command began"),
        pytest.param("ada@laptop", 1, False, id="somebody else's"),
        pytest.param(here(), -1, False, id="taken before"),
        pytest.param(here(), 61, False, id="taken long after"),
    ],
)
def test_a_lock_is_a_killed_commands_if_it_was_taken_here_when_that_began(
    tmp_path: Path, who: str, after_seconds: int, left: bool
) -> None:
    began = datetime(2026, 11, 22, 12, tzinfo=UTC)
    note = {"at": began.isoformat(), "began": began.isoformat(), "pid": 1}
    (tmp_path / "turn").write_text(json.dumps(note))

    with Turn(tmp_path) as turn:
        assert turn.left(lock(who, began + timedelta(seconds=after_seconds))) is left


@pytest.mark.slow
def test_a_lock_that_took_the_place_of_another_is_not_removed(
    account: Account, bucket: str
) -> None:
    s3 = account.client("s3")

    def write(who: str) -> None:
        told = {"Created": "2026-11-22T12:00:00Z", "Operation": "OperationTypePlan", "Who": who}
        s3.put_object(Bucket=bucket, Key=f"{KEY}.tflock", Body=json.dumps(told).encode())

    write("ada@laptop")
    first = find_lock(s3, bucket, KEY)
    assert first is not None
    write("bob@laptop")

    with pytest.raises(Failed, match="bob@laptop"):
        remove_lock(s3, bucket, KEY, first)

    second = find_lock(s3, bucket, KEY)
    assert second is not None
    assert (second.who, second.operation) == ("bob@laptop", "plan")
    remove_lock(s3, bucket, KEY, second)
    assert find_lock(s3, bucket, KEY) is None
