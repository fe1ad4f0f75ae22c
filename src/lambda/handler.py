"""The Lambda function: takes a picture from a caller, asks the endpoint, answers in JSON.

It is invoked through its function URL or an API Gateway (HTTP events), or directly. It imports
nothing but what Lambda has, so that it starts fast.
"""

import base64
import binascii
import functools
import json
import os
import time
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)

ENDPOINT_NAME = os.environ["ENDPOINT_NAME"]
ENDPOINT_TIMEOUT_SECONDS = int(os.environ["ENDPOINT_TIMEOUT_SECONDS"])
"""How long one answer of the endpoint may take; below the function's own timeout."""

CONNECT_TIMEOUT_SECONDS = 2
MAX_PICTURE_BYTES = 4_500_000
"""Lambda's events end at 6 MB, and base64 makes four bytes of three."""
PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp")
BYTES_TYPES = (*PICTURE_TYPES, "application/x-image", "application/octet-stream")
RESERVE_SECONDS = 1
"""Kept of the function's own time, to say that the endpoint was too slow."""
STATUS_OF_ERROR = {
    "bad_request": 400,
    "not_found": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "unsupported_media_type": 415,
    "too_many_requests": 429,
    "internal": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "timeout": 504,
}
_FAULTS_OF_ENDPOINT = {
    "ModelNotReadyException": ("unavailable", "The model is still loading. Try again."),
    "ServiceUnavailable": ("unavailable", "The endpoint is busy. Try again."),
    "ServiceUnavailableException": ("unavailable", "The endpoint is busy. Try again."),
    "ThrottlingException": ("too_many_requests", "Too many requests. Try again in a second."),
    "TooManyRequestsException": ("too_many_requests", "Too many requests. Try again in a second."),
    "ValidationError": ("unavailable", "The endpoint is not in service."),
    "ValidationException": ("unavailable", "The endpoint is not in service."),
}
"""What callers are told of SageMaker's own errors; the log has the rest."""


class RefusedError(Exception):
    """A request that gets an error reply.

    Attributes:
        code: a key of STATUS_OF_ERROR.
        message: what came, what was wanted, what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@functools.cache
def _client(read_timeout_seconds: int) -> Any:
    """A client of the endpoint. It never retries by itself: `_ask` knows how much time is left."""
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=1,
        parameter_validation=False,
    )
    session = botocore.session.get_session()
    return session.create_client(
        "sagemaker-runtime", region_name=os.environ["AWS_REGION"], config=config
    )


_client(ENDPOINT_TIMEOUT_SECONDS)  # made while Lambda starts, used by every request


def handle(event: Any, context: Any) -> dict[str, Any]:
    """Answer one event; see docs/api.md for its shapes.

    Returns:
        For HTTP events, what API Gateway and function URLs expect; for a direct invocation
        ``{"statusCode": ..., "body": {...}}`` with the body as an object.
    """
    begun = time.monotonic()
    over_http = isinstance(event, dict) and "requestContext" in event
    log: dict[str, Any] = {
        "event": "request",
        "request_id": context.aws_request_id,
        "source": "http" if over_http else "direct",
    }
    try:
        body, content_type, top_k = _from_http(event) if over_http else _from_direct(event)
        log["body_bytes"] = len(body)
        status, reply = 200, _ask(body, content_type, top_k, context, log)
        log["model_version"] = reply["model_version"]
    except RefusedError as error:
        status, reply = STATUS_OF_ERROR[error.code], _error(error.code, error.message)
        log |= {"code": error.code, "message": error.message}
    except Exception as error:
        status, reply = 500, _error("internal", "The function failed on this request.")
        log |= {"code": "internal", "fault": repr(error)[:500]}
    log |= {"status": status, "duration_ms": round(1000 * (time.monotonic() - begun), 1)}
    print(json.dumps({"level": "info" if status < 500 else "error", **log}))  # noqa: T201
    return (
        _http_reply(status, reply, context) if over_http else {"statusCode": status, "body": reply}
    )


def _from_http(event: dict[str, Any]) -> tuple[bytes, str, int | None]:
    """An HTTP event to the endpoint's body, content type and top_k."""
    around = event["requestContext"]
    method = around.get("http", {}).get("method") or event.get("httpMethod") or "POST"
    if method != "POST":
        raise RefusedError("method_not_allowed", f"{method} is not served here; POST a picture.")
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        data = _bytes_of_base64(body, "The body")
    else:
        data = body.encode("utf-8", "surrogateescape")
    if not kind:
        kind = "application/json" if data.lstrip()[:1] == b"{" else "application/octet-stream"
    if kind == "application/json":
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            raise RefusedError(
                "bad_request", 'The body is not JSON. Send {"image_base64": "..."}.'
            ) from None
        return _from_direct(value)
    if kind not in BYTES_TYPES:
        raise RefusedError(
            "unsupported_media_type",
            f"Content-Type is {kind[:100]!r}; send {', '.join(PICTURE_TYPES)} or application/json.",
        )
    top_k = (event.get("queryStringParameters") or {}).get("top_k")
    if top_k is not None and top_k.isascii() and top_k.isdigit() and len(top_k) <= 4:
        top_k = int(top_k)
    return data, _type_of(data), _checked_top_k(top_k)


