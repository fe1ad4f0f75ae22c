"""Several processes make the run that one makes."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.training.conftest import make_folder

from contract.strict import ContractError
from training.processes import wanted

Folder = Callable[..., Path]
Together = Callable[..., dict[str, Any]]
ALONE = {"PYTHONPATH": "src", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
TORCHRUN = {
    "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "1",
}  # fmt: skip
STRUCK = ("--method=finetune", "--epochs=2", "--checkpoint-seconds=0")
SHORT = ["--weights=random", "--backbone=shufflenet_v2_x0_5", "--image-size-px=32",
         "--batch-size=5", "--hidden-units=0"]  # fmt: skip


@pytest.fixture(scope="module")
def program() -> Iterator[Together]:
    """Asks tests/training/together.py, which is started once."""
    command = [sys.executable, "tests/training/together.py"]
    with subprocess.Popen(
        command, env=ALONE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def ask(*words: object) -> dict[str, Any]:
            asked.write(json.dumps([str(word) for word in words]) + "\n")
            asked.flush()
            found: dict[str, Any] = json.loads(answers.readline())
            return found

        yield ask
        asked.close()


@pytest.fixture(scope="module")
def together(program: Together, tmp_path_factory: pytest.TempPathFactory) -> Together:
    """Runs training.main in several processes; a name has its own folders and is run once."""
    root = tmp_path_factory.mktemp("together")
    data = make_folder(root / "data", train=4, valid=2, test=1)

    def go(name: str, *arguments: str, processes: int = 2, strike: str = "none") -> dict[str, Any]:
        home = root / name
        home.mkdir(exist_ok=True)
        folders = [
            f"--{option}={home / option}"
            for option in ("model-dir", "output-dir", "checkpoint-dir", "cache-dir")
        ]
        words = [f"--data={data}", *folders, *SHORT, *arguments]
        found = program("run", home, processes, strike, *words)
        card, metrics = home / "model-dir" / "model.json", home / "output-dir" / "metrics.jsonl"
        found["card"] = json.loads(card.read_text()) if card.exists() else None
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        return {**found, "events": [json.loads(line) for line in lines]}

    return go


@pytest.fixture(scope="module")
def whole(together: Together) -> dict[str, Any]:
    """An undisturbed run of two processes."""
    return together("whole", *STRUCK)


def errors(found: dict[str, Any]) -> list[str]:
    lines = "\n".join(found["said"]).splitlines()
    return [line for line in lines if line.startswith(("training: ", "Traceback"))]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        "batch_size=5 accumulate=2 label_smoothing=0.1 balanced=true",
        "batch_size=11 clip_norm=0.5",  # the last batch is one picture: one has nothing to do
    ],
)
def test_gradients_are_those_of_one_process_with_the_whole_batch(
    changes: str, program: Together, folder: Folder, tmp_path: Path
) -> None:
    data = folder(train=4, valid=2)
    (data / "train/002.sky/0.jpg").rename(data / "train/001.rust/9.jpg")
    texts = "method=finetune backbone=shufflenet_v2_x0_5 image_size_px=32 epochs=1 hidden_units=0"

    found = program("gradients", data, tmp_path, *texts.split(), *changes.split())

    assert found["codes"] == [[0], [0, 0]]
    assert found["steps"] == 2
    assert found["first_step"] < 1e-6
    assert found["losses"] < 1e-6
    assert found["in_step"]
    assert found["features_alike"]


@pytest.mark.slow
def test_a_head_has_the_bits_of_one_process_and_only_the_first_one_speaks(
    together: Together,
) -> None:
    arguments = ("--method=head", "--epochs=2")
    alone = together("alone", *arguments, processes=1)

    several = together("several", *arguments, processes=3)

    assert several["codes"] == [0, 0, 0]
    assert several["card"] == alone["card"]
    assert several["said"][1:] == ["", ""]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strike", "codes", "line"),
    [
        ("1:SIGTERM:2", [143, 143], "stopped by another process"),
        ("0:SIGTERM:2", [143, 143], "stopped by SIGTERM"),
        ("1:SIGKILL:4", [2, -9], "another process of this run has ended without a word"),
    ],
)
def test_when_one_process_is_struck_all_end_with_one_line_and_go_on_to_the_same_bits(
    strike: str, codes: list[int], line: str, whole: dict[str, Any], together: Together
) -> None:
    struck = together(strike, *STRUCK, strike=strike)

    assert struck["codes"] == codes
    assert [line in said for said in errors(struck)] == [True]
    resumed = together(strike, *STRUCK)
    assert resumed["codes"] == [0, 0]
    assert [event["event"] for event in resumed["events"]].count("resumed") == 1
    assert resumed["card"] == whole["card"]


@pytest.mark.slow
def test_a_mistake_is_one_line_whichever_process_finds_it_first(together: Together) -> None:
    found = together("wrong", "--method=finetune", "--batch-norm=adaptive")

    assert found["codes"] == [2, 2]
    assert [said[:33] for said in errors(found)] == ["training: batch_norm is adaptive:"]


def launched(data: Path, tmp_path: Path) -> "subprocess.CompletedProcess[str]":
    """What `make train PROCESSES=2` runs: torchrun, without its stack traces."""
    arguments = [f"--data={data}", f"--model-dir={tmp_path / 'model'}",
                 f"--output-dir={tmp_path / 'out'}", f"--checkpoint-dir={tmp_path / 'kept'}",
                 f"--cache-dir={tmp_path / 'cache'}", *SHORT, "--epochs=2"]  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "training.launch", "--processes=2", *arguments],
        env=ALONE, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.slow
def test_torchrun_starts_it(folder: Folder, tmp_path: Path) -> None:
    ran = launched(folder(train=4, valid=2), tmp_path)

    assert ran.returncode == 0, ran.stderr
    told = [json.loads(line)["event"] for line in ran.stdout.splitlines()]
    assert told.count("epoch") == 2
    assert (tmp_path / "model" / "model.json").exists()


@pytest.mark.slow
def test_a_mistake_under_torchrun_is_one_line_and_its_exit_code(tmp_path: Path) -> None:
    ran = launched(tmp_path / "nowhere", tmp_path)

    assert ran.returncode == 2
    assert [line[:9] for line in ran.stderr.splitlines()] == ["training:"]


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"SM_HOSTS": '["algo-1", "algo-2"]'}, "sagemaker_torch_distributed_enabled to \"true\""),
        ({"SM_HOSTS": '["algo-1", "algo-2", "algo-3"]', **TORCHRUN}, "SM_HOSTS names 3 instances"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "LOCAL_RANK, MASTER_ADDR, MASTER_PORT not set"),
    ],
)  # fmt: skip
def test_several_instances_without_torchrun_on_each_are_refused(
    env: dict[str, str], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        wanted(env)


def test_one_process_and_torchruns_environment_are_understood() -> None:
    assert wanted({}) == 1
    assert wanted({"SM_HOSTS": '["algo-1"]'}) == 1
    assert wanted({"SM_HOSTS": '["algo-1", "algo-2"]', **TORCHRUN}) == 2
