"""The HTTP side of a predictor: /ping and /invocations."""

import asyncio
import json
import logging
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from contract.messages import MAX_BODY_BYTES, RequestError
from inference.handler import ATTRIBUTES_HEADER, JSON_TYPE, internal_error, reply_text
from inference.predictor import Answer, Predictor
from inference.requests import attribute, body_too_large, parse_request
from inference.runtimes.base import in_words

_LOG = logging.getLogger(__name__)
_CLIENT_GONE = 499
"""What the log says when the caller left before the answer; nobody receives it."""


class Service:
    """Answers requests with a bounded number of threads and a bounded queue."""

    def __init__(self, predictor: Predictor, threads: int, queue: int) -> None:
        """Start the threads.

        Args:
            predictor: loaded and warmed up.
            threads: how many pictures are looked at at once.
            queue: how many more may wait; further ones are told to come back.
        """
        self._predictor = predictor
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._most = threads + queue
        self._admitted = 0

    def application(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/ping", self._ping, methods=["GET"]),
            Route("/invocations", self._invocations, methods=["POST"]),
        ]
        handlers = {404: _no_such_path, 405: _wrong_method}
        return Starlette(routes=routes, exception_handlers=dict(handlers))

    async def _ping(self, _: Request) -> Response:
        # The server accepts connections only after load and warm-up.
        runtime = self._predictor.runtime
        details = {"status": "healthy", "runtime": runtime.name, "processor": runtime.processor}
        return Response(json.dumps(details), media_type=JSON_TYPE)

    async def _invocations(self, request: Request) -> Response:
        begun = time.perf_counter()
        attributes = request.headers.get(ATTRIBUTES_HEADER)
        request_id = _request_id(attributes)
        headers = {
            "X-Request-Id": request_id,
            "X-Kennel-Runtime": in_words(self._predictor.runtime),
        }
        fields: dict[str, object] = {"request_id": request_id}
        try:
            answer = await self._answer(request, attributes, fields)
            fields["stage_ms"] = answer.stage_ms
            fields["label"] = answer.reply.predictions[0].label
            response = Response(reply_text(answer.reply), headers=headers, media_type=JSON_TYPE)
        except RequestError as error:
            fields |= {"code": error.code, "message": error.message}
            response = _error(error, headers)
        except ClientDisconnect:
            response = Response(status_code=_CLIENT_GONE)
        except Exception:
            _LOG.exception("a request failed", extra={"fields": {"request_id": request_id}})
            response = _error(internal_error(), headers)
        fields["status"] = response.status_code
        fields["total_ms"] = round(1000 * (time.perf_counter() - begun), 2)
        _LOG.info("request", extra={"fields": fields})
        return response

    async def _answer(
        self, request: Request, attributes: str | None, fields: dict[str, object]
    ) -> Answer:
        body = await _read(request)
        fields["body_bytes"] = len(body)
        wanted = parse_request(body, request.headers.get("content-type"), attributes)
        if self._admitted >= self._most:
            raise RequestError("unavailable", "The endpoint is busy. Try again in a second.")
        self._admitted += 1
        try:
            work = partial(self._predictor.answer, wanted)
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._admitted -= 1


async def _read(request: Request) -> bytes:
    """Read the body, but never more of it than is accepted."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise body_too_large()
        parts.append(part)
    return b"".join(parts)


def _request_id(attributes: str | None) -> str:
    """The caller's, or a new one; only what is safe to write to a log and a header."""
    given = attribute(attributes, "request_id") or ""
    plain = given.isascii() and given.replace("-", "").isalnum() and len(given) <= 64
    return given if plain else str(uuid.uuid4())


def _error(error: RequestError, headers: dict[str, str] | None = None) -> Response:
    retry = {"Retry-After": "1"} if error.code == "unavailable" else {}
    return Response(
        json.dumps(error.body()),
        status_code=error.status,
        headers={**(headers or {}), **retry},
        media_type=JSON_TYPE,
    )


async def _no_such_path(request: Request, _: Exception) -> Response:
    path = request.url.path
    message = f"There is no {path[:100]!r} here. Send pictures to POST /invocations."
    return _error(RequestError("not_found", message))


async def _wrong_method(request: Request, _: Exception) -> Response:
    allowed = "GET" if request.url.path == "/ping" else "POST"
    message = f"{request.method} is not served here; use {allowed}."
    return _error(RequestError("method_not_allowed", message), {"Allow": allowed})
