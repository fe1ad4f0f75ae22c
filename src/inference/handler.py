"""The four functions that AWS's PyTorch image calls: model_fn, input_fn, predict_fn, output_fn.

That image answers every exception with a stack trace. So a refused request travels through the
functions as a value, and output_fn turns it into the typed error and its HTTP status.
"""

import dataclasses
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from contract.messages import MAX_BODY_BYTES, Reply, RequestError
from inference.predictor import Predictor, cores, load_predictor
from inference.requests import Wanted, body_too_large, parse_request

ATTRIBUTES_HEADER = "x-amzn-sagemaker-custom-attributes"
JSON_TYPE = "application/json"
_LOG = logging.getLogger(__name__)


class Context(Protocol):
    """The part of the image's request context that is used here."""

    request_processor: Any

    def set_response_status(self, code: int, phrase: str) -> None:
        """Set the HTTP status of the reply."""


def model_fn(model_dir: str) -> Predictor:
    """Load the model and warm it up."""
    return load_predictor(Path(model_dir), os.environ, threads=cores())


def input_fn(
    request_body: bytes | bytearray | str, content_type: str | None, context: Context | None = None
) -> Wanted | RequestError:
    """Understand a request; a bad one is returned as its error."""
    body = request_body.encode() if isinstance(request_body, str) else bytes(request_body)
    try:
        if len(body) > MAX_BODY_BYTES:
            raise body_too_large()
        return parse_request(body, content_type, _attributes(context))
    except RequestError as error:
        return error


def predict_fn(wanted: Wanted | RequestError, model: Predictor) -> Reply | RequestError:
    """Answer a request; an error is passed on."""
    if isinstance(wanted, RequestError):
        return wanted
    try:
        return model.answer(wanted).reply
    except RequestError as error:
        return error
    except Exception:
        _LOG.exception("a request failed")
        return internal_error()


def output_fn(
    reply: Reply | RequestError,
    accept: str,  # noqa: ARG001 (AWS's signature; replies are always JSON)
    context: Context | None = None,
) -> tuple[str, str]:
    """Write the reply or the error as JSON.

    Returns:
        The body and its content type.
    """
    if isinstance(reply, RequestError):
        if context is not None:
            context.set_response_status(code=reply.status, phrase=reply.code)
        return json.dumps(reply.body()), JSON_TYPE
    return reply_text(reply), JSON_TYPE


def reply_text(reply: Reply) -> str:
    """The JSON body of a reply."""
    return json.dumps(dataclasses.asdict(reply), ensure_ascii=False)


def internal_error() -> RequestError:
    """What a caller learns of a fault of ours; the rest is in the log."""
    return RequestError("internal", "The server failed on this request. Try again later.")


def _attributes(context: Context | None) -> str | None:
    if context is None:
        return None
    headers: Mapping[str, str] = context.request_processor[0].get_request_properties()
    found = (value for name, value in headers.items() if name.lower() == ATTRIBUTES_HEADER)
    return next(found, None)
