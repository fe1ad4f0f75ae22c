"""A model on disk: its archive, fetched with its role's rights and unpacked safely."""

import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localaws.core import LocalAws
from localaws.roles import role_client


class ModelError(Exception):
    """The model cannot be served; the message is what AWS says."""


def fetch_model(aws: LocalAws, model: Mapping[str, Any], folder: Path) -> None:
    """Bring a model's archive into a folder.

    Args:
        aws: whose S3 has it.
        model: as DescribeModel has it.
        folder: where /opt/ml/model is.

    Raises:
        ModelError: it may not be read, is not there, or is no archive.
    """
    folder.mkdir(parents=True, exist_ok=True)
    uri = model_data(model)
    if uri is None:
        return
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    archive = folder.parent / "model.tar.gz"
    role = model["ExecutionRoleArn"]
    s3 = role_client(aws, "s3", role, "SageMaker")
    try:
        s3.download_file(bucket, key, str(archive))
    except s3.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        raise ModelError(
            f"Could not access model data at {uri}. Please ensure that the role {role} exists "
            'and that its trust relationship policy allows the action "sts:AssumeRole" for the '
            f'service principal "sagemaker.amazonaws.com". Also ensure that the role has '
            f'"s3:GetObject" permissions and that the object is located in {aws.region}. '
            f"S3 said {code}: {error.response['Error'].get('Message', '')}"
        ) from None
    except Exception as error:
        raise ModelError(f"Could not access model data at {uri}: {error}") from error
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ModelError(
            f"Failed to extract model data archive {uri}: {error}. Please ensure that it is a "
            "gzip-compressed tar file (model.tar.gz)."
        ) from error
    finally:
        archive.unlink(missing_ok=True)


def container_of(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container that answers; inference pipelines of several are not imitated."""
    found: Mapping[str, Any] = model.get("PrimaryContainer") or model["Containers"][0]
    return found


def model_data(model: Mapping[str, Any]) -> str | None:
    """S3 address of the archive."""
    container = container_of(model)
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    uri = container.get("ModelDataUrl") or source.get("S3Uri")
    return str(uri) if uri else None
