"""Asks the SageMaker endpoint, over one connection that is kept.

A client of botocore would read service models for this one call, which is half of what starting
costs. Its parts are used instead: connections, errors and the signature (docs/decisions/0167).
"""

import functools
import json
import os
import time
from typing import Any, NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from callers import STATUS_OF_ERROR, RefusedError

ENDPOINT_NAME = os.environ["ENDPOINT_NAME"]
ENDPOINT_TIMEOUT_SECONDS = int(os.environ["ENDPOINT_TIMEOUT_SECONDS"])
"""How long one answer of the endpoint may take; below the function's own timeout."""
CONNECT_TIMEOUT_SECONDS = 2
RESERVE_SECONDS = 1
"""Kept of the function's own time, to say that the endpoint was too slow."""
_FAULTS_OF_ENDPOINT = {
    "429": ("too_many_requests", "Too many requests. Try again in a second."),
    "503": ("unavailable", "The endpoint is busy. Try again."),
    "ModelNotReadyException": ("unavailable", "The model is still loading. Try again."),
    "ServiceUnavailable": ("unavailable", "The endpoint is busy. Try again."),
    "ServiceUnavailableException": ("unavailable", "The endpoint is busy. Try again."),
    "ThrottlingException": ("too_many_requests", "Too many requests. Try again in a second."),
    "TooManyRequestsException": ("too_many_requests", "Too many requests. Try again in a second."),
    "ValidationError": ("unavailable", "The endpoint is not in service."),
    "ValidationException": ("unavailable", "The endpoint is not in service."),
}
"""What callers are told of SageMaker's own errors; the log has the rest."""


class _Keys(NamedTuple):
    """What a signature is made with."""

    access_key: str
    secret_key: str
    token: str | None


@functools.cache
def address(environment_url: str | None, region: str, dns_suffix: str) -> str:
    """Where the endpoint is asked."""
    host = environment_url or f"https://runtime.sagemaker.{region}.{dns_suffix}"
    return f"{host.rstrip('/')}/endpoints/{ENDPOINT_NAME}/invocations"


@functools.cache
def session(read_timeout_seconds: int) -> URLLib3Session:
    """Connections that outlive a request. It retries nothing: `ask` knows how much time is left."""
    settings: dict[str, Any] = {
        "verify": os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True,
        "proxies": get_environ_proxies(_url()),
        "timeout": (CONNECT_TIMEOUT_SECONDS, read_timeout_seconds),
        "max_pool_connections": 1,
    }
    return URLLib3Session(**settings)


def ask(
    body: bytes,
    content_type: str,
    top_k: int | None,
    request_id: str,
    context: Any,
    log: dict[str, Any],
) -> dict[str, Any]:
    """Ask the endpoint, twice if the first time nobody can have worked on it.

    A busy endpoint is not asked again: waiting here would hold a slot that somebody else needs,
    and the caller knows better whether the answer is still worth it.

    Args:
        body: a picture, or a request in JSON.
        content_type: of the body.
        top_k: how many predictions; None leaves it to the endpoint, or to the JSON.
        request_id: what the endpoint writes into its log.
        context: Lambda's, which knows how much time is left.
        log: gets what happened.

    Raises:
        RefusedError: there is no answer for the caller.
    """
    for attempt in (1, 2):
        left_seconds = context.get_remaining_time_in_millis() / 1000
        seconds = int(left_seconds - CONNECT_TIMEOUT_SECONDS - RESERVE_SECONDS)
        if seconds < 1:
            raise RefusedError("timeout", "There is no time left to ask the endpoint. Try again.")
        seconds = min(seconds, ENDPOINT_TIMEOUT_SECONDS)
        begun = time.monotonic()
        log["attempts"] = attempt
        try:
            response = session(seconds).send(
                _signed(body, _headers(content_type, top_k, request_id, seconds))
            )
            if response.status_code == 200:
                return _checked_reply(response.content)
            raise _refused_by_endpoint(
                response.status_code, response.headers, response.content, log
            )
        except (EndpointConnectionError, ConnectTimeoutError, ConnectionClosedError) as error:
            # A picture may be looked at twice without harm, and a closed connection is what a
            # reused one looks like after the endpoint was replaced.
            log["fault"] = repr(error)[:300]
            if attempt == 2:
                raise _refused_by_network(error) from None
        except (BotoCoreError, HTTPClientError) as error:
            log["fault"] = repr(error)[:300]
            raise _refused_by_network(error) from None
        finally:
            log["endpoint_ms"] = round(1000 * (time.monotonic() - begun), 1)
    raise AssertionError("unreachable")


