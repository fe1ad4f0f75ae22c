"""Downloads over a way that breaks, onto a disk that is full: whole, or not at all."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from tests.faulty_s3 import FaultyS3, faulty_s3
from tests.full_disk import full_disk
from tests.hostile_archives import member, tar_gz
from tests.pipeline.models import write_model

from contract.strict import ContractError
from pipeline.aws import Account
from pipeline.cli import Failed
from pipeline.objects import fetch_file
from pipeline.results import bring_job, bring_run

pytestmark = pytest.mark.slow
CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def way(local_aws: Any) -> Iterator[FaultyS3]:
    with faulty_s3(local_aws.url) as server:
        yield server


@pytest.fixture
def s3(local_aws: Any, way: FaultyS3, account: Account, bucket: str) -> Any:
    """As `pipeline.aws` makes it, with less patience, behind the way that breaks."""
    account.client("s3").put_object(Bucket=bucket, Key="a/file", Body=CONTENT)
    retries: Any = {"mode": "standard", "total_max_attempts": 5}
    config = Config(
        read_timeout=1,
        response_checksum_validation="when_required",  # the SHA-256 in the name is what counts
        retries=retries,
        s3={"addressing_style": "path"},
    )
    session: Any = boto3.session.Session()
    return session.client(
        "s3",
        endpoint_url=way.url,
        region_name=local_aws.region,
        config=config,
        aws_access_key_id=local_aws.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=local_aws.env["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.mark.parametrize(
    "faults", [["500", "500"], ["reset"], ["truncated", "truncated"], ["stalled"], ["slow"]]
)
def test_what_passes_is_tried_again(
    tmp_path: Path, s3: Any, way: FaultyS3, bucket: str, faults: list[str]
) -> None:
    way.faults = list(faults)

    fetch_file(s3, bucket, "a/file", tmp_path / "file", SHA256)

    assert (tmp_path / "file").read_bytes() == CONTENT
    assert way.met == ([*faults, "good"] if faults != ["slow"] else faults)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("fault", ["reset", "truncated", "stalled"])
def test_what_does_not_pass_is_told_and_leaves_what_was_there(
    tmp_path: Path, s3: Any, way: FaultyS3, bucket: str, fault: str
) -> None:
    way.faults = [fault] * 20
    (tmp_path / "file").write_bytes(b"before")

    with pytest.raises(Failed, match=f"s3://{bucket}/a/file did not arrive"):
        fetch_file(s3, bucket, "a/file", tmp_path / "file")

    assert len(way.met) <= 5
    assert (tmp_path / "file").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_other_bytes_than_the_name_promises_are_refused(
    tmp_path: Path, s3: Any, way: FaultyS3, bucket: str
) -> None:
    way.faults = ["other"]

    with pytest.raises(ContractError, match=f"s3://{bucket}/a/file has SHA-256"):
        fetch_file(s3, bucket, "a/file", tmp_path / "file", SHA256)

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_nothing_is_left(
    tmp_path: Path, account: Account, bucket: str
) -> None:
    s3 = account.client("s3")
    s3.put_object(Bucket=bucket, Key="a/file", Body=CONTENT)

    with (
        full_disk(100_000),
        pytest.raises(Failed, match=f"s3://{bucket}/a/file could not be written to .* Make room"),
    ):
        fetch_file(s3, bucket, "a/file", tmp_path / "file")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (tar_gz(member("../evil")), "leads out of its folder"),
        (tar_gz(member("weights.pt")), "pickle"),
        (tar_gz(member("model.json", b"{}"))[:-9], "damaged or cut short"),
    ],
    ids=["traversal", "pickle", "cut"],
)
def test_a_job_that_brings_a_hostile_archive_leaves_the_model_before(
    tmp_path: Path, account: Account, bucket: str, archive: bytes, message: str
) -> None:
    write_model(tmp_path / "model", b"before")
    account.client("s3").put_object(Bucket=bucket, Key="j/model.tar.gz", Body=archive)
    job = {"ModelArtifacts": {"S3ModelArtifacts": f"s3://{bucket}/j/model.tar.gz"}}

    with pytest.raises(ContractError, match=message):
        bring_job(account.client("s3"), job, tmp_path)

    assert (tmp_path / "model" / "weights.safetensors").read_bytes() == b"before"
    assert not list(tmp_path.rglob("*.partial"))
    assert not list(tmp_path.rglob("*.tar.gz"))
    assert not (tmp_path.parent / "evil").exists()


def test_a_run_whose_keys_lead_elsewhere_is_refused(
    tmp_path: Path, account: Account, bucket: str
) -> None:
    key = "runs/r/model/../../../evil"
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")

    with pytest.raises(ContractError, match="leads out of its folder"):
        bring_run(account.client("s3"), bucket, "r", tmp_path / "build")

    assert not list(tmp_path.rglob("evil"))
