"""The four functions that AWS's PyTorch image calls: model_fn, input_fn, predict_fn, output_fn.

That image answers every exception with a stack trace. So a refused request travels through the
functions as a value, and output_fn turns it into the typed error and its HTTP status.
"""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from contract.messages import ATTRIBUTES_HEADER, JSON_TYPE, Reply, RequestError
from inference.answering import internal_error, look, write
from inference.options import cores
from inference.predictor import Answer, Predictor, load_predictor
from inference.requests import Asked, parse_request

_LOG = logging.getLogger(__name__)


class Context(Protocol):
    """The part of the image's request context that is used here."""

    request_processor: Any

    def set_response_status(self, code: int, phrase: str) -> None:
        """Set the HTTP status of the reply."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replies:
    """What was found in each picture of a request."""

    replies: tuple[Reply | RequestError, ...]
    several: bool


def model_fn(model_dir: str) -> Predictor:
    """Load the model and warm it up."""
    return load_predictor(Path(model_dir), os.environ, threads=cores())


def input_fn(
    request_body: bytes | bytearray | str, content_type: str | None, context: Context | None = None
) -> Asked | RequestError:
    """Understand a request; a bad one is returned as its error."""
    body = request_body.encode() if isinstance(request_body, str) else bytes(request_body)
    try:
        return parse_request(body, content_type, _attributes(context))
    except RequestError as error:
        return error


def predict_fn(asked: Asked | RequestError, model: Predictor) -> Replies | RequestError:
    """Answer a request; an error is passed on."""
    if isinstance(asked, RequestError):
        return asked
    try:
        found = look(model, asked)
    except RequestError as error:
        return error
    except Exception:
        _LOG.exception("a request failed")
        return internal_error()
    replies = tuple(answer.reply if isinstance(answer, Answer) else answer for answer in found)
    return Replies(replies=replies, several=asked.several)


def output_fn(
    reply: Replies | RequestError, accept: str | None, context: Context | None = None
) -> tuple[str, str]:
    """Write the reply or the error.

    Returns:
        The body and its content type.
    """
    if isinstance(reply, RequestError):
        if context is not None:
            context.set_response_status(code=reply.status, phrase=reply.code)
        return json.dumps(reply.body()), JSON_TYPE
    return write(reply.replies, reply.several, accept)


def _attributes(context: Context | None) -> str | None:
    if context is None:
        return None
    headers: Mapping[str, str] = context.request_processor[0].get_request_properties()
    found = (value for name, value in headers.items() if name.lower() == ATTRIBUTES_HEADER)
    return next(found, None)
