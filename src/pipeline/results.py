"""What a run leaves in the bucket comes to build/model and build/training."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from contract.model_card import ModelCard, read_card
from contract.strict import ContractError
from pipeline.aws import Client, error_code, pages
from pipeline.objects import fetch_file
from pipeline.unpacking import check_name, unpack

CHECKPOINTS = "checkpoints"
"""Of `make train`, in build/training: another run's results leave them alone."""
SERVING_CODE = "code"
"""A job's archive has it beside the model; `make package` adds this checkout's."""


def bring_job(s3: Client, job: Mapping[str, Any], build: Path) -> ModelCard:
    """Fetch a training job's model and output.

    Args:
        s3: the client.
        job: as DescribeTrainingJob has it.
        build: where to.

    Raises:
        ContractError: it left no whole model.
    """
    model_uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    output = fresh(build, "training")
    fetch_archive(s3, model_uri.replace("/model.tar.gz", "/output.tar.gz"), output)
    folder = fresh(build, "model")
    fetch_archive(s3, model_uri, folder)
    card = adopt_model(folder, build)
    adopt_output(output, build)
    return card


def bring_run(s3: Client, bucket: str, run_id: str, build: Path) -> ModelCard:
    """Fetch the model and the output of a run on EC2.

    Raises:
        ContractError: it left no whole model.
    """
    output, folder = fresh(build, "training"), fresh(build, "model")
    fetch_folder(s3, bucket, f"runs/{run_id}/output/", output)
    fetch_folder(s3, bucket, f"runs/{run_id}/model/", folder)
    card = adopt_model(folder, build)
    adopt_output(output, build)
    return card


def fresh(build: Path, name: str) -> Path:
    """An empty folder in `build` for what will take the place of another."""
    folder = build / f"{name}.fetched"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def fetch_archive(s3: Client, uri: str, folder: Path) -> None:
    """Fetch and unpack an archive; a job that wrote nothing has none.

    Raises:
        ContractError: it holds what it must not; then nothing of it is unpacked.
        Failed: it did not arrive.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    archive = folder.with_name(f"{folder.name}.tar.gz")
    try:
        fetch_file(s3, bucket, key, archive)
    except ClientError as error:
        if error_code(error) in {"404", "NoSuchKey"}:
            return
        raise
    try:
        unpack(archive, folder)
    finally:
        archive.unlink()


def fetch_folder(s3: Client, bucket: str, prefix: str, folder: Path) -> None:
    """Fetch all objects below a prefix.

    Raises:
        ContractError: a key leads out of the folder, or may be a pickle.
        Failed: one did not arrive.
    """
    for item in pages(s3, "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix):
        name = item["Key"].removeprefix(prefix)
        check_name(name, f"s3://{bucket}/{prefix}")
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        fetch_file(s3, bucket, item["Key"], file)


def adopt_model(folder: Path, build: Path) -> ModelCard:
    """Make a downloaded model the one that `make package` takes.

    Args:
        folder: in `build`, as training left it; gone afterwards.
        build: its `model/` is replaced, whole or not at all.

    Raises:
        ContractError: it is no whole model.
    """
    shutil.rmtree(folder / SERVING_CODE, ignore_errors=True)
    try:
        card = read_card(folder)
    except ContractError:
        shutil.rmtree(folder)
        raise
    model, before = build / "model", build / "model.before"
    shutil.rmtree(before, ignore_errors=True)
    if model.exists():
        model.rename(before)
    folder.rename(model)
    shutil.rmtree(before, ignore_errors=True)
    return card


def adopt_output(folder: Path, build: Path) -> None:
    """Make downloaded metrics and reports the ones that `make report` reads.

    Args:
        folder: in `build`; gone afterwards.
        build: what an earlier run left in its `training/` goes, checkpoints excepted.
    """
    training = build / "training"
    training.mkdir(exist_ok=True)
    for old in training.iterdir():
        if old.name != CHECKPOINTS:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    for new in folder.iterdir():
        if new.name != CHECKPOINTS:
            new.rename(training / new.name)
    shutil.rmtree(folder)
