"""What services do with a role's rights is decided by the role, and written down."""

import io
import json
import subprocess
import sys
import threading
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow
ACCOUNT = "123456789012"
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
IMAGE = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/dogs:1"


class Roles:
    """Makes roles of the local AWS and acts as them."""

    def __init__(self, aws: Any) -> None:
        self.aws = aws
        self.iam = aws.client("iam")

    def make(self, service: str, *actions: str, **more: Any) -> str:
        name = f"rights-{uuid.uuid4().hex[:8]}"
        trust = [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
            for principal in ({"Service": f"{service}.amazonaws.com"}, ROOT)
        ]
        made = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(*trust), **more)
        if actions:
            allow = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            self.iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=_policy(allow))
        arn: str = made["Role"]["Arn"]
        return arn

    def acting(self, service: str, role_arn: str) -> Any:
        keys = self.aws.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="me")
        return self.aws.client(
            service,
            aws_access_key_id=keys["Credentials"]["AccessKeyId"],
            aws_secret_access_key=keys["Credentials"]["SecretAccessKey"],
            aws_session_token=keys["Credentials"]["SessionToken"],
        )

    def refused(self, role_arn: str) -> list[str]:
        """The actions that a role was refused."""
        lines = (self.aws.folder / "decisions.jsonl").read_text().splitlines()
        mine = [json.loads(line) for line in lines if f"/{role_arn.split('/')[1]}/" in line]
        return [decision["action"] for decision in mine if decision["why_not"]]


@pytest.fixture(scope="module")
def roles(local_aws: Any) -> Roles:
    return Roles(local_aws)


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _until(holds: Callable[[], Any]) -> Any:
    pause = threading.Event()
    for _ in range(300):
        if found := holds():
            return found
        pause.wait(0.1)
    return None


def _function(roles: Roles, role_arn: str, **more: Any) -> str:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("dogs.py", "def bark(event, context):\n    print('woof')\n    return 1\n")
    name = f"rights-{uuid.uuid4().hex[:8]}"
    roles.aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role_arn,
        Handler="dogs.bark",
        Code={"ZipFile": content.getvalue()},
        **more,
    )
    return name


def test_a_function_that_may_not_log_answers_and_leaves_no_log(roles: Roles) -> None:
    role = roles.make("lambda")
    name = _function(roles, role)

    answer = roles.aws.client("lambda").invoke(FunctionName=name)["Payload"].read()
    refused = _until(lambda: roles.refused(role))

    groups = roles.aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")
    assert answer == b"1"
    assert refused[0] == "logs:PutLogEvents"
    assert groups["logGroups"] == []


@pytest.mark.parametrize(("actions", "sent"), [((), False), (("xray:*",), True)])
def test_a_traced_function_sends_a_trace_if_it_may(
    roles: Roles, actions: tuple[str, ...], sent: bool
) -> None:
    role = roles.make("lambda", "logs:*", *actions)
    name = _function(roles, role, TracingConfig={"Mode": "Active"})

    roles.aws.client("lambda").invoke(FunctionName=name)

    assert roles.refused(role) == ([] if sent else ["xray:PutTraceSegments"])


def test_a_function_enters_a_vpc_only_with_a_role_that_may_make_interfaces(roles: Roles) -> None:
    ec2 = roles.aws.client("ec2")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    place = {"SubnetIds": [subnet], "SecurityGroupIds": [group]}
    looks = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface")

    _function(roles, roles.make("lambda", *looks, "ec2:CreateNetworkInterface"), VpcConfig=place)
    with pytest.raises(ClientError, match="permissions to call CreateNetworkInterface on EC2"):
        _function(roles, roles.make("lambda", *looks), VpcConfig=place)


def test_a_job_whose_role_may_not_pull_its_image_fails(roles: Roles) -> None:
    role = roles.make("sagemaker", "s3:*", "logs:*", "ecr:GetAuthorizationToken")
    sagemaker, name = roles.aws.client("sagemaker"), f"rights-{uuid.uuid4().hex[:8]}"
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["true"],
        },
        RoleArn=role,
        OutputDataConfig={"S3OutputPath": "s3://nowhere/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )

    def failed() -> Any:
        return sagemaker.describe_training_job(TrainingJobName=name).get("FailureReason")

    reason = _until(failed)

    assert "does not have BatchCheckLayerAvailability permission" in reason
    assert roles.refused(role) == ["ecr:BatchCheckLayerAvailability"]


def test_an_object_of_an_encrypted_bucket_needs_its_key(roles: Roles) -> None:
    key = roles.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    s3, bucket = roles.aws.client("s3"), f"rights-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default}]
        },
    )
    writer = roles.make("lambda", "s3:*", "kms:GenerateDataKey")

    roles.acting("s3", writer).put_object(Bucket=bucket, Key="a", Body=b"woof")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        roles.acting("s3", writer).get_object(Bucket=bucket, Key="a")


def test_who_makes_a_thing_with_tags_must_be_allowed_to_tag(roles: Roles) -> None:
    tags = [{"Key": "project", "Value": "dogs"}]
    maker = roles.acting("iam", roles.make("lambda", "iam:CreateRole"))
    role = {"RoleName": f"rights-{uuid.uuid4().hex[:8]}", "AssumeRolePolicyDocument": _policy()}

    with pytest.raises(ClientError, match="iam:TagRole"):
        maker.create_role(**role, Tags=tags)
    maker.create_role(**role)


def test_a_change_of_a_role_is_decided_by_the_boundary_that_it_has(roles: Roles) -> None:
    allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    boundary = roles.iam.create_policy(
        PolicyName=f"rights-{uuid.uuid4().hex[:8]}", PolicyDocument=_policy(allow)
    )["Policy"]["Arn"]
    within = roles.make("lambda", PermissionsBoundary=boundary).split("/")[1]
    free = roles.make("lambda").split("/")[1]
    changer = roles.make("lambda")
    condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    statement = {"Effect": "Allow", "Action": "iam:PutRolePolicy", "Resource": "*",
                 "Condition": condition}  # fmt: skip
    roles.iam.put_role_policy(
        RoleName=changer.split("/")[1], PolicyName="own", PolicyDocument=_policy(statement)
    )
    iam, change = (
        roles.acting("iam", changer),
        {"PolicyName": "a", "PolicyDocument": _policy(allow)},
    )

    iam.put_role_policy(RoleName=within, **change)
    with pytest.raises(ClientError, match="iam:PutRolePolicy"):
        iam.put_role_policy(RoleName=free, **change)


@pytest.mark.parametrize("exists", [True, False])
def test_a_command_runs_with_the_rights_of_a_role(roles: Roles, exists: bool) -> None:
    role = roles.make("lambda").split("/")[1] if exists else "nobody"
    command = [sys.executable, "-m", "localaws", "run", "--folder", str(roles.aws.folder)]
    who = ["aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text"]

    run = subprocess.run(
        [*command, "--role", role, "--", *who],
        env=roles.aws.env,
        capture_output=True,
        text=True,
    )

    if exists:
        assert run.stdout.strip().endswith(f":assumed-role/{role}/localaws")
    else:
        assert run.returncode == 1
        assert "the role nobody cannot be taken" in run.stderr
