import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.pipeline.models import write_model

from contract.hyperparameters import Hyperparameters
from contract.release import Artifact
from contract.settings import read_settings
from contract.stack import Ec2Training, Stack
from contract.strict import ContractError
from pipeline.changes import costs, summary
from pipeline.runs import Inputs, adopt_model, read_overridden, shown
from pipeline.terraform import Change
from pipeline.train_job import image_address, job_request

REPOSITORY = Path(__file__).parents[2]
SCRIPT = REPOSITORY / "src" / "pipeline" / "run_on_instance.sh"
HYPERPARAMETERS = REPOSITORY / "config" / "hyperparameters.json"

AWS = """#!/bin/sh
# `aws s3 cp|sync [options] FROM TO` on folders: s3://bucket is the folder BUCKET.
shift 2
while [ "${1#--}" != "$1" ]; do shift; done
here() { echo "$1" | sed "s#^s3://bucket#$BUCKET#"; }
mkdir -p "$(dirname "$(here "$2")")"
cp -r "$(here "$1")" "$(here "$2")"
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

    def __init__(self, root: Path, training: str) -> None:
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
        self.environment = {
            "BUCKET": str(self.bucket),
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
    machine = Machine(tmp_path, TRAINING % "")

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
    assert machine.status()["phase"] == "failed"
    assert "Interrupted" in (machine.run_folder / "train.log").read_text()
    assert machine.off.exists()


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


def test_a_downloaded_model_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    write_model(tmp_path / "model", b"old")
    write_model(tmp_path / "model.new", b"new")

    adopt_model(tmp_path / "model.new", tmp_path)

    assert (tmp_path / "model" / "weights.safetensors").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_half_a_model_leaves_the_one_before(tmp_path: Path) -> None:
    write_model(tmp_path / "model", b"old")
    write_model(tmp_path / "model.new", b"new")
    (tmp_path / "model.new" / "weights.safetensors").unlink()

    with pytest.raises(ContractError, match="missing"):
        adopt_model(tmp_path / "model.new", tmp_path)

    assert (tmp_path / "model" / "weights.safetensors").read_bytes() == b"old"


def test_a_training_job_is_asked_for_as_awss_toolkit_wants_it() -> None:
    digest = "a" * 64
    inputs = Inputs(
        run_id="1",
        bucket="b",
        code=Artifact(key=f"training/{digest}/training.tar.gz", sha256=digest),
        data_uri="s3://b/data/c/",
        weights="s3://b/weights/d/w.pth",
        hyperparameters=Hyperparameters(epochs=3),
    )
    stack = Stack(
        account_id="1",
        bucket="b",
        ec2_training=Ec2Training(
            instance_id=None, instance_type="t", launch_template_id="l", log_group="g", max_hours=4
        ),
        endpoint=None,
        function=None,
        model_version=None,
        name="kennel",
        notebook_name=None,
        region="eu-west-1",
        stage="aws",
        training_job_role_arn="arn:role",
    )
    settings = read_settings(REPOSITORY / "config" / "aws.tfvars.json")

    request = job_request(inputs, stack, settings, "pytorch-training:1", "ml.m5.xlarge")

    assert request["HyperParameters"]["epochs"] == "3"
    assert request["HyperParameters"]["sagemaker_program"] == '"train.py"'
    assert request["HyperParameters"]["sagemaker_submit_directory"] == (
        f'"s3://b/training/{digest}/training.tar.gz"'
    )
    assert [channel["ChannelName"] for channel in request["InputDataConfig"]] == [
        "training",
        "weights",
    ]
    assert request["OutputDataConfig"] == {"S3OutputPath": "s3://b/jobs/"}


@pytest.mark.parametrize(
    ("image", "region", "address"),
    [
        ("p:1", "us-east-1", "763104351884.dkr.ecr.us-east-1.amazonaws.com/p:1"),
        ("p:1", "eu-south-1", "692866216735.dkr.ecr.eu-south-1.amazonaws.com/p:1"),
        ("p:1", "cn-north-1", "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/p:1"),
        ("me.example/p:1", "us-east-1", "me.example/p:1"),
    ],
)
def test_awss_images_come_from_its_registry_of_the_region(
    image: str, region: str, address: str
) -> None:
    assert image_address(image, region) == address


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
