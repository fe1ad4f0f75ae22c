import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contract.strict import ContractError
from pipeline.changes import costs, summary
from pipeline.runs import read_overridden, shown
from pipeline.terraform import Change

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "src" / "pipeline" / "run_on_instance.sh"
HYPERPARAMETERS = REPOSITORY / "config" / "hyperparameters.json"

AWS = """#!/bin/sh
# `aws s3 cp|sync [options] FROM TO` on folders: s3://bucket is the folder BUCKET.
verb=$2
shift 2
while [ "${1#--}" != "$1" ]; do shift; done
here() { echo "$1" | sed "s#^s3://bucket#$BUCKET#"; }
from=$(here "$1") to=$(here "$2")
mkdir -p "$(dirname "$to")"
[ "$verb" = cp ] || [ -e "$from" ] || exit 0
[ ! -d "$to" ] || from="$from/."
cp -r "$from" "$to"
"""
TRAINING = """
import json, pathlib, sys, time
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert pathlib.Path(arguments["--data"], "cat.jpg").exists()
print(json.dumps({"event": "epoch", "weights": arguments["--weights"]}), flush=True)
%s
pathlib.Path(arguments["--output-dir"]).mkdir()
pathlib.Path(arguments["--model-dir"]).mkdir()
pathlib.Path(arguments["--model-dir"], "model.json").write_text("{}")
"""


class Machine:
    """A folder that is a machine: its home, its programs, and a bucket that is a folder."""

    def __init__(self, root: Path, training: str, *, installed: bool = True) -> None:
        self.bucket = root / "bucket"
        self.work = root / "home" / "run"
        self.run_folder = self.bucket / "runs" / "1"
        self.off = root / "off"
        programs = root / "bin"
        for folder in (self.bucket / "data" / "abc", self.run_folder, self.work, programs):
            folder.mkdir(parents=True)
        (self.bucket / "data" / "abc" / "cat.jpg").write_bytes(b"cat")
        (self.run_folder / "hyperparameters.json").write_text("{}")
        for package, source in (("training", ""), ("training/main.py", training)):
            path = self.work / package
            if path.suffix:
                path.write_text(source)
            else:
                path.mkdir()
        (self.work / "requirements").mkdir()
        for name in ("cpu", "cuda", "train"):
            (self.work / "requirements" / f"{name}.txt").write_text("")
        for name, body in (
            ("aws", AWS),
            ("shutdown", f"#!/bin/sh\necho $@ > {self.off}\n"),
            ("python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'),
        ):
            (programs / name).write_text(body)
            (programs / name).chmod(0o755)
        if installed:
            nothing = hashlib.sha256().hexdigest()[:12]
            environment = root / "home" / "kennel" / f"environment-{nothing}"
            (environment / "bin").mkdir(parents=True)
            (environment / "complete").touch()
            shutil.copy(programs / "python3", environment / "bin" / "python")
        self.environment = {
            "BUCKET": str(self.bucket),
            "CHECKPOINTS_URI": "s3://bucket/runs/checkpoints/abc",
            "DATA_URI": "s3://bucket/data/abc",
            "HOME": str(root / "home"),
            "PATH": f"{programs}:/usr/bin:/bin",
            "RUN_ID": "1",
            "RUN_URI": "s3://bucket/runs/1",
            "WEIGHTS": "random",
        }

    def start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["bash", str(SCRIPT)], cwd=self.work, env=self.environment)

    def status(self) -> dict[str, str]:
        status: dict[str, str] = json.loads((self.run_folder / "status.json").read_text())
        return status


@pytest.mark.slow
def test_a_run_leaves_model_log_and_status_and_switches_the_machine_off(tmp_path: Path) -> None:
    machine = Machine(tmp_path, TRAINING % "", installed=False)

    with machine.start() as process:
        code = process.wait()

    assert (code, machine.status()["phase"]) == (0, "done")
    assert (machine.run_folder / "model" / "model.json").exists()
    assert (
        '{"event": "epoch", "weights": "random"}' in (machine.run_folder / "train.log").read_text()
    )
    assert machine.off.read_text() == "-h now\n"


