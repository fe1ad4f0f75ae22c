"""What a caller, the Lambda function and the endpoint say to each other, as JSON.

A request to the endpoint is a picture's bytes (Content-Type image/jpeg, image/png, image/webp,
application/x-image or application/octet-stream) or application/json with one of
``image_base64`` and ``s3_uri``, and optionally ``top_k``. For bytes, ``top_k`` travels in the
header X-Amzn-SageMaker-Custom-Attributes, which is a list like ``top_k=3;request_id=abc``;
``deadline_ms`` there says how long the caller will wait.

Several pictures travel as application/json ``{"instances": [...], "top_k": 3}``, as
application/jsonlines with one such object a line, or as text/csv with one address or base64 text
a line.
"""

from dataclasses import dataclass

from contract.strict import require

PICTURE_TYPES = ("image/jpeg", "image/png", "image/webp")
BYTES_TYPES = (*PICTURE_TYPES, "application/x-image", "application/octet-stream")
DEFAULT_TOP_K = 5
MAX_BODY_BYTES = 6_291_456
"""SageMaker's own limit for a request to an endpoint."""
MAX_PICTURE_BYTES = 6_000_000
"""Below MAX_BODY_BYTES, so that a picture is refused by us, in a sentence."""
MAX_PICTURE_PIXELS = 20_000_000
MAX_PICTURES = 16
"""Most pictures in one request: they are looked at one after the other by one worker."""
JSON_TYPE = "application/json"
CSV_TYPE = "text/csv"
LINES_TYPE = "application/jsonlines"
ATTRIBUTES_HEADER = "x-amzn-sagemaker-custom-attributes"

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """One label and how likely it is."""

    label: str
    probability: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The answer to one picture."""

    model_version: str
    """First 12 hex digits of the model archive's SHA-256, or `unreleased`."""

    predictions: tuple[Prediction, ...]
    """Most likely first; at most top_k."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A JSON request."""

    image_base64: str | None = None
    s3_uri: str | None = None
    top_k: int = DEFAULT_TOP_K

    def __post_init__(self) -> None:
        require(
            (self.image_base64 is None) != (self.s3_uri is None),
            "send exactly one of 'image_base64' and 's3_uri'.",
        )
        require(1 <= self.top_k <= 1000, f"top_k is {self.top_k}; it must be 1 to 1000.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """One of several pictures in a JSON request."""

    image_base64: str | None = None
    s3_uri: str | None = None

    def __post_init__(self) -> None:
        require(
            (self.image_base64 is None) != (self.s3_uri is None),
            "send exactly one of 'image_base64' and 's3_uri'.",
        )


class RequestError(Exception):
    """A request that gets an error reply.

    Attributes:
        code: a key of STATUS_OF_ERROR.
        message: what came, what was wanted, what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS_OF_ERROR[self.code]

    def body(self) -> dict[str, dict[str, str]]:
        """The JSON body of the error reply."""
        return {"error": {"code": self.code, "message": self.message}}
