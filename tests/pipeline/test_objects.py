from pathlib import Path

import pytest

from contract.model_card import file_sha256
from contract.release import Artifact
from contract.strict import ContractError
from pipeline.aws import Account
from pipeline.cli import say
from pipeline.objects import BIG_BYTES, is_there, put_missing, put_once
from pipeline.upload import read_dataset, upload_archive, upload_dataset


def write_archive(build: Path, content: bytes) -> Artifact:
    build.mkdir(exist_ok=True)
    (build / "model.tar.gz").write_bytes(content)
    digest = file_sha256(build / "model.tar.gz")
    return Artifact(key=f"model/{digest}/model.tar.gz", sha256=digest)


@pytest.mark.slow
def test_an_archive_is_uploaded_once(account: Account, bucket: str, tmp_path: Path) -> None:
    s3, said = account.client("s3"), list[str]()
    artifact = write_archive(tmp_path, b"archive")

    upload_archive(s3, bucket, artifact, tmp_path, said.append)
    upload_archive(s3, bucket, artifact, tmp_path, said.append)

    assert said == [f"Uploaded: {artifact.key}", f"There already: {artifact.key}"]
    assert s3.get_object(Bucket=bucket, Key=artifact.key)["Body"].read() == b"archive"


@pytest.mark.slow
def test_an_object_is_never_overwritten(account: Account, bucket: str, tmp_path: Path) -> None:
    s3 = account.client("s3")
    artifact = write_archive(tmp_path, b"archive")
    s3.put_object(Bucket=bucket, Key=artifact.key, Body=b"first")

    sent = put_once(
        s3, bucket, artifact.key, tmp_path / "model.tar.gz", artifact.sha256, lambda _: None
    )

    assert not sent
    assert s3.get_object(Bucket=bucket, Key=artifact.key)["Body"].read() == b"first"


@pytest.mark.slow
def test_an_object_that_is_not_what_its_name_says_is_refused(
    account: Account, bucket: str, tmp_path: Path
) -> None:
    s3 = account.client("s3")
    artifact = write_archive(tmp_path, b"archive")
    s3.put_object(Bucket=bucket, Key=artifact.key, Body=b"other", ChecksumAlgorithm="SHA256")

    with pytest.raises(ContractError, match="not what its name says"):
        is_there(s3, bucket, artifact.key, artifact.sha256)


@pytest.mark.slow
def test_an_archive_that_is_not_the_releases_is_refused(
    account: Account, bucket: str, tmp_path: Path
) -> None:
    artifact = write_archive(tmp_path, b"archive")
    (tmp_path / "model.tar.gz").write_bytes(b"later")

    with pytest.raises(ContractError, match="make package"):
        upload_archive(account.client("s3"), bucket, artifact, tmp_path, say)


@pytest.mark.slow
def test_a_rolled_back_release_needs_no_local_archive(
    account: Account, bucket: str, tmp_path: Path
) -> None:
    s3, said = account.client("s3"), list[str]()
    artifact = write_archive(tmp_path, b"archive")
    upload_archive(s3, bucket, artifact, tmp_path, said.append)
    (tmp_path / "model.tar.gz").unlink()

    upload_archive(s3, bucket, artifact, tmp_path, said.append)

    assert said[-1] == f"There already: {artifact.key}"


@pytest.mark.slow
def test_a_big_upload_says_how_far_it_is(account: Account, bucket: str, tmp_path: Path) -> None:
    said = list[str]()
    artifact = write_archive(tmp_path, b"\0" * BIG_BYTES)

    put_once(
        account.client("s3"), bucket, artifact.key, tmp_path / "model.tar.gz", artifact.sha256,
        said.append,
    )  # fmt: skip

    assert [line.split(": ")[1] for line in said] == [
        f"{percent} % of 20 MB" for percent in (25, 50, 75, 100)
    ]


@pytest.mark.slow
def test_only_missing_pictures_are_uploaded(account: Account, bucket: str, tmp_path: Path) -> None:
    s3, said = account.client("s3"), list[str]()
    for name in ("train/cat/1.jpg", "train/dog/2.jpg", "valid/cat/3.jpg", ".hidden/4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    dataset = read_dataset(tmp_path)
    put_missing(
        s3, bucket, dataset.prefix, {"train/cat/1.jpg": dataset.files["train/cat/1.jpg"]},
        said.append,
    )  # fmt: skip

    uri = upload_dataset(s3, bucket, dataset, said.append)

    assert said[-1].startswith("Data: 3 files, 2 of them uploaded now")
    assert uri == f"s3://{bucket}/data/{dataset.sha256}/"
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == [f"{dataset.prefix}{name}" for name in sorted(dataset.files)]


def test_a_dataset_is_named_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.jpg").write_bytes(b"1")
    before = read_dataset(tmp_path).sha256
    (tmp_path / "cat" / "1.jpg").write_bytes(b"2")
    changed = read_dataset(tmp_path).sha256
    (tmp_path / "cat" / "1.jpg").rename(tmp_path / "cat" / "2.jpg")

    assert len({before, changed, read_dataset(tmp_path).sha256}) == 3


def test_an_empty_folder_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="make data"):
        read_dataset(tmp_path)