@pytest.mark.slow
def test_a_failed_run_says_its_last_line_and_switches_the_machine_off(tmp_path: Path) -> None:
    machine = Machine(tmp_path, TRAINING % 'sys.exit("The \\"data\\" are wrong.")')

    with machine.start() as process:
        code = process.wait()

    assert code == 1
    assert machine.status()["phase"] == "failed"
    assert machine.status()["message"] == "The data are wrong."
    assert not (machine.run_folder / "model").exists()
    assert machine.off.exists()


@pytest.mark.slow
def test_a_run_that_is_ended_says_so_and_switches_the_machine_off(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    machine = Machine(tmp_path, TRAINING % f"open({str(ready)!r}, 'w').close(); time.sleep(600)")

    with machine.start() as process:
        ready.read_bytes()  # returns when training has begun
        process.terminate()
        code = process.wait()

    assert code == 143
    assert machine.status()["phase"] == "interrupted"
    assert "Interrupted" in (machine.run_folder / "train.log").read_text()
    assert machine.off.exists()


SAVES = """
saved = pathlib.Path(arguments["--checkpoint-dir"], "a")
if not saved.exists():
    def save(*_):
        saved.parent.mkdir(parents=True, exist_ok=True)
        saved.write_text("half of it")
        sys.exit(143)
    import signal
    signal.signal(signal.SIGTERM, save)
    open(%r, "w").close()
    time.sleep(600)
print(saved.read_text(), flush=True)
"""


@pytest.mark.slow
def test_an_interrupted_run_goes_on_from_its_checkpoint_on_another_machine(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    machine = Machine(tmp_path, TRAINING % (SAVES % str(ready)))
    with machine.start() as process:
        ready.read_bytes()
        process.terminate()
        interrupted = process.wait()
    shutil.rmtree(tmp_path / "home" / "kennel" / "checkpoints")

    with machine.start() as process:
        code = process.wait()

    assert (interrupted, code) == (143, 0)
    assert "half of it" in (machine.run_folder / "train.log").read_text()


@pytest.mark.slow
def test_a_machine_with_two_gpus_trains_with_two_processes(tmp_path: Path) -> None:
    tell = 'import os; print("I am", os.environ["RANK"], os.environ["WORLD_SIZE"]); sys.exit(0)'
    machine = Machine(tmp_path, TRAINING % tell)
    lists = tmp_path / "bin" / "nvidia-smi"
    lists.write_text("#!/bin/sh\necho GPU 0\necho GPU 1\n")
    lists.chmod(0o755)

    with machine.start() as process:
        process.wait()

    log = (machine.run_folder / "train.log").read_text()
    assert {"I am 0 2", "I am 1 2"} <= set(log.splitlines())


def test_the_script_is_well_formed() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


def test_events_of_a_log_become_sentences() -> None:
    epoch = (
        '{"event": "epoch", "epoch": 2, "epochs": 3, "train_loss": 0.5, "valid_loss": 0.25, '
        '"valid_accuracy": 0.9, "seconds": 1.25}'
    )

    assert shown(epoch) == (
        "epoch 2/3: training loss 0.5000, validation loss 0.2500, accuracy 90.0%, 1.2 s"
    )
    assert shown("some text") == "some text"
    assert shown('{"event": "end"}') is None


def test_overrides_are_read_as_hyperparameters() -> None:
    values = read_overridden(HYPERPARAMETERS, ["epochs=3", "backbone=resnet18"])

    assert (values.epochs, values.backbone) == (3, "resnet18")


@pytest.mark.parametrize("text", ["epochs", "epoch=3", "epochs=many"])
def test_a_wrong_override_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match="epoch"):
        read_overridden(HYPERPARAMETERS, [text])


def test_a_plan_is_summed_up_by_kind_of_change() -> None:
    changes = [
        Change("module.a.aws_s3_bucket.this", "delete"),
        Change('module.b["x.y"].aws_instance.this["z"]', "create"),
        Change("module.a.aws_iam_role.this", "create"),
    ]

    assert summary(changes).splitlines() == [
        "  + module.a.aws_iam_role.this",
        '  + module.b["x.y"].aws_instance.this["z"]',
        "  - module.a.aws_s3_bucket.this",
        "Changes: 2 to make, 1 to remove.",
    ]
    assert [cost.split(":")[0] for cost in costs(changes)] == ["the training instance"]


def test_an_empty_plan_says_so() -> None:
    assert summary(None) == "No changes."
