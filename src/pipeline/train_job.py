"""`make train-sagemaker`: trains as a SageMaker job and brings the model to build/model.

The job runs AWS's PyTorch training image with the code that `make train` runs. Its log is shown
as it grows. Interrupting this command stops the job.
"""

import argparse
import dataclasses
import json
import shutil
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from contract.settings import Settings
from contract.stack import Stack
from pipeline.aws import Account, Client, error_code, pages
from pipeline.cli import Failed, find_place, run_verb, say, verb_parser
from pipeline.runs import (
    NAMED_WEIGHTS,
    Inputs,
    add_options,
    adopt_model,
    describe,
    prepare,
    show,
)
from pipeline.stacks import stack_of

IMAGE = "pytorch-training:2.6.0-cpu-py312-ubuntu22.04-sagemaker"
"""AWS's image, as repository:tag; a GPU type needs the gpu one."""
REGISTRIES = {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-southeast-3": "907027046896",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
}
"""AWS's account for its Deep Learning Containers, where it is not the usual one."""
USUAL_REGISTRY = "763104351884"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
PAUSE_SECONDS = 3.0
VOLUME_GB = 50


def image_address(image: str, region: str) -> str:
    """The full address of AWS's `repository:tag`; a full address stays as it is."""
    if "/" in image:
        return image
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    registry = REGISTRIES.get(region, USUAL_REGISTRY)
    return f"{registry}.dkr.ecr.{region}.{suffix}/{image}"


def job_request(
    inputs: Inputs, stack: Stack, settings: Settings, image: str, instance_type: str
) -> dict[str, Any]:
    """What CreateTrainingJob is given, as AWS's training toolkit wants it."""
    hyperparameters = {
        name: str(value) for name, value in dataclasses.asdict(inputs.hyperparameters).items()
    }
    if inputs.weights in NAMED_WEIGHTS:
        hyperparameters["weights"] = inputs.weights
    code_uri = f"s3://{inputs.bucket}/{inputs.code.key}"
    channels = {"training": inputs.data_uri}
    if inputs.weights not in NAMED_WEIGHTS:
        channels["weights"] = inputs.weights
    output = {"S3OutputPath": f"s3://{stack.bucket}/jobs/"}
    if settings.storage.kms_key_arn is not None:
        # Without it SageMaker would encrypt with a key of AWS, whatever the bucket's own key is.
        output["KmsKeyId"] = settings.storage.kms_key_arn
    return {
        "TrainingJobName": f"{stack.name}-{inputs.run_id}",
        "AlgorithmSpecification": {
            "TrainingImage": image_address(image, stack.region),
            "TrainingInputMode": "File",
        },
        "RoleArn": stack.training_job_role_arn,
        "HyperParameters": hyperparameters
        | {
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_region": json.dumps(stack.region),
            "sagemaker_submit_directory": json.dumps(code_uri),
        },
        "InputDataConfig": [
            {
                "ChannelName": name,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3DataDistributionType": "FullyReplicated",
                        "S3Uri": uri,
                    }
                },
            }
            for name, uri in channels.items()
        ],
        "OutputDataConfig": output,
        "ResourceConfig": {
            "InstanceType": instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": VOLUME_GB,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600 * settings.ec2_training.max_hours},
        "Tags": [{"Key": key, "Value": value} for key, value in settings.tags.items()],
    }


class JobLog:
    """The new lines of a job's log, from CloudWatch."""

    def __init__(self, logs: Client, job: str) -> None:
        self._logs = logs
        self._job = job
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> list[str]:
        """Lines that were not returned before."""
        try:
            streams = [
                stream["logStreamName"]
                for stream in pages(
                    self._logs,
                    "describe_log_streams",
                    "logStreams",
                    logGroupName=LOG_GROUP,
                    logStreamNamePrefix=f"{self._job}/",
                )
            ]
        except ClientError as error:
            if error_code(error) == "ResourceNotFoundException":
                return []
            raise
        return [line for stream in streams for line in self._new_of(stream)]

    def _new_of(self, stream: str) -> list[str]:
        lines = []
        while True:
            token = self._tokens.get(stream)
            found = self._logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True,
                **({"nextToken": token} if token else {}),
            )  # fmt: skip
            lines += [event["message"].rstrip() for event in found["events"]]
            self._tokens[stream] = found["nextForwardToken"]
            if not found["events"]:
                return lines


def follow(sagemaker: Client, job: str, log: JobLog) -> str:
    """Show a job's log until it ends.

    Returns:
        Where its model archive is.

    Raises:
        Failed: it failed or was stopped.
    """
    phase = ""
    while True:
        found = sagemaker.describe_training_job(TrainingJobName=job)
        if found["SecondaryStatus"] != phase:
            phase = found["SecondaryStatus"]
            say(f"Job {job}: {phase}")
        show(log.new_lines())
        if found["TrainingJobStatus"] == "Completed":
            return str(found["ModelArtifacts"]["S3ModelArtifacts"])
        if found["TrainingJobStatus"] in {"Failed", "Stopped"}:
            reason = found.get("FailureReason", "no reason was given.")
            raise Failed(f"Job {job} ended {found['TrainingJobStatus']}: {reason}")
        time.sleep(PAUSE_SECONDS)


def fetch_model(s3: Client, uri: str, folder: Path) -> None:
    """Fetch and unpack a model archive into an empty folder."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    folder.mkdir(parents=True)
    archive = folder / "archive"
    s3.download_file(bucket, key, str(archive))
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    archive.unlink()


def main(argv: Sequence[str] | None = None) -> int:
    """Train as a SageMaker job."""
    parser = verb_parser(__doc__)
    add_options(parser)
    parser.add_argument("--instance-type", default="ml.m5.xlarge", metavar="TYPE")
    parser.add_argument("--image", default=IMAGE, help="repository:tag of AWS, or a full address")
    return run_verb(parser, argv, _train)


def _train(options: argparse.Namespace) -> None:
    place = find_place(options)
    stack = stack_of(place)
    account = Account(stack.region)
    s3, sagemaker = account.client("s3"), account.client("sagemaker")
    inputs = prepare(options, s3, stack.bucket, say)
    request = job_request(inputs, stack, place.settings, options.image, options.instance_type)
    job = request["TrainingJobName"]
    sagemaker.create_training_job(**request)
    try:
        uri = follow(sagemaker, job, JobLog(account.client("logs"), job))
    except KeyboardInterrupt:
        sagemaker.stop_training_job(TrainingJobName=job)
        say(f"Job {job} is being stopped.")
        raise
    folder = options.build / f"model.{inputs.run_id}"
    shutil.rmtree(folder, ignore_errors=True)
    fetch_model(s3, uri, folder)
    card = adopt_model(folder, options.build)
    say(f"{options.build / 'model'}: {describe(card)}. `make package apply` deploys it.")


if __name__ == "__main__":
    raise SystemExit(main())
