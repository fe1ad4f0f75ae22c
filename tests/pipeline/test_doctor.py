"""The doctor, in a local AWS where something is wrong."""

import base64
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.localaws.starting import start_local_aws
from tests.pipeline.conftest import REPOSITORY, Stage

from contract.release import Artifact, Release, write_release
from contract.settings import Ec2Training
from localaws import control
from pipeline import deploy
from pipeline.aws import Account
from pipeline.doctor import __main__ as doctor
from pipeline.doctor.images import image_parameter, patched
from pipeline.setup import find_mirror, write_cli_config
from pipeline.state import ensure_state_bucket

SERVICES = ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": SERVICES, "AWS": "*"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@pytest.fixture
def patient(stage: Stage) -> Stage:
    """A stage with nothing deployed."""
    shutil.copy(REPOSITORY / "infra" / ".terraform.lock.hcl", stage.root / "infra")
    return stage


class Said:
    """What the doctor printed."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text

    def of(self, sign: str) -> list[str]:
        start = f"{sign:<4}  "
        return [line.removeprefix(start) for line in self.text.splitlines() if line[:6] == start]

    def about(self, words: str) -> str:
        """The one line with these words, its sign first."""
        found = [line for line in self.text.splitlines() if words in line]
        assert len(found) == 1, self.text
        return found[0]


@pytest.fixture
def visit(capsys: pytest.CaptureFixture[str]) -> Any:
    def run() -> Said:
        capsys.readouterr()
        code = doctor.main([])
        return Said(code, capsys.readouterr().out)

    return run


@pytest.mark.slow
@pytest.mark.usefixtures("patient")
def test_nothing_is_wrong_and_nothing_is_made_where_nothing_is_deployed(
    account: Account, visit: Any
) -> None:
    buckets = account.client("s3").list_buckets()["Buckets"]

    said = visit()

    assert said.of("fail") == []
    assert said.code == 0
    assert said.about("state: nothing is deployed yet").startswith("ok")
    assert account.client("s3").list_buckets()["Buckets"] == buckets


@pytest.mark.slow
def test_archives_that_are_missing_or_overwritten_fail_by_their_key(
    account: Account, patient: Stage, visit: Any
) -> None:
    def archive(kind: str, file: str) -> Artifact:
        sha256 = hashlib.sha256(kind.encode()).hexdigest()
        return Artifact(key=f"{kind}/{sha256}/{file}", sha256=sha256)

    release = Release(
        function=archive("function", "function.zip"),
        model=archive("model", "model.tar.gz"),
        training=archive("training", "training.tar.gz"),
    )
    write_release(release, patient.build / "release.tfvars.json")
    s3, bucket = account.client("s3"), f"{patient.name}-{account.account_id()}-{account.region}"
    s3.create_bucket(Bucket=bucket)
    for artifact, body in ((release.function, b"function"), (release.training, b"something else")):
        checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
        s3.put_object(
            Bucket=bucket,
            Key=artifact.key,
            Body=body,
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=checksum,
        )

    said = visit()

    assert said.code == 1
    assert said.about(release.function.key).startswith("ok")
    assert f"{release.model.key} is missing  -> make upload" in said.about(release.model.key)
    assert said.about(release.training.key).startswith("fail")
    assert "is not what its name says" in said.about(release.training.key)


@pytest.mark.slow
def test_a_running_notebook_and_a_running_instance_are_named_with_their_price(
    account: Account, patient: Stage, visit: Any
) -> None:
    role = account.client("iam").create_role(
        RoleName=patient.name, AssumeRolePolicyDocument=json.dumps(TRUST)
    )
    account.client("sagemaker").create_notebook_instance(
        NotebookInstanceName=patient.name,
        InstanceType="ml.t3.medium",
        RoleArn=role["Role"]["Arn"],
    )
    ec2 = account.client("ec2")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    tags = [{"Key": "Name", "Value": f"{patient.name}-training"}]
    launched = ec2.run_instances(
        ImageId=image,
        InstanceType="t3.large",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )["Instances"][0]["InstanceId"]

    running = visit()
    account.client("sagemaker").stop_notebook_instance(NotebookInstanceName=patient.name)
    ec2.terminate_instances(InstanceIds=[launched])
    stopped = visit()

    notebook = running.about(f"notebook {patient.name} is")
    assert notebook.startswith("warn")
    assert "is InService, $0.05 an hour  -> aws sagemaker stop-notebook-instance" in notebook
    assert running.about(f"instance {launched} runs").startswith("warn")
    assert "$0.0832 an hour" in running.about(launched)
    assert stopped.about(f"notebook {patient.name} is Stopped").startswith("ok")
    assert stopped.about("instances: none runs").startswith("ok")


@pytest.fixture
def new_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.setenv("LOCALAWS_NEW_ACCOUNT", "1")
    address = start_local_aws(tmp_path / "new")
    try:
        for name, value in control.variables(address).items():
            monkeypatch.setenv(name, value)
        yield Account(address.region)
    finally:
        control.down(tmp_path / "new")


@pytest.mark.slow
@pytest.mark.usefixtures("patient", "new_account")
def test_a_new_account_has_too_few_concurrent_executions_for_the_reserved_ones(visit: Any) -> None:
    said = visit()

    assert said.code == 1
    assert said.about("Lambda: all functions of this account").startswith(
        "fail  Lambda: all functions of this account together may run 10 at once; reserving 5 "
        "leaves 5 and AWS wants 100 to stay  -> aws service-quotas request-service-quota-increase "
        "--service-code lambda --quota-code L-B99A9384"
    )
    assert said.about("ml.c7i.large for endpoint usage").startswith(
        "warn  SageMaker: 2 ml.c7i.large for endpoint usage are allowed; the largest fleet and "
        "its update need 10"
    )


@pytest.mark.slow
def test_a_new_account_cannot_reserve(new_account: Account) -> None:
    client = new_account.client("lambda")
    role = new_account.client("iam").create_role(
        RoleName="any", AssumeRolePolicyDocument=json.dumps(TRUST)
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("handler.py", "")
    client.create_function(
        FunctionName="any",
        Code={"ZipFile": archive.getvalue()},
        Handler="handler.handle",
        Role=role["Role"]["Arn"],
        Runtime="python3.13",
    )

    with pytest.raises(client.exceptions.ClientError, match=r"minimum value of \[10\]"):
        client.put_function_concurrency(FunctionName="any", ReservedConcurrentExecutions=1)


@pytest.mark.slow
@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("line", "sign", "words"),
    [
        ("2.5-ubuntu-22.04", "warn", "not patched since 2025-11-24"),
        ("1.0-ubuntu-16.04", "fail", "there is no parameter /aws/service/deeplearning/ami/x86_64/"),
    ],
)
def test_a_line_of_images_that_ended_or_never_was_is_named(
    patient: Stage, visit: Any, line: str, sign: str, words: str
) -> None:
    training = json.loads(patient.settings_file.read_text())["ec2_training"]
    patient.change_settings(
        ec2_training=training | {"ami_line": line, "instance_type": "g5.xlarge"}
    )

    said = visit()

    assert said.about(words).startswith(f"{sign}  training image")
    assert said.about("'Running On-Demand G and VT instances'").startswith("fail  EC2: 0")


@pytest.mark.slow
def test_a_held_lock_is_told_with_its_holder_and_fails_when_it_is_old(
    account: Account, patient: Stage, visit: Any
) -> None:
    bucket = ensure_state_bucket(account, patient.name, lambda _: None)
    lock = {"ID": "1", "Operation": "OperationTypeApply", "Who": "ann@laptop"}
    found = []

    for since in ("2026-11-01T10:00:00.1234567Z", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.12Z"):
        account.client("s3").put_object(
            Bucket=bucket,
            Key="terraform.tfstate.tflock",
            Body=json.dumps(lock | {"Created": since}).encode(),
        )
        found.append(visit().about("ann@laptop holds the lock"))

    assert found[0].startswith("fail")
    assert found[0].endswith(
        "since 2026-11-01 10:00:00 UTC (apply)  -> make unlock, if nobody is at work"
    )
    assert found[1].startswith("warn")


@pytest.mark.slow
def test_what_somebody_changed_by_hand_is_drift(
    account: Account, patient: Stage, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cli_config(patient.root / "terraform.rc", find_mirror())
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(patient.root / "terraform.rc"))
    (patient.root / "infra" / "group.tf").write_text(
        f'resource "aws_cloudwatch_log_group" "kept" {{\n  name = "{patient.name}"\n'
        "  retention_in_days = 14\n}\n"
    )
    assert deploy.main([]) == 0

    clean = visit()
    account.client("logs").put_retention_policy(logGroupName=patient.name, retentionInDays=3)
    drifted = visit()
    patient.change_settings(tags={"new": "one"})
    changed = visit()
    account.client("logs").delete_log_group(logGroupName=patient.name)

    assert clean.about("drift:").startswith("ok")
    assert drifted.about("drift:").startswith(
        "fail  drift: aws_cloudwatch_log_group.kept changed outside of Terraform  -> make plan"
    )
    assert "ask for changes" not in drifted.text
    assert changed.about("ask for changes of terraform_data.base").startswith("warn")


@pytest.mark.slow
def test_what_the_caller_may_not_see_is_said_and_the_rest_goes_on(
    account: Account, patient: Stage, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = account.client("iam").create_role(
        RoleName=f"{patient.name}-blind", AssumeRolePolicyDocument=json.dumps(TRUST)
    )
    keys = account.client("sts").assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="blind")[
        "Credentials"
    ]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])

    said = visit()

    assert f"assumed-role/{patient.name}-blind/blind" in said.about("credentials:")
    for name in ("Lambda's quota", "SageMaker's quotas", "the training image", "what runs"):
        assert said.about(f"{name} could not be looked at").startswith("warn")


@pytest.mark.slow
def test_without_credentials_it_says_how_to_sign_in(
    account: Account, patient: Stage, visit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del account, patient
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    said = visit()

    assert said.code == 1
    assert said.about("credentials:").startswith("fail")
    assert "aws sso login" in said.about("credentials:")


def training(**changes: Any) -> Ec2Training:
    usual: dict[str, Any] = json.loads((REPOSITORY / "config" / "local.tfvars.json").read_text())[
        "ec2_training"
    ]
    return Ec2Training(**(usual | changes))


@pytest.mark.parametrize(
    ("kind", "parameter"),
    [
        ("t3.large", "ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"),
        ("c7g.xlarge", "ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"),
        (
            "g5.xlarge",
            "deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.12-ubuntu-24.04/latest/ami-id",
        ),
        (
            "g5g.xlarge",
            "deeplearning/ami/arm64/oss-nvidia-driver-gpu-pytorch-2.12-ubuntu-24.04/latest/ami-id",
        ),
    ],
)
def test_the_image_is_the_one_that_the_module_takes(kind: str, parameter: str) -> None:
    assert image_parameter(training(instance_type=kind)) == f"/aws/service/{parameter}"


def test_an_image_is_patched_until_its_last_day() -> None:
    image = "pytorch-inference:2.6.0-cpu-py312"

    assert patched("it", image, date(2026, 6, 30)).sign == "ok"
    assert patched("it", image, date(2026, 7, 1)).sign == "warn"
    assert patched("it", "mine:1", date(2026, 7, 1)).sign == "ok"
    assert patched("it", "notebook-al2023-v1", date(2026, 7, 1)).sign == "ok"
