"""Jobs on several hosts, on spot instances, and started by the SageMaker SDK's own drivers."""

import importlib.metadata
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.localaws.studio import Studio, open_studio, until

from localaws import control

pytestmark = pytest.mark.slow

ALL_REDUCE = """
import os, pathlib, sys
import torch
import torch.distributed as dist
if os.environ["SM_CURRENT_HOST"] == "algo-2" and "--fail" in sys.argv:
    print("algo-2 is broken")
    sys.exit(5)
dist.init_process_group("gloo")
total = torch.ones(1) * (dist.get_rank() + 1)
dist.all_reduce(total)
model = pathlib.Path(os.environ["SM_MODEL_DIR"])
(model / "model").write_text(f"{os.environ['SM_CURRENT_HOST']} {total.item():.0f}")
dist.destroy_process_group()
"""
PATIENT = """
import os, pathlib, signal, sys, time
kept = pathlib.Path(os.environ["KEPT"]) / "epoch"
before = int(kept.read_text()) if kept.exists() else 0
print("from epoch", before, flush=True)
def leave(number, frame):
    kept.write_text(str(before + 1))
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
if before == 0:
    print("hanging", flush=True)
    time.sleep(600)
"""
SHELL = """
echo "host $SM_CURRENT_HOST"
if [ "$SM_CURRENT_HOST" = algo-2 ]; then echo "no disk"; exit 4; fi
sleep 600
"""
TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}


@pytest.fixture(scope="module")
def studio(local_aws: Any) -> Studio:
    scripts = {"reduce.py": ALL_REDUCE, "patient.py": PATIENT, "shell.sh": SHELL}
    studio = open_studio(local_aws, "launcher", "launches", scripts)
    studio.s3.put_object(Bucket="launches", Key="data/1.txt", Body=b"picture")
    return studio


def test_hosts_train_together_by_torchrun(studio: Studio) -> None:
    launch = {"sagemaker_program": "reduce.py", "sagemaker_torch_distributed_enabled": "true"}

    studio.start("together", launch, ResourceConfig=TWO)

    about = studio.ended("together", seconds=400)
    assert about["TrainingJobStatus"] == "Completed", about.get("FailureReason")
    model = studio.archive(about["ModelArtifacts"]["S3ModelArtifacts"])
    assert model == {"model": b"algo-1 3"}


def test_the_failure_of_one_host_ends_the_job(studio: Studio) -> None:
    studio.start("broken", {"sagemaker_program": "shell.sh"}, ResourceConfig=TWO)

    about = studio.ended("broken")

    assert about["TrainingJobStatus"] == "Failed"
    assert "no disk" in about["FailureReason"]
    assert "exit code: 4" in about["FailureReason"]


def test_another_launcher_is_refused(studio: Studio) -> None:
    with pytest.raises(studio.sagemaker.exceptions.ClientError, match="mpi_enabled"):
        studio.start("other", {"sagemaker_mpi_enabled": "true"})


def _entry_point(script: str) -> dict[str, Any]:
    return {
        "TrainingImage": "pytorch",
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["/bin/bash"],
        "ContainerArguments": ["-c", script],
    }


def test_an_interrupted_spot_job_goes_on_from_its_checkpoint(studio: Studio) -> None:
    studio.s3.put_object(Bucket="launches", Key="scripts/patient.py", Body=PATIENT.encode())
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://launches/scripts"}
    studio.start(
        "spot",
        AlgorithmSpecification=_entry_point("exec python /opt/ml/input/data/code/patient.py"),
        InputDataConfig=[{"ChannelName": "code", "DataSource": {"S3DataSource": source}}],
        Environment={"KEPT": "/opt/ml/checkpoints"},
        CheckpointConfig={"S3Uri": "s3://launches/checkpoints/spot"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
    )
    studio.training("spot")

    done = _interrupt(studio, "spot")

    about = studio.ended("spot")
    assert done.returncode == 0, done.stderr
    assert about["TrainingJobStatus"] == "Completed", about.get("FailureReason")
    assert [one["Status"] for one in about["SecondaryStatusTransitions"]] == [
        "Starting", "Downloading", "Training", "Interrupted",
        "Starting", "Downloading", "Training", "Uploading", "Completed",
    ]  # fmt: skip
    until(lambda: "from epoch 1" in studio.log("spot"))
    assert about["BillableTimeInSeconds"] <= about["TrainingTimeInSeconds"]


def test_behind_the_toolkit_nobody_hears_of_the_end(studio: Studio) -> None:
    studio.start(
        "unheard",
        {"sagemaker_program": "patient.py"},
        Environment={"KEPT": "/opt/ml/checkpoints"},
        CheckpointConfig={"S3Uri": "s3://launches/checkpoints/unheard"},
    )
    studio.training("unheard")

    studio.sagemaker.stop_training_job(TrainingJobName="unheard")

    assert studio.ended("unheard")["TrainingJobStatus"] == "Stopped"
    kept = studio.s3.list_objects_v2(Bucket="launches", Prefix="checkpoints/unheard")
    assert kept["KeyCount"] == 0


def test_only_a_training_spot_job_is_interrupted(studio: Studio) -> None:
    studio.start("kept", AlgorithmSpecification=_entry_point("echo hanging; sleep 600"))
    studio.training("kept")

    unknown, on_demand = _interrupt(studio, "unknown"), _interrupt(studio, "kept")
    studio.sagemaker.stop_training_job(TrainingJobName="kept")

    assert "there is no training job unknown" in unknown.stderr
    assert "only jobs with EnableManagedSpotTraining" in on_demand.stderr
    assert studio.ended("kept")["TrainingJobStatus"] == "Stopped"


def _interrupt(studio: Studio, job: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "localaws", "interrupt", "--folder", studio.aws.folder, job]
    source = str(Path(control.__file__).parents[1])
    env = {**studio.aws.env, "PYTHONPATH": source}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_a_spot_job_waits_no_longer_than_it_may(studio: Studio) -> None:
    studio.start(
        "waits",
        AlgorithmSpecification=_entry_point("sleep 600"),
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1},
    )

    about = studio.ended("waits")

    assert about["TrainingJobStatus"] == "Stopped"
    assert about["SecondaryStatus"] == "MaxWaitTimeExceeded"


