"""Checkpoints: the newest whole one of the same run is used, and nothing else."""

import io
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from training.checkpoints import Checkpoints, parse_checkpoint
from training.runlog import RunLog
from training.saving import pack, unpacked

IDENTITY = {"hyperparameters": {"seed": 7, "learning_rate": 0.01}, "data_sha256": "d" * 64}


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "output", io.StringIO())


def open_folder(tmp_path: Path, log: RunLog, **changes: Any) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints", {**IDENTITY, **changes}, log)


def write(checkpoints: Checkpoints, *steps: int) -> list[Path]:
    return [
        checkpoints.write({"step": step}, {"weight": torch.full((3, 5), float(step))})
        for step in steps
    ]


def newest_step(checkpoints: Checkpoints) -> int:
    found = parse_checkpoint(checkpoints.newest())
    step: int = found.position["step"]
    assert torch.equal(found.tensors["weight"], torch.full((3, 5), float(step)))
    return step


def test_the_two_newest_are_kept_and_the_newest_is_read(tmp_path: Path, log: RunLog) -> None:
    write(open_folder(tmp_path, log), 1, 2, 3)

    again = open_folder(tmp_path, log)

    assert newest_step(again) == 3
    write(again, 4)
    assert newest_step(open_folder(tmp_path, log)) == 4
    assert len(list((tmp_path / "checkpoints").iterdir())) == 2


def test_no_folder_and_an_empty_one_have_no_checkpoint(tmp_path: Path, log: RunLog) -> None:
    assert open_folder(tmp_path, log).newest() == b""
    (tmp_path / "checkpoints").mkdir()
    assert open_folder(tmp_path, log).newest() == b""


def test_a_file_that_was_cut_off_anywhere_is_refused_and_the_one_before_it_used(
    tmp_path: Path, log: RunLog, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(open_folder(tmp_path, log), 1, 2)[-1]
    whole = path.read_bytes()

    for length in (0, 5, 8, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert newest_step(open_folder(tmp_path, log)) == 1
        assert f"{path} is not used: " in capsys.readouterr().err


def test_a_file_of_which_any_byte_was_altered_is_refused(
    tmp_path: Path, log: RunLog, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(open_folder(tmp_path, log), 1, 2)[-1]
    whole = path.read_bytes()

    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 0x10
        path.write_bytes(altered)
        checkpoints = open_folder(tmp_path, log)
        assert newest_step(checkpoints) == 1, place
    assert capsys.readouterr().err.count("is not used") + told_others(log) == len(whole)


def told_others(log: RunLog) -> int:
    return log.path.read_text().count("is of another run")


def test_the_next_one_is_written_over_the_torn_one(tmp_path: Path, log: RunLog) -> None:
    torn = write(open_folder(tmp_path, log), 1, 2)[-1]
    torn.write_bytes(torn.read_bytes()[:-1])
    checkpoints = open_folder(tmp_path, log)
    assert newest_step(checkpoints) == 1

    assert write(checkpoints, 2) == [torn]

    assert newest_step(open_folder(tmp_path, log)) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data_sha256": "e" * 64}, "data_sha256 dddddddddddd..., here eeeeeeeeeeee..."),
        ({"processes": 2}, "processes None, here 2"),
        ({"hyperparameters": {"seed": 8, "learning_rate": 0.01}}, "seed 7, here 8"),
    ],
)
def test_a_checkpoint_of_another_run_stays_and_is_said_to_be_one(
    changes: dict[str, Any], said: str, tmp_path: Path, log: RunLog
) -> None:
    theirs = open_folder(tmp_path, log)
    path = write(theirs, 1)[0]
    ours = open_folder(tmp_path, log, **changes)

    assert ours.newest() == b""
    write(ours, 5, 6, 7)
    ours.remove()

    assert f"of another run ({said})" in log.path.read_text()
    assert list(path.parent.iterdir()) == [path]
    assert newest_step(open_folder(tmp_path, log)) == 1


def test_a_finished_run_leaves_no_folder(tmp_path: Path, log: RunLog) -> None:
    checkpoints = open_folder(tmp_path, log)
    write(checkpoints, 1, 2)

    checkpoints.remove()

    assert not (tmp_path / "checkpoints").exists()


def test_a_half_written_file_of_a_killed_run_is_not_looked_at(
    tmp_path: Path, log: RunLog, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(open_folder(tmp_path, log), 1)[0]
    path.with_suffix(".part").write_bytes(b"half")

    assert newest_step(open_folder(tmp_path, log)) == 1
    assert capsys.readouterr().err == ""
    open_folder(tmp_path, log).remove()
    assert not path.parent.exists()


def test_other_tools_can_open_it(tmp_path: Path, log: RunLog) -> None:
    path = write(open_folder(tmp_path, log), 3)[0]

    with safe_open(path, "pt") as file:
        assert torch.equal(file.get_tensor("weight"), torch.full((3, 5), 3.0))


def test_a_state_comes_back_with_its_kinds_and_its_memory_layout(
    tmp_path: Path, log: RunLog
) -> None:
    filters = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    empty, number = torch.zeros(0, 3), torch.tensor(5, dtype=torch.int64)
    state = {"a.b": {0: filters, 1: number}, "best": math.inf, "none": None, "list": [empty, 0.1]}
    tensors: dict[str, Tensor] = {}
    checkpoints = open_folder(tmp_path, log)

    checkpoints.write(pack(state, tensors), tensors)

    read = parse_checkpoint(checkpoints.newest())
    found = unpacked(read.position, read.tensors)
    assert torch.equal(found["a.b"][0], filters)
    assert found["a.b"][0].stride() == filters.stride()
    assert torch.equal(found["a.b"][1], number)
    assert (found["best"], found["none"], found["list"][1]) == (math.inf, None, 0.1)
    assert found["list"][0].shape == (0, 3)


def test_a_tensor_that_is_stored_twice_is_two(tmp_path: Path, log: RunLog) -> None:
    one = torch.arange(6.0)
    checkpoints = open_folder(tmp_path, log)

    checkpoints.write({}, {"whole": one, "same": one})

    tensors = parse_checkpoint(checkpoints.newest()).tensors
    assert torch.equal(tensors["whole"], tensors["same"])
