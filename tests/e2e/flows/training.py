"""What the roles of training jobs, of the training instance and of the notebook are for."""

import io
import itertools
import json
import tarfile
from functools import cached_property
from typing import Any

from tests.e2e.decided import until
from tests.e2e.flows.flow import Flow, Flows, allowed

PREFIX = "proof"
JOB_TYPE, ENDPOINT_TYPE = "ml.m5.xlarge", "ml.c7i.large"
"""What the settings say; the notebook may ask for no other."""
TRAIN = b"print('accuracy=1.0')\n"


def job_request(flows: Flows, number: int) -> dict[str, Any]:
    """A training job of one line."""
    stack = flows.stack
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{stack.bucket}/data/{PREFIX}/"}
    code = f"s3://{stack.bucket}/training/{PREFIX}/code.tar.gz"
    return {
        "TrainingJobName": f"{stack.name}-{PREFIX}-{number}",
        "AlgorithmSpecification": {
            "TrainingImage": stack.training_image,
            "TrainingInputMode": "File",
        },
        "RoleArn": stack.training_job_role_arn,
        "HyperParameters": {
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_submit_directory": json.dumps(code),
        },
        "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{stack.bucket}/jobs/"},
        "ResourceConfig": {"InstanceType": JOB_TYPE, "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }


def put_inputs(flows: Flows) -> None:
    """What jobs and machines read."""
    code = io.BytesIO()
    with tarfile.open(fileobj=code, mode="w:gz") as archive:
        script = tarfile.TarInfo("train.py")
        script.size = len(TRAIN)
        archive.addfile(script, io.BytesIO(TRAIN))
    for key, body in {
        f"data/{PREFIX}/dog.txt": b"woof",
        f"training/{PREFIX}/code.tar.gz": code.getvalue(),
        f"notebooks/{PREFIX}.ipynb": b"{}",
    }.items():
        flows.client("s3").put_object(Bucket=flows.stack.bucket, Key=key, Body=body)


class JobFlows(Flows):
    """SageMaker, with the role of training jobs."""

    role = "training-job"

    _numbers = itertools.count(1)

    def by_statement(self) -> dict[str, Flow]:
        put_inputs(self)
        logs = "/aws/sagemaker/TrainingJobs"
        read = ("ReadWhatItTrainsFrom", "ListWhatItMayRead", "KeepJobs")
        return {
            **dict.fromkeys([*read, "PullImage", "LogInToRegistry"], self.train),
            "WriteLogs": self.writing(logs, self.train),
            "WriteMetrics": self.measuring(logs, self.train),
        }

    def by_policy(self) -> dict[str, Flow]:
        return {"bucket_key": self.train}

    def train(self) -> bool:
        sagemaker, request = self.client("sagemaker"), job_request(self, next(self._numbers))
        name = request["TrainingJobName"]
        sagemaker.create_training_job(**request)

        def ended() -> str | None:
            status = sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
            return None if status in ("InProgress", "Stopping") else str(status)

        return bool(until(ended) == "Completed")


class MachineFlows(Flows):
    """Systems Manager's agent and what it is told, with the training instance's role."""

    role = "training"

    def by_statement(self) -> dict[str, Flow]:
        put_inputs(self)
        told = ("ReceiveCommands", "ReportToSystemsManager", "ReadWhatItTrainsFrom", "KeepRuns")
        return {
            **dict.fromkeys([*told, "ListWhatItMayRead"], self.command),
            "WriteOwnLog": self.writing(self.stack.ec2_training.log_group, self.command),
        }

    def by_policy(self) -> dict[str, Flow]:
        return {"bucket_key": self.command}

    @cached_property
    def instance(self) -> str:
        """The kept instance, switched on."""
        ec2, instance = self.client("ec2"), str(self.stack.ec2_training.instance_id)
        ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance])
        ec2.start_instances(InstanceIds=[instance])
        ec2.get_waiter("instance_running").wait(InstanceIds=[instance])
        return instance

    def command(self) -> bool:
        ssm, bucket = self.client("ssm"), self.stack.bucket
        lines = [
            "set -eu; rm -rf proof",
            f"aws s3 sync --only-show-errors s3://{bucket}/data/{PREFIX}/ proof",
            f"aws s3 cp --only-show-errors proof/dog.txt s3://{bucket}/runs/{PREFIX}/dog.txt",
            "echo done",
        ]
        sent: dict[str, Any] = {}
        order = {
            "InstanceIds": [self.instance],
            "DocumentName": "AWS-RunShellScript",
            "Parameters": {"commands": lines},
            "CloudWatchOutputConfig": {
                "CloudWatchLogGroupName": self.stack.ec2_training.log_group,
                "CloudWatchOutputEnabled": True,
            },
        }
        if not allowed(lambda: sent.update(ssm.send_command(**order)["Command"])):
            return False

        def ended() -> str | None:
            status = ssm.get_command_invocation(
                CommandId=sent["CommandId"], InstanceId=self.instance
            )["Status"]
            return None if status in ("Pending", "InProgress") else str(status)

        return bool(until(ended) == "Success")


