"""Requests over HTTP, signed as callers sign them."""

from collections.abc import Mapping
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session


def keys_in(environment: Mapping[str, str]) -> Credentials:
    """The administrator's keys."""
    return Credentials(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])


def send(
    method: str,
    url: str,
    body: bytes,
    *,
    kind: str,
    region: str,
    keys: Credentials | None,
) -> Any:
    """Send one request to an HTTP API, unsigned when there are no keys."""
    request = AWSRequest(method, url, headers={"Content-Type": kind}, data=body or None)
    if keys is not None:
        SigV4Auth(keys, "execute-api", region).add_auth(request)
    return URLLib3Session().send(request.prepare())
