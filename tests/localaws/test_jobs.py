"""Training jobs that really train, through a started local AWS."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.localaws.studio import TRUST, Studio, open_studio, until

from localaws import control

pytestmark = pytest.mark.slow

SCRIPT = '''
import json, os, pathlib, signal, sys, time
channel = pathlib.Path(os.environ["SM_CHANNEL_TRAINING"])
model, output = (pathlib.Path(os.environ[n]) for n in ("SM_MODEL_DIR", "SM_OUTPUT_DATA_DIR"))
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
what = args.get("--what", "train")
if what == "fail":
    (base / "output" / "failure").write_text("the data is odd")
    sys.exit(3)
if what == "crash":
    raise RuntimeError("no such layer")
if what == "hang":
    print("hanging", flush=True)
    time.sleep(600)
if what == "resume":
    kept = base / "checkpoints" / "last"
    before = kept.read_text() if kept.exists() else ""
    kept.write_text(before + "x")
for epoch in (1, 2):
    print(json.dumps({"epoch": epoch, "valid_loss": 1 / epoch}))
(model / "seen.json").write_text(json.dumps({
    "args": args,
    "files": sorted(p.relative_to(channel).as_posix() for p in channel.rglob("*.txt")),
    "hps": json.loads(os.environ["SM_HPS"]), "hosts": json.loads(os.environ["SM_HOSTS"]),
    "host": os.environ["SM_CURRENT_HOST"], "job": os.environ["TRAINING_JOB_NAME"],
    "color": os.environ.get("COLOR"),
    "config": json.loads((base / "input/config/hyperparameters.json").read_text()),
}))
(output / f"note-{os.environ['SM_CURRENT_HOST']}").write_text("done")
'''  # fmt: skip


def localaws(folder: Path, verb: str) -> None:
    """Start or stop a local AWS of one's own, as a person does."""
    source = Path(control.__file__).parents[1]
    subprocess.run(
        [sys.executable, "-m", "localaws", verb, "--folder", str(folder / "local")],
        env={**os.environ, "PYTHONPATH": str(source)},
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def studio(local_aws: Any) -> Studio:
    studio = open_studio(local_aws, "trainer", "jobs", {"train.py": SCRIPT})
    studio.s3.create_bucket(Bucket="secret")
    for key in ("data/train/a/1.txt", "data/valid/a/2.txt"):
        studio.s3.put_object(Bucket="jobs", Key=key, Body=b"picture")
    studio.s3.put_object(Bucket="secret", Key="data/1.txt", Body=b"picture")
    return studio


def test_a_job_trains_as_the_toolkit_does_and_leaves_its_model(studio: Studio) -> None:
    studio.start("trains", {"epochs": "2", "rate": '"0.5"'}, Environment={"COLOR": "red"})

    about = studio.ended("trains")

    assert about["TrainingJobStatus"] == "Completed", about.get("FailureReason")
    assert about["ModelArtifacts"]["S3ModelArtifacts"] == "s3://jobs/out/trains/output/model.tar.gz"
    model = studio.archive("s3://jobs/out/trains/output/model.tar.gz")
    seen = json.loads(model["seen.json"])
    assert seen["args"] == {"--epochs": "2", "--rate": "0.5"}
    assert seen["hps"] == {"epochs": 2, "rate": "0.5"}
    assert seen["files"] == ["train/a/1.txt", "valid/a/2.txt"]
    assert seen["config"]["sagemaker_program"] == '"train.py"'
    assert (seen["job"], seen["host"], seen["color"]) == ("trains", "algo-1", "red")
    assert studio.archive("s3://jobs/out/trains/output/output.tar.gz") == {"note-algo-1": b"done"}
    assert [t["Status"] for t in about["SecondaryStatusTransitions"]] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed",
    ]  # fmt: skip
    assert about["BillableTimeInSeconds"] >= 1
    until(lambda: not (Path(studio.aws.folder) / "jobs" / "trains").exists())


def test_metrics_are_read_from_the_log(studio: Studio) -> None:
    studio.start("measured")

    about = studio.ended("measured")

    values = {m["MetricName"]: m["Value"] for m in about["FinalMetricDataList"]}
    until(lambda: '{"epoch": 2, "valid_loss": 0.5}' in studio.log("measured"))
    found = studio.aws.client("cloudwatch").list_metrics(
        Namespace="/aws/sagemaker/TrainingJobs",
        Dimensions=[{"Name": "TrainingJobName", "Value": "measured"}],
    )
    assert values == {"valid_loss": 0.5}
    assert {metric["MetricName"] for metric in found["Metrics"]} == {"valid_loss"}


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("fail", "AlgorithmError: the data is odd, exit code: 3"),
        ("crash", "RuntimeError: no such layer"),
    ],
)
def test_a_failing_script_says_why(studio: Studio, what: str, reason: str) -> None:
    studio.start(f"job-{what}", {"what": what})

    about = studio.ended(f"job-{what}")

    assert about["TrainingJobStatus"] == "Failed"
    assert reason in about["FailureReason"]
    assert "ModelArtifacts" not in about or not about["ModelArtifacts"]["S3ModelArtifacts"]