class NotebookFlows(Flows):
    """What a person does in the notebook, and what it does by itself, with its role."""

    role = "notebook"

    _numbers = itertools.count(1001)

    def by_statement(self) -> dict[str, Flow]:
        put_inputs(self)
        return {
            "ReadArtifacts": self.read,
            "ListArtifacts": self.sync,
            "StartJobs": self.train,
            "FollowJobs": self.describe,
            "SizeOwnEndpoint": self.size,
            "TryModels": self.try_model,
            "PassTrainingRole": self.train,
            "FollowTrainingJobs": self.follow,
            "StopItself": self.stop,
            "WriteOwnLog": self.writing("/aws/sagemaker/NotebookInstances", self.start),
        }

    def by_policy(self) -> dict[str, Flow]:
        return {"network": self.in_network, "bucket_key": self.read}

    def own(self, service: str) -> Any:
        """A client with the notebook's rights."""
        role = f"arn:aws:iam::{self.stack.account_id}:role/{self.stack.name}-notebook"
        keys = self.client("sts").assume_role(RoleArn=role, RoleSessionName="person")["Credentials"]
        return self.stage.client(
            service,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    def read(self) -> bool:
        key = f"notebooks/{PREFIX}.ipynb"
        return allowed(lambda: self.own("s3").get_object(Bucket=self.stack.bucket, Key=key))

    def sync(self) -> bool:
        about = {"Bucket": self.stack.bucket, "Prefix": "notebooks/"}
        return allowed(lambda: self.own("s3").list_objects_v2(**about))

    def train(self) -> bool:
        request = job_request(self, next(self._numbers))
        return allowed(lambda: self.own("sagemaker").create_training_job(**request))

    def describe(self) -> bool:
        request = job_request(self, next(self._numbers))
        name = request["TrainingJobName"]
        self.client("sagemaker").create_training_job(**request)
        return allowed(lambda: self.own("sagemaker").describe_training_job(TrainingJobName=name))

    def size(self) -> bool:
        name = f"{self.stack.name}-notebook"
        variant = {"VariantName": "trial", "ModelName": name, "InitialInstanceCount": 1}
        variants = [variant | {"InstanceType": ENDPOINT_TYPE}]
        about: dict[str, Any] = {"EndpointConfigName": name, "ProductionVariants": variants}
        admin = self.client("sagemaker")
        admin.create_model(**self.model())
        done = allowed(lambda: self.own("sagemaker").create_endpoint_config(**about))
        if done:
            admin.delete_endpoint_config(EndpointConfigName=name)
        admin.delete_model(ModelName=name)
        return done

    def try_model(self) -> bool:
        about = self.model()
        done = allowed(lambda: self.own("sagemaker").create_model(**about))
        if done:
            self.client("sagemaker").delete_model(ModelName=about["ModelName"])
        return done

    def model(self) -> dict[str, Any]:
        return {
            "ModelName": f"{self.stack.name}-notebook",
            "ExecutionRoleArn": self.stack.training_job_role_arn,
            "PrimaryContainer": {"Image": self.stack.serving_image},
        }

    def follow(self) -> bool:
        group = "/aws/sagemaker/TrainingJobs"
        return allowed(lambda: self.own("logs").describe_log_streams(logGroupName=group))

    def stop(self) -> bool:
        about = {"NotebookInstanceName": self.stack.notebook_name}
        return allowed(lambda: self.own("sagemaker").stop_notebook_instance(**about))

    def start(self) -> bool:
        about = {"NotebookInstanceName": self.stack.notebook_name}
        self.client("sagemaker").start_notebook_instance(**about)
        return True

    def in_network(self) -> bool:
        sagemaker = self.client("sagemaker")
        found = sagemaker.describe_notebook_instance(NotebookInstanceName=self.stack.notebook_name)
        about = {key: found[key] for key in ("InstanceType", "RoleArn", "SubnetId")}
        made = {"NotebookInstanceName": "proof", "SecurityGroupIds": found["SecurityGroups"]}
        done = allowed(lambda: sagemaker.create_notebook_instance(**about, **made))
        if done:
            sagemaker.stop_notebook_instance(NotebookInstanceName="proof")
            sagemaker.delete_notebook_instance(NotebookInstanceName="proof")
        return done
