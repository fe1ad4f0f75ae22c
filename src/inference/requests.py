"""A request's body and headers to the picture it means."""

import base64
import binascii
import json
from dataclasses import dataclass

from contract.messages import (
    BYTES_TYPES,
    DEFAULT_TOP_K,
    MAX_BODY_BYTES,
    MAX_PICTURE_BYTES,
    PICTURE_TYPES,
    Request,
    RequestError,
)
from contract.strict import ContractError, parse

_MAX_MESSAGE_CHARACTERS = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """One picture to look at; either its bytes or its address is given."""

    picture: bytes | None = None
    s3_uri: str | None = None
    top_k: int = DEFAULT_TOP_K


def parse_request(body: bytes, content_type: str | None, attributes: str | None) -> Wanted:
    """Understand a request.

    Args:
        body: as it came.
        content_type: the header, parameters and all; None when there was none.
        attributes: the header X-Amzn-SageMaker-Custom-Attributes.

    Raises:
        RequestError: 400, 413 or 415.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    if not kind:
        kind = "application/json" if body.lstrip()[:1] == b"{" else "application/octet-stream"
    if kind == "application/json":
        return _from_json(body)
    if kind not in BYTES_TYPES:
        raise RequestError(
            "unsupported_media_type",
            f"Content-Type is {kind!r:.100}; send {', '.join(PICTURE_TYPES)} or application/json.",
        )
    return Wanted(picture=_sized(body), top_k=_top_k(attribute(attributes, "top_k")))


def body_too_large() -> RequestError:
    """The error for a body that is longer than the endpoint accepts."""
    return RequestError(
        "too_large", f"The request's body is larger than {MAX_BODY_BYTES:,} bytes. Send less."
    )


def attribute(attributes: str | None, name: str) -> str | None:
    """One value of a list like ``top_k=3;request_id=abc``."""
    pairs = (pair.partition("=") for pair in (attributes or "").replace(",", ";").split(";"))
    return next((value.strip() for key, _, value in pairs if key.strip() == name), None)


def _from_json(body: bytes) -> Wanted:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError(
            "bad_request", 'The body is not JSON. Send {"image_base64": "..."}.'
        ) from None
    if isinstance(value, dict) and "url" in value:
        raise RequestError(
            "bad_request",
            "Addresses are not fetched. Send the picture itself as 'image_base64', or upload it "
            "and send its 's3_uri'.",
        )
    try:
        request = parse(Request, value, "request")
    except ContractError as error:
        raise RequestError("bad_request", _short(str(error))) from None
    if request.image_base64 is None:
        return Wanted(s3_uri=request.s3_uri, top_k=request.top_k)
    return Wanted(picture=_from_base64(request.image_base64), top_k=request.top_k)


def _from_base64(text: str) -> bytes:
    try:
        # Line breaks are what the `base64` command writes.
        return _sized(base64.b64decode("".join(text.split()).encode("ascii"), validate=True))
    except (binascii.Error, ValueError):
        raise RequestError(
            "bad_request", "image_base64 is not base64. Encode the picture's bytes, nothing else."
        ) from None


def _sized(picture: bytes) -> bytes:
    if len(picture) > MAX_PICTURE_BYTES:
        raise RequestError(
            "too_large",
            f"The picture has {len(picture):,} bytes; at most {MAX_PICTURE_BYTES:,} are accepted.",
        )
    return picture


def _top_k(text: str | None) -> int:
    if text is None:
        return DEFAULT_TOP_K
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= 1000):
        raise RequestError("bad_request", f"top_k is {text!r:.40}; it must be 1 to 1000.")
    return int(text)


def _short(message: str) -> str:
    limit = _MAX_MESSAGE_CHARACTERS
    return message if len(message) <= limit else f"{message[: limit - 3]}..."
