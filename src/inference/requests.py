"""A request's body and headers to the pictures it means."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from contract.messages import (
    BYTES_TYPES,
    CSV_TYPE,
    DEFAULT_TOP_K,
    JSON_TYPE,
    LINES_TYPE,
    MAX_BODY_BYTES,
    MAX_PICTURE_BYTES,
    MAX_PICTURES,
    PICTURE_TYPES,
    Instance,
    Request,
    RequestError,
)
from contract.strict import ContractError, parse

_T = TypeVar("_T")
_MAX_MESSAGE_CHARACTERS = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """One picture to look at; either its bytes or its address is given."""

    picture: bytes | None = None
    s3_uri: str | None = None
    top_k: int = DEFAULT_TOP_K


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What one request asks for."""

    pictures: tuple[Wanted | RequestError, ...]
    """In the caller's order; an error stands where one of several cannot be understood."""

    several: bool
    """Whether the reply is a list; a list of one is a list too."""


def parse_request(body: bytes, content_type: str | None, attributes: str | None) -> Asked:
    """Understand a request.

    Args:
        body: as it came.
        content_type: the header, parameters and all; None when there was none.
        attributes: the header X-Amzn-SageMaker-Custom-Attributes.

    Raises:
        RequestError: 400, 413 or 415.
    """
    if len(body) > MAX_BODY_BYTES:
        raise body_too_large()
    deadline_ms(attributes)
    kind = (content_type or "").partition(";")[0].strip().lower()
    if not kind:
        kind = JSON_TYPE if body.lstrip()[:1] == b"{" else "application/octet-stream"
    if kind == JSON_TYPE:
        return _from_json(_json(body))
    top_k = _top_k(attribute(attributes, "top_k"))
    if kind == CSV_TYPE:
        return _several(_lines(body), lambda line: _from_line(line, top_k))
    if kind == LINES_TYPE:
        return _several(_lines(body), lambda line: _from_instance(_json(line.encode()), top_k))
    if kind not in BYTES_TYPES:
        raise RequestError(
            "unsupported_media_type",
            f"Content-Type is {kind!r:.100}; send {', '.join(PICTURE_TYPES)}, {JSON_TYPE}, "
            f"{LINES_TYPE} or {CSV_TYPE}.",
        )
    return Asked(pictures=(Wanted(picture=_sized(body), top_k=top_k),), several=False)


def body_too_large() -> RequestError:
    """The error for a body that is longer than the endpoint accepts."""
    return RequestError(
        "too_large", f"The request's body is larger than {MAX_BODY_BYTES:,} bytes. Send less."
    )


def deadline_ms(attributes: str | None) -> int | None:
    """How long the caller will wait from now on; None when it does not say.

    Raises:
        RequestError: 400 when what it says is no number.
    """
    text = attribute(attributes, "deadline_ms")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise RequestError(
            "bad_request", f"deadline_ms is {text!r:.40}; it must be a number of milliseconds."
        )
    return None if text is None else int(text)


def attribute(attributes: str | None, name: str) -> str | None:
    """One value of a list like ``top_k=3;request_id=abc``."""
    pairs = (pair.partition("=") for pair in (attributes or "").replace(",", ";").split(";"))
    return next((value.strip() for key, _, value in pairs if key.strip() == name), None)


def _from_json(value: Any) -> Asked:
    if isinstance(value, dict) and "instances" in value:
        return _from_instances(value)
    _refuse_address(value)
    request = _parsed(Request, value, "request")
    picture = _wanted(request.image_base64, request.s3_uri, request.top_k)
    return Asked(pictures=(picture,), several=False)


def _from_instances(value: dict[str, Any]) -> Asked:
    instances, unknown = value["instances"], sorted(value.keys() - {"instances", "top_k"})
    if unknown:
        raise RequestError(
            "bad_request",
            f"request has an unknown key {unknown[0]!r:.60}; beside 'instances' it may hold "
            "'top_k'.",
        )
    if not isinstance(instances, list):
        raise RequestError(
            "bad_request",
            "'instances' is not a list. Send one of objects with 'image_base64' or 's3_uri'.",
        )
    top_k = value.get("top_k", DEFAULT_TOP_K)
    if type(top_k) is not int or not 1 <= top_k <= 1000:
        raise RequestError("bad_request", f"top_k is {top_k!r:.40}; it must be 1 to 1000.")
    return _several(instances, lambda instance: _from_instance(instance, top_k))


def _several(items: Sequence[Any], read: Callable[[Any], Wanted]) -> Asked:
    """Read each picture for itself: one that cannot be understood does not spoil the others."""
    if not 1 <= len(items) <= MAX_PICTURES:
        raise RequestError(
            "bad_request",
            f"The request has {len(items):,} pictures; send 1 to {MAX_PICTURES} at once.",
        )
    pictures: list[Wanted | RequestError] = []
    for item in items:
        try:
            pictures.append(read(item))
        except RequestError as error:
            pictures.append(error)
    return Asked(pictures=tuple(pictures), several=True)


def _from_instance(value: Any, top_k: int) -> Wanted:
    _refuse_address(value)
    instance = _parsed(Instance, value, "instance")
    return _wanted(instance.image_base64, instance.s3_uri, top_k)


def _from_line(line: str, top_k: int) -> Wanted:
    cell = line.strip().strip('"')
    if cell.startswith("s3://"):
        return Wanted(s3_uri=cell, top_k=top_k)
    return Wanted(picture=_from_base64(cell, "The line"), top_k=top_k)


def _wanted(image_base64: str | None, s3_uri: str | None, top_k: int) -> Wanted:
    if image_base64 is None:
        return Wanted(s3_uri=s3_uri, top_k=top_k)
    return Wanted(picture=_from_base64(image_base64, "image_base64"), top_k=top_k)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError(
            "bad_request", 'The body is not JSON. Send {"image_base64": "..."}.'
        ) from None


def _lines(body: bytes) -> list[str]:
    """The lines that are not empty."""
    try:
        return [line for line in body.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise RequestError(
            "bad_request", "The lines are not text. Send UTF-8, with one picture a line."
        ) from None


def _refuse_address(value: Any) -> None:
    if isinstance(value, dict) and "url" in value:
        raise RequestError(
            "bad_request",
            "Addresses are not fetched. Send the picture itself as 'image_base64', or upload it "
            "and send its 's3_uri'.",
        )


def _parsed(kind: type[_T], value: Any, where: str) -> _T:
    try:
        return parse(kind, value, where)
    except ContractError as error:
        raise RequestError("bad_request", _short(str(error))) from None


def _from_base64(text: str, name: str) -> bytes:
    try:
        # Line breaks are what the `base64` command writes.
        return _sized(base64.b64decode("".join(text.split()).encode("ascii"), validate=True))
    except (binascii.Error, ValueError):
        raise RequestError(
            "bad_request", f"{name} is not base64. Encode the picture's bytes, nothing else."
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
