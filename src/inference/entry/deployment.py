"""Answers in AWS's Ray Serve image: one replica for each core, each with the model.

The image puts this folder on Python's path, and its own server passes requests on. It keeps the
body and the headers that SageMaker names, both ways; further headers of a reply end there.
"""

import asyncio
import logging
import os
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "code"))

from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from contract.messages import RequestError
from inference.handler import input_fn, output_fn, predict_fn
from inference.logs import log_as_json
from inference.predictor import load_predictor
from inference.requests import attribute
from inference.runtimes import in_words

CORES = len(os.sched_getaffinity(0))
MODEL = Path(__file__).resolve().parent
QUEUE = 8
"""Requests that may wait for each replica; more would only wait longer than callers do."""
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_LOG = logging.getLogger("deployment")


class _Exchange:
    """What the functions of inference.handler ask of a request, and tell of its reply."""

    def __init__(self, request: Request) -> None:
        self.request_processor = [self]
        self.status = 200
        self._headers = dict(request.headers)

    def get_request_properties(self) -> dict[str, str]:
        """The request's headers."""
        return self._headers

    def set_response_status(self, code: int, phrase: str) -> None:  # noqa: ARG002 (AWS's signature)
        """Set the HTTP status of the reply."""
        self.status = code


class Classifier:
    """A model in a process of its own."""

    def __init__(self) -> None:
        log_as_json()
        self._predictor = load_predictor(MODEL, os.environ, threads=1)

    async def __call__(self, request: Request) -> Response:
        """Answer one request, as our own server does."""
        begun, exchange = time.perf_counter(), _Exchange(request)
        request_id = _request_id(request.headers.get(_ATTRIBUTES))
        body = await request.body()
        asked = input_fn(body, request.headers.get("content-type"), exchange)
        reply = await asyncio.to_thread(predict_fn, asked, self._predictor)
        text, kind = output_fn(reply, request.headers.get("accept") or "*/*", exchange)
        fields = {
            "request_id": request_id,
            "status": exchange.status,
            "total_ms": round(1000 * (time.perf_counter() - begun), 2),
        }
        if isinstance(reply, RequestError):
            fields |= {"code": reply.code, "message": reply.message}
        _LOG.info("request", extra={"fields": fields})
        # Ray answers with an X-Request-Id of its own; the caller's is in the log.
        runtime = self._predictor.runtime
        headers = {"X-Kennel-Runtime": in_words(runtime.name, runtime.processor)}
        return Response(text, exchange.status, headers, media_type=kind)


def _request_id(attributes: str | None) -> str:
    """The caller's, or a new one; only what is safe to write to a log and a header."""
    given = attribute(attributes, "request_id") or ""
    plain = given.isascii() and given.replace("-", "").isalnum() and len(given) <= 64
    return given if plain else str(uuid.uuid4())


app = serve.deployment(
    Classifier,
    max_ongoing_requests=2,
    max_queued_requests=QUEUE * CORES,
    num_replicas=CORES,
    ray_actor_options={"num_cpus": 1},
).bind()