def _url() -> str:
    variables = os.environ
    chosen = variables.get("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME") or variables.get(
        "AWS_ENDPOINT_URL"
    )
    return address(chosen, variables["AWS_REGION"], variables.get("DNS_SUFFIX", "amazonaws.com"))


def _headers(content_type: str, top_k: int | None, request_id: str, seconds: int) -> dict[str, str]:
    attributes = f"request_id={request_id};deadline_ms={1000 * seconds}"
    if top_k is not None:
        attributes += f";top_k={top_k}"
    headers = {
        "Accept": "application/json",
        "Content-Type": content_type,
        "X-Amzn-SageMaker-Custom-Attributes": attributes,
        "X-Amzn-SageMaker-Inference-Id": request_id,
    }
    trace = os.environ.get("_X_AMZN_TRACE_ID")
    return {**headers, "X-Amzn-Trace-Id": trace} if trace else headers


def _signed(body: bytes, headers: dict[str, str]) -> Any:
    """A request with this moment's credentials of the function's role."""
    keys: Any = _Keys(
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
        os.environ.get("AWS_SESSION_TOKEN"),
    )
    request = AWSRequest("POST", _url(), headers=headers, data=body)
    SigV4Auth(keys, "sagemaker", os.environ["AWS_REGION"]).add_auth(request)
    return request.prepare()


def _checked_reply(text: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(text)
        if isinstance(reply["model_version"], str) and isinstance(reply["predictions"], list):
            return dict(reply)
    except (ValueError, KeyError, TypeError):
        pass
    raise RefusedError("bad_gateway", "The endpoint's answer could not be understood.")


def _refused_by_network(error: Exception) -> RefusedError:
    if isinstance(error, (ConnectTimeoutError, ReadTimeoutError)):
        return RefusedError("timeout", "The endpoint did not answer in time. Try again.")
    if isinstance(error, EndpointConnectionError):
        return RefusedError("unavailable", "The endpoint cannot be reached. Try again.")
    return RefusedError("bad_gateway", "The endpoint's answer was lost. Try again.")


def _refused_by_endpoint(
    http_status: int, headers: Any, text: bytes, log: dict[str, Any]
) -> RefusedError:
    """SageMaker's error to ours; what the model itself refused is passed on."""
    try:
        response = dict(json.loads(text))
    except (ValueError, TypeError):
        response = {}  # something between here and SageMaker answered
    name = str(headers.get("x-amzn-errortype") or response.get("__type") or "")
    name = name.partition(":")[0].rpartition("#")[2]
    log["fault"] = f"{http_status} {name}: {response.get('Message') or response!s}"[:300]
    if name != "ModelError":
        code, message = _FAULTS_OF_ENDPOINT.get(
            name or str(http_status), ("bad_gateway", "The endpoint failed. Try again later.")
        )
        return RefusedError(code, message)
    status = response.get("OriginalStatusCode", 500)
    if status == 503:
        return RefusedError("unavailable", "The endpoint is busy. Try again in a second.")
    if status == 504:
        return RefusedError("timeout", "The endpoint did not answer in time. Try again.")
    try:
        found = json.loads(response.get("OriginalMessage", ""))["error"]
        code, message = str(found["code"]), str(found["message"])
    except (ValueError, KeyError, TypeError):
        code, message = "", ""
    if STATUS_OF_ERROR.get(code) == status and 400 <= status < 500:
        return RefusedError(code, message[:1000])
    return RefusedError("bad_gateway", "The endpoint failed. Try again later.")