def _from_direct(event: Any) -> tuple[bytes, str, int | None]:
    """A direct invocation, or a JSON body, to the endpoint's body, content type and top_k."""
    if not isinstance(event, dict):
        raise RefusedError("bad_request", 'Send an object like {"image_base64": "..."}.')
    if "url" in event:
        raise RefusedError(
            "bad_request",
            "Addresses are not fetched. Send the picture itself as 'image_base64', or upload it "
            "and send its 's3_uri'.",
        )
    unknown = sorted(str(key)[:40] for key in event.keys() - {"image_base64", "s3_uri", "top_k"})
    if unknown:
        raise RefusedError(
            "bad_request",
            f"There is no key {unknown[0]!r}; send 'image_base64' or 's3_uri', and maybe 'top_k'.",
        )
    image, s3_uri = event.get("image_base64"), event.get("s3_uri")
    if isinstance(image, str) == isinstance(s3_uri, str):
        raise RefusedError(
            "bad_request", "Send exactly one of 'image_base64' and 's3_uri', as a text."
        )
    top_k = _checked_top_k(event.get("top_k"))
    if isinstance(image, str):
        picture = _bytes_of_base64(image, "image_base64")
        return picture, _type_of(picture), top_k
    wanted = {"s3_uri": s3_uri} if top_k is None else {"s3_uri": s3_uri, "top_k": top_k}
    return json.dumps(wanted).encode(), "application/json", None


def _bytes_of_base64(text: str, name: str) -> bytes:
    try:
        # Line breaks are what the `base64` command writes.
        return base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(
            "bad_request", f"{name} is not base64. Encode the picture's bytes, nothing else."
        ) from None


def _type_of(picture: bytes) -> str:
    """The picture's content type, by its first bytes."""
    if not picture:
        raise RefusedError("bad_request", "The picture is empty: send a JPEG, PNG or WEBP.")
    if len(picture) > MAX_PICTURE_BYTES:
        raise RefusedError(
            "too_large",
            f"The picture has {len(picture):,} bytes; at most {MAX_PICTURE_BYTES:,} are accepted. "
            "Make it smaller, or upload it and send its 's3_uri'.",
        )
    if picture.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if picture.startswith(b"RIFF") and picture[8:12] == b"WEBP":
        return "image/webp"
    raise RefusedError(
        "unsupported_media_type",
        f"The {len(picture):,} bytes are not a JPEG, PNG or WEBP picture.",
    )


def _checked_top_k(top_k: Any) -> int | None:
    if top_k is None:
        return None
    if type(top_k) is not int or not 1 <= top_k <= 1000:
        raise RefusedError("bad_request", f"top_k is {str(top_k)[:40]!r}; it must be 1 to 1000.")
    return top_k


def _ask(
    body: bytes, content_type: str, top_k: int | None, context: Any, log: dict[str, Any]
) -> dict[str, Any]:
    """Ask the endpoint, twice if the first time nobody can have worked on it."""
    attributes = f"request_id={context.aws_request_id}"
    if top_k is not None:
        attributes += f";top_k={top_k}"
    for attempt in (1, 2):
        left_seconds = context.get_remaining_time_in_millis() / 1000
        seconds = int(left_seconds - CONNECT_TIMEOUT_SECONDS - RESERVE_SECONDS)
        if seconds < 1:
            raise RefusedError("timeout", "There is no time left to ask the endpoint. Try again.")
        begun = time.monotonic()
        log["attempts"] = attempt
        try:
            answer = _client(min(seconds, ENDPOINT_TIMEOUT_SECONDS)).invoke_endpoint(
                EndpointName=ENDPOINT_NAME,
                Body=body,
                ContentType=content_type,
                Accept="application/json",
                CustomAttributes=attributes,
                InferenceId=context.aws_request_id,
            )
            return _checked_reply(answer["Body"].read())
        except (EndpointConnectionError, ConnectTimeoutError, ConnectionClosedError) as error:
            # A picture may be looked at twice without harm, and a closed connection is what a
            # reused one looks like after the endpoint was replaced.
            log["fault"] = repr(error)[:300]
            if attempt == 2:
                raise _refused_by_network(error) from None
        except ClientError as error:
            log["fault"] = str(error)[:300]
            raise _refused_by_endpoint(error) from None
        except (BotoCoreError, HTTPClientError) as error:
            log["fault"] = repr(error)[:300]
            raise _refused_by_network(error) from None
        finally:
            log["endpoint_ms"] = round(1000 * (time.monotonic() - begun), 1)
    raise AssertionError("unreachable")


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


def _refused_by_endpoint(error: ClientError) -> RefusedError:
    """SageMaker's error to ours; what the model itself refused is passed on."""
    response: dict[str, Any] = dict(error.response)
    name = response.get("Error", {}).get("Code", "")
    if name != "ModelError":
        code, message = _FAULTS_OF_ENDPOINT.get(
            name, ("bad_gateway", "The endpoint failed. Try again later.")
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
    if 400 <= status < 500 and STATUS_OF_ERROR.get(code) == status:
        return RefusedError(code, message[:1000])
    return RefusedError("bad_gateway", "The endpoint failed. Try again later.")


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _http_reply(status: int, reply: dict[str, Any], context: Any) -> dict[str, Any]:
    headers = {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-request-id": context.aws_request_id,
    }
    if status in (429, 503):
        headers["retry-after"] = "1"
    if status == 405:
        headers["allow"] = "POST"
    return {
        "statusCode": status,
        "headers": headers,
        "body": json.dumps(reply, ensure_ascii=False),
        "isBase64Encoded": False,
    }
