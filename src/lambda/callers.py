"""What callers send, and how they are refused in a sentence."""

import base64
import binascii
import json
from typing import Any

MAX_PICTURE_BYTES = 4_500_000
"""Lambda's events end at 6 MB, and base64 makes four bytes of three."""
PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp")
BYTES_TYPES = (*PICTURE_TYPES, "application/x-image", "application/octet-stream")
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
"""Every error code a reply can carry, and its HTTP status."""


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


def from_http(event: dict[str, Any], headers: dict[str, str]) -> tuple[bytes, str, int | None]:
    """An HTTP event to the endpoint's body, content type and top_k.

    Args:
        event: as a function URL or an API Gateway writes it.
        headers: its headers, their names in lower case.
    """
    around = event["requestContext"]
    method = around.get("http", {}).get("method") or event.get("httpMethod") or "POST"
    if method != "POST":
        raise RefusedError("method_not_allowed", f"{method} is not served here; POST a picture.")
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
        return from_direct(value)
    if kind not in BYTES_TYPES:
        raise RefusedError(
            "unsupported_media_type",
            f"Content-Type is {kind[:100]!r}; send {', '.join(PICTURE_TYPES)} or application/json.",
        )
    top_k = (event.get("queryStringParameters") or {}).get("top_k")
    if top_k is not None and top_k.isascii() and top_k.isdigit() and len(top_k) <= 4:
        top_k = int(top_k)
    return data, _type_of(data), _checked_top_k(top_k)


def from_direct(event: Any) -> tuple[bytes, str, int | None]:
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


def plain_id(given: Any) -> str:
    """A caller's own request id, if it is safe to write to logs and headers; otherwise empty."""
    text = str(given or "")
    plain = text.isascii() and text.replace("-", "").isalnum() and len(text) <= 64
    return text if plain else ""
