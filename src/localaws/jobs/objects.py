"""What a job reads from S3 and writes there, with the rights of its role."""

import io
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from localaws.unpacking import ArchiveError, unpack

PARALLEL = 8


class DataError(Exception):
    """Something is not in S3, or the role may not reach it; worded as SageMaker words it."""


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3:// address.

    Raises:
        DataError: it is none.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise DataError(f"ClientError: {uri!r} is not an address like s3://bucket/key.")
    return bucket, key


def list_keys(s3: Any, uri: str) -> list[str]:
    """Every key that begins with an address.

    Raises:
        DataError: the role may not list it.
    """
    bucket, prefix = split_uri(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    try:
        return [found["Key"] for page in pages for found in page.get("Contents", [])]
    except ClientError as error:
        raise DataError(f"ClientError: Data download failed: {uri}: {_said(error)}") from None


def fetch_channel(s3: Any, uri: str, folders: Sequence[Path], *, sharded: bool) -> None:
    """Download an input channel for every host.

    Args:
        s3: a client with the role's rights.
        uri: everything that begins with it belongs to the channel.
        folders: the channel's folder of each host.
        sharded: each host gets its share, and not everything.

    Raises:
        DataError: nothing is there, or the role may not read it.
    """
    keys = [key for key in list_keys(s3, uri) if not key.endswith("/")]
    bucket, prefix = split_uri(uri)
    if not keys:
        raise DataError(
            f'ClientError: No S3 objects found under S3 URL "{uri}" given in input data source. '
            "Please ensure that the bucket exists in the selected region, that objects exist "
            "under that S3 prefix, and that the role has s3:ListBucket permissions on bucket "
            f'"{bucket}".'
        )
    jobs = [
        (key, folder / _relative(key, prefix))
        for number, key in enumerate(sorted(keys))
        for host, folder in enumerate(folders)
        if not sharded or number % len(folders) == host
    ]
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(lambda job: fetch(s3, f"s3://{bucket}/{job[0]}", job[1]), jobs))


def fetch(s3: Any, uri: str, file: Path) -> None:
    """Download one object.

    Raises:
        DataError: it is not there, or the role may not read it.
    """
    bucket, key = split_uri(uri)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"]
        with file.open("wb") as out:
            for chunk in body.iter_chunks(1 << 20):
                out.write(chunk)
    except ClientError as error:
        raise DataError(f"ClientError: Data download failed: {uri}: {_said(error)}") from None


def fetch_archive(s3: Any, uri: str, folder: Path) -> None:
    """Download a tar archive and unpack it.

    Raises:
        DataError: it is not there, the role may not read it, or it is no archive that may be
            unpacked.
    """
    file = folder.with_name(f"{folder.name}.tar.gz")
    fetch(s3, uri, file)
    try:
        unpack(file, folder)
    except ArchiveError as error:
        raise DataError(f"ClientError: {uri} cannot be unpacked: {error}") from None
    finally:
        file.unlink()


def send(s3: Any, uri: str, file: Path) -> None:
    """Upload one file.

    Raises:
        DataError: the role may not write it.
    """
    bucket, key = split_uri(uri)
    try:
        s3.upload_file(str(file), bucket, key)
    except Exception as error:  # boto3's transfer wraps what S3 said in an error of its own
        raise DataError(f"ClientError: Failed to upload to {uri}: {error}") from None


def send_archive(s3: Any, uri: str, folders: Sequence[Path], file: Path) -> None:
    """Pack what the folders hold and upload it; of files with one name, the first folder's.

    Raises:
        DataError: the role may not write it.
    """
    packed = set()
    with tarfile.open(file, "w:gz") as archive:
        for folder in folders:
            for item in sorted(folder.rglob("*")):
                name = item.relative_to(folder).as_posix()
                if name not in packed and (item.is_file() or item.is_symlink()):
                    archive.add(item, name, recursive=False)
                    packed.add(name)
    send(s3, uri, file)
    file.unlink()


class Checkpoints:
    """Keeps a local folder in S3, as SageMaker does while a job runs."""

    def __init__(self, s3: Any, uri: str, folder: Path) -> None:
        self._s3 = s3
        self._uri = uri.rstrip("/")
        self._folder = folder
        self._sent: dict[Path, tuple[int, int]] = {}

    def restore(self) -> None:
        """Download what an earlier job left."""
        _, prefix = split_uri(f"{self._uri}/")
        bucket, _ = split_uri(self._uri)
        self._folder.mkdir(parents=True, exist_ok=True)
        for key in list_keys(self._s3, f"{self._uri}/"):
            if not key.endswith("/"):
                file = self._folder / _relative(key, prefix)
                fetch(self._s3, f"s3://{bucket}/{key}", file)
                self._sent[file] = _version(file)

    def send(self) -> None:
        """Upload what is new or has changed."""
        for file in sorted(self._folder.rglob("*")):
            try:
                if not file.is_file() or self._sent.get(file) == _version(file):
                    continue
                version, content = _version(file), file.read_bytes()
            except FileNotFoundError:  # the script has just replaced it
                continue
            bucket, key = split_uri(f"{self._uri}/{file.relative_to(self._folder).as_posix()}")
            self._s3.upload_fileobj(io.BytesIO(content), bucket, key)
            self._sent[file] = version


def _relative(key: str, prefix: str) -> str:
    """Where a key lands below its channel's folder; `..` in a key leads nowhere."""
    left = key[len(prefix) :].lstrip("/") or key.rsplit("/", 1)[-1]
    return "/".join(part for part in left.split("/") if part not in ("", ".", ".."))


def _version(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _said(error: ClientError) -> str:
    return f"{error.response['Error']['Code']}: {error.response['Error'].get('Message', '')}"