@pytest.mark.parametrize(
    ("name", "uri", "reason"),
    [
        ("nothing", "s3://jobs/none", "No S3 objects found"),
        ("forbidden", "s3://secret/data", "Acc"),
    ],
)
def test_a_job_fails_without_data_that_its_role_may_read(
    studio: Studio, name: str, uri: str, reason: str
) -> None:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}

    studio.start(name, InputDataConfig=[{"ChannelName": "training", "DataSource": source}])

    about = studio.ended(name)
    assert about["TrainingJobStatus"] == "Failed"
    assert reason in about["FailureReason"]


def test_a_stopped_job_ends_its_script_and_keeps_its_model(studio: Studio) -> None:
    studio.start("stopped", {"what": "hang"})
    studio.training("stopped")

    studio.sagemaker.stop_training_job(TrainingJobName="stopped")

    about = studio.ended("stopped")
    statuses = [t["Status"] for t in about["SecondaryStatusTransitions"]]
    assert (about["TrainingJobStatus"], about["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert statuses[-3:] == ["Stopping", "Uploading", "Stopped"]
    assert about["ModelArtifacts"]["S3ModelArtifacts"].endswith("stopped/output/model.tar.gz")
    with pytest.raises(studio.sagemaker.exceptions.ClientError, match="is in status Stopped"):
        studio.sagemaker.stop_training_job(TrainingJobName="stopped")


def test_a_job_that_takes_too_long_is_stopped(studio: Studio) -> None:
    studio.start("long", {"what": "hang"}, StoppingCondition={"MaxRuntimeInSeconds": 1})

    about = studio.ended("long")

    assert about["TrainingJobStatus"] == "Stopped"
    assert about["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_a_job_goes_on_from_the_checkpoint_of_an_earlier_one(studio: Studio) -> None:
    config = {"S3Uri": "s3://jobs/checkpoints/series"}

    for name in ("resume-1", "resume-2"):
        studio.start(name, {"what": "resume"}, CheckpointConfig=config)
        assert studio.ended(name)["TrainingJobStatus"] == "Completed"

    kept = studio.s3.get_object(Bucket="jobs", Key="checkpoints/series/last")["Body"].read()
    assert kept == b"xx"


def test_every_host_of_a_job_runs_the_script(studio: Studio) -> None:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1}

    studio.start("wide", ResourceConfig=resources)

    assert studio.ended("wide")["TrainingJobStatus"] == "Completed"
    output = studio.archive("s3://jobs/out/wide/output/output.tar.gz")
    seen = json.loads(studio.archive("s3://jobs/out/wide/output/model.tar.gz")["seen.json"])
    assert sorted(output) == ["note-algo-1", "note-algo-2"]
    assert seen["hosts"] == ["algo-1", "algo-2"]


def test_a_name_is_taken_once_and_a_role_must_exist(studio: Studio) -> None:
    studio.start("once", {"what": "fail"}, Tags=[{"Key": "run", "Value": "7"}])

    with pytest.raises(studio.sagemaker.exceptions.ResourceInUse):
        studio.start("once")
    with pytest.raises(studio.sagemaker.exceptions.ClientError, match="Could not assume role"):
        studio.start("roleless", RoleArn=f"{studio.role_arn}-not")
    with pytest.raises(studio.sagemaker.exceptions.ClientError, match="not found"):
        studio.describe("roleless")

    about = studio.ended("once")
    tags = studio.sagemaker.list_tags(ResourceArn=about["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "run", "Value": "7"}]


def test_jobs_are_listed_newest_first_and_deleted(studio: Studio) -> None:
    for name in ("listed-1", "listed-2"):
        studio.start(name, {"what": "fail"})
        studio.ended(name)
    studio.sagemaker.delete_training_job(TrainingJobName="listed-1")
    studio.start("listed-3", {"what": "fail"})
    studio.ended("listed-3")

    found = studio.sagemaker.list_training_jobs(NameContains="listed", StatusEquals="Failed")

    names = [about["TrainingJobName"] for about in found["TrainingJobSummaries"]]
    assert names == ["listed-3", "listed-2"]


def test_nothing_of_a_job_outlives_the_local_aws(tmp_path: Path) -> None:
    localaws(tmp_path, "up")
    address = control.find(tmp_path / "local")
    assert address is not None
    script = tmp_path / "pid.sh"
    script.write_text(f"echo $$ > {tmp_path}/pid; exec sleep 600\n")
    try:
        keys = {
            "aws_access_key_id": address.access_key_id,
            "aws_secret_access_key": address.secret_access_key,
        }
        session: Any = boto3.session.Session()
        clients = {
            name: session.client(name, endpoint_url=address.url, region_name="us-east-1", **keys)
            for name in ("iam", "sagemaker")
        }
        role = clients["iam"].create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]
        clients["sagemaker"].create_training_job(
            TrainingJobName="left",
            RoleArn=role["Arn"],
            AlgorithmSpecification={
                "TrainingImage": "any",
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["/bin/sh", str(script)],
            },
            OutputDataConfig={"S3OutputPath": "s3://none/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        pid = int(until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    finally:
        localaws(tmp_path, "down")

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
