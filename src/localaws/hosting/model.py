"""A model on disk: its archive, fetched with its role's rights and unpacked safely."""

import errno
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localaws.core import LocalAws
from localaws.roles import role_client
from localaws.unpacking import ArchiveError, unpack

ATTEMPTS = 4
READ_TIMEOUT_SECONDS = 30.0
_SHA256 = re.compile(r"/([0-9a-f]{64})/[^/]+\Z")


class ModelError(Exception):
    """The model cannot be served; the message is what AWS says."""


def fetch_model(
    aws: LocalAws,
    model: Mapping[str, Any],
    folder: Path,
    read_timeout_seconds: float = READ_TIMEOUT_SECONDS,
) -> None:
    """Bring a model's archive into a folder, whole or not at all.

    What passes (S3 answers 500, stops, breaks off) is tried again a few times.

    Args:
        aws: whose S3 has it.
        model: as DescribeModel has it.
        folder: where /opt/ml/model is.
        read_timeout_seconds: how long S3 may send nothing.

    Raises:
        ModelError: it may not be read, is not there, does not arrive whole, is not what its
            name says, or is no archive that may be unpacked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    uri = model_data(model)
    if uri is None:
        return
    archive = folder.parent / "model.tar.gz"
    try:
        _download(aws, model["ExecutionRoleArn"], uri, archive, read_timeout_seconds)
        _check_name(uri, archive)
        unpack(archive, folder)
    except ArchiveError as error:
        raise ModelError(
            f"Failed to extract model data archive {uri}: {error} Please ensure that it is a "
            "gzip-compressed tar file (model.tar.gz) of plain files."
        ) from error
    except OSError as error:
        raise ModelError(
            f"Could not write model data of {uri} to the instance's disk: {error.strerror}."
        ) from error
    finally:
        archive.unlink(missing_ok=True)


def _download(
    aws: LocalAws, role: str, uri: str, archive: Path, read_timeout_seconds: float
) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3 = role_client(
        aws, "s3", role, "SageMaker", attempts=ATTEMPTS, read_timeout_seconds=read_timeout_seconds
    )
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
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise
        raise ModelError(f"Could not access model data at {uri}: {error}") from error
    except Exception as error:
        raise ModelError(f"Could not access model data at {uri}: {error}") from error


def _check_name(uri: str, archive: Path) -> None:
    """A key that holds a SHA-256 promises the content."""
    wanted = _SHA256.search(uri)
    if wanted is None:
        return
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted[1]:
        raise ModelError(
            f"Model data at {uri} has SHA-256 {found}, not the one in its name: it was altered, "
            "or did not arrive whole."
        )


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
