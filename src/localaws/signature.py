"""What a request's signature says: whose key, which service."""

import re
import urllib.parse
from dataclasses import dataclass

from localaws.web import HttpRequest

_SCOPE = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([^/]*)/([^/]+)/aws4_request")


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """The public part of a Signature Version 4."""

    access_key_id: str
    region: str
    signing_name: str
    session_token: str | None


def read_signature(request: HttpRequest) -> Signature | None:
    """Read the Authorization header, or the query of a presigned URL; None when there is none."""
    query: dict[str, str] = {}
    text = request.headers.get("authorization", "")
    if not text and "X-Amz-Credential" in request.query:
        query = dict(urllib.parse.parse_qsl(request.query))
        text = f"Credential={query.get('X-Amz-Credential', '')}"
    found = _SCOPE.search(text)
    if found is None:
        return None
    token = request.headers.get("x-amz-security-token") or query.get("X-Amz-Security-Token")
    return Signature(
        access_key_id=found[1], region=found[3], signing_name=found[4].lower(), session_token=token
    )