DRIVEN = """
import json, os, pathlib, sys
model = pathlib.Path(os.environ["SM_MODEL_DIR"])
(model / "seen.json").write_text(json.dumps({
    "args": sys.argv[1:], "hps": json.loads(os.environ["SM_HPS"]),
    "channel": os.listdir(os.environ["SM_CHANNEL_TRAINING"]), "color": os.environ["COLOR"],
}))
sys.exit(int(sys.argv[2]) if "--code" in sys.argv else 0)
"""


def _upload_drivers(studio: Studio) -> None:
    """As ModelTrainer does: the drivers of the SDK, and a script made of its templates."""
    distribution = importlib.metadata.distribution("sagemaker-train")
    package = Path(str(distribution.locate_file("sagemaker/train")))
    templates = runpy.run_path(str(package / "templates.py"))
    script = templates["TRAIN_SCRIPT_TEMPLATE"].format(
        working_dir="cd /opt/ml/input/data/code",
        install_requirements=templates["INSTALL_REQUIREMENTS"].format(
            requirements_file="requirements.txt"
        ),
        execute_driver=templates["EXECUTE_BASIC_SCRIPT_DRIVER"],
    )
    core = importlib.metadata.distribution("sagemaker-core")
    install = Path(str(core.locate_file("sagemaker/core/utils/install_requirements.py")))
    drivers = package / "container_drivers"
    files = {
        **{
            f"sm_drivers/{file.relative_to(drivers).as_posix()}": file.read_text()
            for file in drivers.rglob("*.py")
        },
        "sm_drivers/scripts/install_requirements.py": install.read_text(),
        "sm_drivers/sm_train.sh": script,
        "sm_drivers/sourcecode.json": json.dumps({"entry_script": "driven.py"}),
        "sm_drivers/distributed.json": "{}",
        "code/driven.py": DRIVEN,
        "code/requirements.txt": "boto3\n",
    }
    for key, text in files.items():
        studio.s3.put_object(Bucket="launches", Key=f"input/{key}", Body=text.encode())


@pytest.mark.parametrize("code", [0, 6])
def test_the_drivers_of_the_sdk_start_the_script(studio: Studio, code: int) -> None:
    _upload_drivers(studio)
    train = "/opt/ml/input/data/sm_drivers/sm_train.sh"
    channels = {"code": "input/code", "sm_drivers": "input/sm_drivers", "training": "data"}
    name = f"driven-{code}"

    studio.start(
        name,
        AlgorithmSpecification=_entry_point(f"chmod +x {train} && {train}"),
        HyperParameters={"code": str(code), "rate": "0.5", "names": '["a", "b"]'},
        Environment={"COLOR": "red"},
        InputDataConfig=[
            {
                "ChannelName": channel,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://launches/{prefix}",
                    }
                },
            }
            for channel, prefix in channels.items()
        ],
    )

    about = studio.ended(name)
    if code:
        assert about["TrainingJobStatus"] == "Failed"
        assert f"exit code: {code}" in about["FailureReason"]
        return
    assert about["TrainingJobStatus"] == "Completed", about.get("FailureReason")
    seen = json.loads(studio.archive(about["ModelArtifacts"]["S3ModelArtifacts"])["seen.json"])
    assert seen["hps"] == {"code": 0, "rate": 0.5, "names": ["a", "b"]}
    assert seen["args"][:4] == ["--code", "0", "--rate", "0.5"]
    assert (seen["channel"], seen["color"]) == (["1.txt"], "red")
