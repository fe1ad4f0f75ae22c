"""A model on its way to an instance: whole and what its name says, or a reason and no model."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.faulty_s3 import FaultyS3, faulty_s3
from tests.full_disk import full_disk
from tests.hostile_archives import attacks, member, tar_gz
from tests.localaws.test_hosting import SERVE, Stage

from localaws.core import Credentials
from localaws.hosting.model import ATTEMPTS, ModelError, fetch_model

pytestmark = pytest.mark.slow
WEIGHTS = os.urandom(300_000)
ARCHIVE = tar_gz(member("weights.bin", WEIGHTS), member("code/serve.py", SERVE.encode()))
NAME = f"model/{hashlib.sha256(ARCHIVE).hexdigest()}/model.tar.gz"
THIN = "model/thin/model.tar.gz"
OTHER_NAME = f"model/{'0' * 64}/model.tar.gz"


@dataclass(frozen=True)
class Behind:
    """The local AWS, behind a way that breaks."""

    url: str
    region: str
    sts: Any

    def role_credentials(self, role_arn: str, session_name: str) -> Credentials:
        given = self.sts.assume_role(RoleArn=role_arn, RoleSessionName=session_name)["Credentials"]
        return Credentials(
            access_key_id=given["AccessKeyId"],
            secret_access_key=given["SecretAccessKey"],
            session_token=given["SessionToken"],
        )


@pytest.fixture(scope="module")
def stage(local_aws: Any) -> Stage:
    stage = Stage(local_aws)
    stage.s3.put_object(Bucket=stage.bucket, Key=NAME, Body=ARCHIVE)
    stage.s3.put_object(Bucket=stage.bucket, Key=OTHER_NAME, Body=ARCHIVE)
    thin = tar_gz(member("weights.bin", bytes(len(WEIGHTS))))
    stage.s3.put_object(Bucket=stage.bucket, Key=THIN, Body=thin)
    for number, attack in enumerate(attacks()):
        if len(attack.data) < 500_000:
            stage.s3.put_object(
                Bucket=stage.bucket, Key=f"model/{number}/m.tar.gz", Body=attack.data
            )
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{stage.bucket}/model/*",
        },
    }
    local_aws.client("iam").put_role_policy(
        RoleName=stage.role.rpartition("/")[2], PolicyName="m", PolicyDocument=json.dumps(policy)
    )
    return stage


@pytest.fixture
def way(local_aws: Any) -> Iterator[FaultyS3]:
    with faulty_s3(local_aws.url) as server:
        yield server


@pytest.fixture
def aws(local_aws: Any, way: FaultyS3) -> Any:
    return Behind(way.url, local_aws.region, local_aws.client("sts"))


def model(stage: Stage, key: str = NAME) -> dict[str, Any]:
    return {
        "ExecutionRoleArn": stage.role,
        "PrimaryContainer": {"ModelDataUrl": f"s3://{stage.bucket}/{key}"},
    }


@pytest.mark.parametrize(
    "faults", [["500", "500"], ["reset"], ["truncated", "truncated"], ["stalled"], ["slow"]]
)
def test_what_passes_is_tried_again(
    tmp_path: Path, stage: Stage, aws: Any, way: FaultyS3, faults: list[str]
) -> None:
    way.faults = list(faults)

    fetch_model(aws, model(stage), tmp_path / "model", read_timeout_seconds=1)

    assert (tmp_path / "model" / "weights.bin").read_bytes() == WEIGHTS
    assert way.met[: len(faults)] == faults
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("fault", ["500", "reset", "truncated", "stalled"])
def test_what_does_not_pass_is_told_and_leaves_nothing(
    tmp_path: Path, stage: Stage, aws: Any, way: FaultyS3, fault: str
) -> None:
    way.faults = [fault] * 50
    reason = "out of order" if fault == "500" else NAME

    with pytest.raises(ModelError, match=reason):
        fetch_model(aws, model(stage), tmp_path / "model", read_timeout_seconds=1)

    assert len(way.met) <= ATTEMPTS + 1
    assert [*tmp_path.rglob("*")] == [tmp_path / "model"]


@pytest.mark.parametrize("key", [NAME, THIN], ids=["while it arrives", "while it is unpacked"])
def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, stage: Stage, aws: Any, key: str
) -> None:
    with (
        full_disk(100_000),
        pytest.raises(ModelError, match="to the instance's disk: File too large") as caught,
    ):
        fetch_model(aws, model(stage, key), tmp_path / "model")

    assert key in str(caught.value)
    assert [*tmp_path.rglob("*")] == [tmp_path / "model"]


def test_other_bytes_than_the_name_promises_are_refused(
    tmp_path: Path, stage: Stage, aws: Any
) -> None:
    with pytest.raises(ModelError, match="has SHA-256 .*, not the one in its name"):
        fetch_model(aws, model(stage, OTHER_NAME), tmp_path / "model")

    assert [*tmp_path.rglob("*")] == [tmp_path / "model"]


@pytest.mark.parametrize("wanted", ["a symbolic link", "a bomb", "cut short", "the name '../evil'"])
def test_an_endpoint_stays_with_its_model_when_the_next_does_harm(
    stage: Stage, local_aws: Any, wanted: str
) -> None:
    number = next(n for n, attack in enumerate(attacks()) if attack.name == wanted)
    endpoint = stage.create(stage.config("v1", NAME.removesuffix(".tar.gz")))
    assert stage.settled(endpoint)["EndpointStatus"] == "InService"

    hostile = stage.config("v2", f"model/{number}/m")
    stage.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=hostile)
    described = stage.settled(endpoint)

    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] != hostile
    assert "Failed to extract model data archive" in described["FailureReason"]
    assert stage.ask(endpoint)["version"] == "v1"
    assert not list((local_aws.folder / "endpoints" / endpoint).rglob("*.partial"))
    stage.remove(endpoint)


def test_an_altered_model_fails_the_endpoint_and_never_serves(stage: Stage) -> None:
    endpoint = stage.create(stage.config("v1", OTHER_NAME.removesuffix(".tar.gz")))

    described = stage.settled(endpoint)

    assert described["EndpointStatus"] == "Failed"
    assert "not the one in its name" in described["FailureReason"]
    stage.remove(endpoint)
