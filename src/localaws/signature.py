"""What a request's signature says: whose key, which service."""

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

_SCOPE = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/]*)/([^/]+)/aws4_request")


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """The public part of a signature."""

    access_key_id: str
    region: str
    signing_name: str
    session_token: str | None


def read_signature(headers: Mapping[str, str], raw_query: str) -> Signature | None:
    """Read the Authorization header, or the query of a presigned URL; None when there is none."""
    query = dict(urllib.parse.parse_qsl(raw_query)) if "ignature=" in raw_query else {}
    text = headers.get("authorization", "")
    if not text and "X-Amz-Credential" in query:
        text = f"Credential={query['X-Amz-Credential']}"
    if not text and "AWSAccessKeyId" in query:
        # boto3 still presigns objects in us-east-1 the old way.
        return Signature(
            access_key_id=query["AWSAccessKeyId"],
            region="us-east-1",
            signing_name="s3",
            session_token=query.get("x-amz-security-token"),
        )
    found = _SCOPE.search(text)
    if found is None:
        return None
    token = headers.get("x-amz-security-token") or query.get("X-Amz-Security-Token")
    return Signature(
        access_key_id=found[1], region=found[3], signing_name=found[4].lower(), session_token=token
    )
