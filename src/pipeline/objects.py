"""Objects in the bucket: named by their content, never overwritten, checked by their checksum."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from urllib3.exceptions import HTTPError

from contract.model_card import file_sha256
from contract.strict import require
from pipeline.aws import Client, error_code, pages
from pipeline.cli import Failed

BIG_BYTES = 20_000_000
"""From here on a single upload shows how far it is."""


def fetch_file(s3: Client, bucket: str, key: str, file: Path, sha256: str | None = None) -> None:
    """Download an object, whole or not at all; what passes is tried again a few times.

    Args:
        s3: the client.
        bucket: where it is.
        key: its name.
        file: where to; what is there is replaced when the object is there whole.
        sha256: that it must have, 64 hex digits, where that is known.

    Raises:
        ClientError: S3 refuses it, or it is not there.
        Failed: it did not come whole, or this disk does not take it.
        ContractError: it is not what its name says.
    """
    uri = f"s3://{bucket}/{key}"
    arriving = file.with_name(f"{file.name}.arriving")
    try:
        s3.download_file(bucket, key, str(arriving))
        found = file_sha256(arriving) if sha256 else sha256
        require(
            found == sha256,
            f"{uri} has SHA-256 {found}, not the one in its name: somebody overwrote it.",
        )
        arriving.replace(file)
    except NoCredentialsError:
        raise
    except (BotoCoreError, Boto3Error, HTTPError) as error:
        raise Failed(
            f"{uri} did not arrive whole, though it was asked for several times: {error}. "
            "Try again."
        ) from error
    except ConnectionError as error:
        raise Failed(f"{uri} did not arrive: {error}. Try again.") from error
    except OSError as error:
        raise Failed(
            f"{uri} could not be written to {file.parent}: {error.strerror}. Make room and try "
            "again."
        ) from error
    finally:
        arriving.unlink(missing_ok=True)


def is_there(s3: Client, bucket: str, key: str, sha256: str) -> bool:
    """Whether an object exists.

    Raises:
        ContractError: it does, but its checksum is not the one in its name.
    """
    try:
        head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except ClientError as error:
        if error_code(error) in {"404", "NoSuchKey"}:
            return False
        raise
    require(
        head.get("ChecksumSHA256") == _checksum(sha256),
        f"s3://{bucket}/{key} is not what its name says: somebody overwrote it. "
        "Delete it and run the command again.",
    )
    return True


def put_once(
    s3: Client, bucket: str, key: str, file: Path, sha256: str, say: Callable[[str], None]
) -> bool:
    """Upload a file unless the object is there already.

    Args:
        s3: the client.
        bucket: where to.
        key: holds the SHA-256, so another content is another key.
        file: the file.
        sha256: of the file, 64 hex digits; AWS checks it.
        say: takes progress of big files.

    Returns:
        Whether it was uploaded now.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        body: Any = _Reported(stream, size, key, say) if size >= BIG_BYTES else stream
        try:
            s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=body,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=_checksum(sha256),
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error_code(error) in {"PreconditionFailed", "412"}:
                return False
            raise
    return True


def put_missing(
    s3: Client, bucket: str, prefix: str, files: Mapping[str, Path], say: Callable[[str], None]
) -> int:
    """Upload the files that are not yet below a prefix, many at a time.

    Args:
        s3: the client.
        bucket: where to.
        prefix: ends with a slash and holds the digest of all the files.
        files: by their key below the prefix.
        say: takes the progress.

    Returns:
        How many were uploaded now.
    """
    there = {item["Key"] for item in pages(s3, "list_objects_v2", "Contents", Bucket=bucket,
                                           Prefix=prefix)}  # fmt: skip
    missing = {name: file for name, file in files.items() if prefix + name not in there}
    step = max(1, len(missing) // 10)
    with ThreadPoolExecutor(max_workers=16) as pool:
        uploads = [
            pool.submit(_put_checked, s3, bucket, prefix + name, file)
            for name, file in missing.items()
        ]
        try:
            for done, upload in enumerate(uploads, start=1):
                upload.result()
                if done % step == 0 and done < len(missing):
                    say(f"  {done} of {len(missing)} files")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return len(missing)


def _put_checked(s3: Client, bucket: str, key: str, file: Path) -> None:
    data = file.read_bytes()
    checksum = _checksum(hashlib.sha256(data).hexdigest())
    s3.put_object(
        Bucket=bucket, Key=key, Body=data, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum
    )


def _checksum(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()


class _Reported:
    """A file that says how much of it was read, a quarter at a time."""

    def __init__(self, file: BinaryIO, size: int, key: str, say: Callable[[str], None]) -> None:
        self._file = file
        self._size = size
        self._key = key
        self._say = say
        self._said = 0

    def read(self, count: int = -1) -> bytes:
        data = self._file.read(count)
        quarter = 4 * self._file.tell() // self._size
        if quarter > self._said:
            self._said = quarter
            self._say(f"  {self._key}: {25 * quarter} % of {self._size / 1e6:.0f} MB")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def __len__(self) -> int:
        return self._size
