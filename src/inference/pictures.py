"""Pictures that a request names by an s3:// address instead of sending them."""

import logging
import re
import threading
from typing import Any

from contract.messages import MAX_PICTURE_BYTES, RequestError
from contract.strict import ContractError

_ADDRESS = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.*)", re.DOTALL)
_ABSENT = {"NoSuchBucket", "NoSuchKey", "404"}
"""The role may list the prefix, so S3 does not call a key that is not there forbidden."""
_LOG = logging.getLogger(__name__)


class Pictures:
    """Reads pictures below one prefix of one bucket, and nothing else."""

    def __init__(self, allowed_uri: str | None) -> None:
        """Keep the prefix; S3 is not contacted.

        Args:
            allowed_uri: `s3://bucket/prefix/`, or None when requests may not name pictures.

        Raises:
            ContractError: it is not such an address.
        """
        self._allowed: tuple[str, str] | None = None
        self._client: Any = None
        self._lock = threading.Lock()
        if allowed_uri is not None:
            found = _ADDRESS.fullmatch(allowed_uri)
            if found is None or not found[2].endswith("/"):
                raise ContractError(
                    f"PICTURES_URI is {allowed_uri!r}; it must look like s3://bucket/pictures/."
                )
            self._allowed = (found[1], found[2])

    def read(self, s3_uri: str) -> bytes:
        """Fetch one picture.

        Raises:
            RequestError: 400 not an allowed address; 404 no such picture; 413 too large; 503 or
                504 S3 does not answer.
        """
        bucket, key = self._checked(s3_uri)
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        try:
            found = self._s3().get_object(Bucket=bucket, Key=key)
            size = found["ContentLength"]
            if size > MAX_PICTURE_BYTES:
                found["Body"].close()
                raise RequestError(
                    "too_large",
                    f"The picture has {size:,} bytes; at most {MAX_PICTURE_BYTES:,} are accepted.",
                )
            picture: bytes = found["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _ABSENT:
                raise RequestError(
                    "not_found", f"There is no picture {s3_uri!r:.200}. Upload it first."
                ) from None
            _LOG.warning("s3 refused", extra={"fields": {"error": str(error)}})
            raise RequestError("unavailable", "S3 refused the picture. Try again.") from None
        except (BotoCoreError, HTTPClientError) as error:
            _LOG.warning("s3 failed", extra={"fields": {"error": str(error)}})
            if "timeout" in type(error).__name__.lower():
                raise RequestError("timeout", "S3 did not answer in time. Try again.") from None
            raise RequestError("unavailable", "S3 cannot be reached. Try again.") from None
        return picture

    def _checked(self, s3_uri: str) -> tuple[str, str]:
        if self._allowed is None:
            raise RequestError(
                "bad_request",
                "This endpoint does not read S3: send the picture's bytes or 'image_base64'.",
            )
        allowed_bucket, prefix = self._allowed
        found = _ADDRESS.fullmatch(s3_uri)
        plain = found is not None and not _odd(found[2])
        if found is None or not plain or found[1] != allowed_bucket or not _below(found[2], prefix):
            raise RequestError(
                "bad_request",
                f"s3_uri is {s3_uri!r:.200}; it must name a picture below "
                f"s3://{allowed_bucket}/{prefix}.",
            )
        return found[1], found[2]

    def _s3(self) -> Any:
        """The one client, made at the first use: most endpoints never read S3."""
        with self._lock:
            if self._client is None:
                import boto3
                from botocore.config import Config

                retries: Any = {"mode": "standard", "total_max_attempts": 2}
                config = Config(connect_timeout=2, read_timeout=5, retries=retries)
                self._client = boto3.client("s3", config=config)
            return self._client


def _odd(key: str) -> bool:
    """Whether a key has parts that some reader could resolve to another key."""
    parts = key.split("/")
    return "\\" in key or not key.isprintable() or any(part in ("", ".", "..") for part in parts)


def _below(key: str, prefix: str) -> bool:
    return key.startswith(prefix) and len(key) > len(prefix)
