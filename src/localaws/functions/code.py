"""The code of functions: taken from S3 when AWS takes it, and unpacked once per content."""

import base64
import hashlib
import io
import shutil
import threading
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localaws.core import AwsError, LocalAws

MAX_UNPACKED_BYTES = 262_144_000


class Code:
    """Folders of unpacked code, by the SHA-256 of the zip."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._folder = aws.folder / "functions" / "code"
        self._lock = threading.Lock()

    def take(self, source: Mapping[str, Any]) -> None:
        """Keep the code that CreateFunction's Code or UpdateFunctionCode names.

        Raises:
            AwsError: it is no zip file, or too large.
        """
        if "ZipFile" in source:
            content = bytes(source["ZipFile"])
        elif "S3Bucket" in source:
            version = source.get("S3ObjectVersion")
            content = (
                self._aws.client("s3")
                .get_object(
                    Bucket=source["S3Bucket"],
                    Key=source["S3Key"],
                    **({"VersionId": version} if version else {}),
                )["Body"]
                .read()
            )
        else:
            raise AwsError(
                "InvalidParameterValueException",
                "The local AWS runs functions from zip files; give S3Bucket and S3Key, or ZipFile.",
            )
        with self._lock:
            self._unpack(content)

    def folder(self, code_sha256: str) -> Path:
        """Where the code with this CodeSha256 lies."""
        return self._folder / base64.b64decode(code_sha256).hex()

    def _unpack(self, content: bytes) -> None:
        folder = self._folder / hashlib.sha256(content).hexdigest()
        if folder.is_dir():
            return
        unfinished = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED_BYTES:
                    raise AwsError(
                        "InvalidParameterValueException",
                        f"Unzipped size must be smaller than {MAX_UNPACKED_BYTES} bytes",
                    )
                archive.extractall(unfinished)
        except zipfile.BadZipFile as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise AwsError(
                "InvalidParameterValueException",
                "Could not unzip uploaded file. Please check your file, then try to upload again.",
            ) from error
        unfinished.rename(folder)
