"""A role, buckets and scripts for training jobs, and what tests ask of jobs."""

import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    '"Principal":{"Service":"sagemaker.amazonaws.com"}}]}'
)
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
            "Resource": ["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/*"],
        },
        {"Effect": "Allow", "Action": ["cloudwatch:*", "ecr:*", "logs:*"], "Resource": "*"},
    ],
}


def until(what: Callable[[], Any], seconds: float = 180) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, "It did not become true in time."
        threading.Event().wait(0.05)
    return value


class Studio:
    """Starts jobs and looks at them."""

    def __init__(self, aws: Any, role_arn: str, bucket: str) -> None:
        self.aws = aws
        self.bucket = bucket
        self.role_arn = role_arn
        self.s3 = aws.client("s3")
        self.sagemaker = aws.client("sagemaker")

    def start(self, name: str, hyperparameters: dict[str, str] | None = None, **more: Any) -> None:
        self.sagemaker.create_training_job(
            **{
                "TrainingJobName": name,
                "RoleArn": self.role_arn,
                "HyperParameters": {
                    "sagemaker_program": '"train.py"',
                    "sagemaker_submit_directory": f"s3://{self.bucket}/code.tar.gz",
                    **(hyperparameters or {}),
                },
                "AlgorithmSpecification": {
                    "TrainingImage": "pytorch",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [
                        {"Name": "valid_loss", "Regex": r'"valid_loss": ([0-9.]+)'}
                    ],
                },
                "InputDataConfig": [
                    {
                        "ChannelName": "training",
                        "DataSource": {
                            "S3DataSource": {
                                "S3DataType": "S3Prefix",
                                "S3Uri": f"s3://{self.bucket}/data",
                            }
                        },
                    }
                ],
                "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
                "ResourceConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 1,
                },
                "StoppingCondition": {"MaxRuntimeInSeconds": 600},
                **more,
            }
        )

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return found

    def ended(self, name: str, seconds: float = 180) -> dict[str, Any]:
        ends = ("Completed", "Failed", "Stopped")
        until(lambda: self.describe(name)["TrainingJobStatus"] in ends, seconds)
        return self.describe(name)

    def training(self, name: str) -> None:
        """Wait until the script has said its first word."""
        until(lambda: "hanging" in self.log(name))

    def archive(self, uri: str) -> dict[str, bytes]:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            files = {m.name: archive.extractfile(m) for m in archive.getmembers()}
            return {name: file.read() for name, file in files.items() if file}

    def log(self, name: str) -> list[str]:
        logs = self.aws.client("logs")
        group = "/aws/sagemaker/TrainingJobs"
        try:
            streams = logs.describe_log_streams(
                logGroupName=group, logStreamNamePrefix=f"{name}/algo-1-"
            )["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]


def open_studio(aws: Any, role_name: str, bucket: str, scripts: Mapping[str, str]) -> Studio:
    """A role that trainings run with, and a bucket with their code."""
    iam = aws.client("iam")
    role = iam.create_role(RoleName=role_name, AssumeRolePolicyDocument=TRUST)["Role"]
    policy = json.dumps(POLICY).replace("BUCKET", bucket)
    iam.put_role_policy(RoleName=role_name, PolicyName="s3", PolicyDocument=policy)
    studio = Studio(aws, role["Arn"], bucket)
    studio.s3.create_bucket(Bucket=bucket)
    studio.s3.put_object(Bucket=bucket, Key="code.tar.gz", Body=packed(scripts))
    return studio


def packed(files: Mapping[str, str]) -> bytes:
    """A .tar.gz of text files."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return body.getvalue()
