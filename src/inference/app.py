"""The HTTP side of the front process: /ping, /metrics and /invocations, as plain ASGI.

A request that is turned away costs next to nothing here: its body is neither kept nor parsed.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from contract.messages import ATTRIBUTES_HEADER, JSON_TYPE, MAX_BODY_BYTES, RequestError
from inference.crew import Crew
from inference.frames import Frame
from inference.jobs import Job, Queue, too_late
from inference.metrics import CONTENT_TYPE, Metrics
from inference.options import Options
from inference.requests import attribute, body_too_large, deadline_ms
from inference.runtimes import in_words

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
LONGEST_DEADLINE_MS = 60_000
"""SageMaker gives up on a request after so long."""
_CLIENT_GONE = 499
"""What the log says when the caller left before the answer; nobody receives it."""
_LOG = logging.getLogger(__name__)


class CallerGoneError(Exception):
    """Nobody waits for the answer any more."""


@dataclass(kw_only=True, slots=True)
class Reply:
    """What goes back to a caller."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


class App:
    """Takes requests in, and hands them to the queue."""

    def __init__(self, options: Options, queue: Queue, crew: Crew, metrics: Metrics) -> None:
        self.draining = False
        """Whether the server is about to end: it answers, and asks callers to go elsewhere."""
        self._options, self._queue, self._crew, self._metrics = options, queue, crew, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            reply = await self._route(scope, receive)
        except CallerGoneError:
            reply = Reply(status=_CLIENT_GONE, body=b"")
        headers = {
            "content-type": reply.content_type,
            "content-length": str(len(reply.body)),
            **reply.headers,
        }
        if self.draining:
            headers["connection"] = "close"
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
        await send({"type": "http.response.body", "body": reply.body})

    async def _route(self, scope: Scope, receive: Receive) -> Reply:
        method, path = scope["method"], scope["path"]
        allowed = {"/ping": "GET", "/metrics": "GET", "/invocations": "POST"}.get(path)
        if allowed is None:
            message = f"There is no {path[:100]!r} here. Send pictures to POST /invocations."
            return _refusal(RequestError("not_found", message))
        if method != allowed:
            message = f"{method} is not served here; use {allowed}."
            reply = _refusal(RequestError("method_not_allowed", message))
            reply.headers["allow"] = allowed
            return reply
        if path == "/ping":
            return self._ping()
        if path == "/metrics":
            self._metrics.queue.set(len(self._queue))
            self._metrics.ready.set(self._crew.ready)
            return Reply(status=200, body=self._metrics.text(), content_type=CONTENT_TYPE)
        return await self._invocations(scope, receive)

    def _ping(self) -> Reply:
        ready = self._crew.ready
        status = "healthy" if ready else "no worker is ready"
        if self.draining:
            status = "draining"
        details = {
            "status": status,
            **self._crew.described,
            "workers": {"ready": ready, "total": self._options.workers},
            "queue": len(self._queue),
            "model_version": self._options.model_version,
        }
        healthy = status == "healthy"
        return Reply(status=200 if healthy else 503, body=json.dumps(details).encode())

    async def _invocations(self, scope: Scope, receive: Receive) -> Reply:
        now = asyncio.get_running_loop().time
        begun = now()
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        request_id = _request_id(headers.get(ATTRIBUTES_HEADER))
        described = self._crew.described
        runtime = described.get("runtime", "none")
        words = in_words(runtime, described.get("processor", "none"))
        fields: dict[str, Any] = {"request_id": request_id, "runtime": runtime}
        try:
            reply = await self._answer(headers, begun, receive, fields)
        except RequestError as error:
            fields |= {"code": error.code, "message": error.message}
            reply = _refusal(error)
            if "expect" in headers:  # the body that was announced may never come
                reply.headers["connection"] = "close"
        except CallerGoneError:
            reply = Reply(status=_CLIENT_GONE, body=b"")
        seconds = now() - begun
        fields["status"] = reply.status
        fields["total_ms"] = round(1000 * seconds, 2)
        self._count(reply.status, seconds, fields)
        _LOG.info("request", extra={"fields": fields})
        reply.headers |= {"x-request-id": request_id, "x-kennel-runtime": words}
        return reply

    async def _answer(
        self, headers: Mapping[str, str], begun: float, receive: Receive, fields: dict[str, Any]
    ) -> Reply:
        loop = asyncio.get_running_loop()
        attributes = headers.get(ATTRIBUTES_HEADER)
        wanted_ms = deadline_ms(attributes)
        given_ms = self._options.deadline_ms if wanted_ms is None else wanted_ms
        deadline = begun + min(given_ms, LONGEST_DEADLINE_MS) / 1000
        declared = headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
            raise body_too_large()
        self._queue.check(deadline)
        body = await _read(receive)
        read = loop.time()
        fields["body_bytes"] = len(body)
        head = {
            "content_type": headers.get("content-type"),
            "accept": headers.get("accept"),
            "attributes": attributes,
        }
        job = Job(head=head, body=body, deadline=deadline, answer=loop.create_future())
        self._queue.offer(job)
        try:
            found, body = await _wait(job, receive, deadline - loop.time())
        finally:
            self._queue.leave(job)
            fields["worker"] = job.worker
            waited = (job.begun or loop.time()) - read
            fields["stage_ms"] = {
                "read": round(1000 * (read - begun), 2),
                "wait": round(1000 * waited, 2),
            }
        fields["stage_ms"] |= found["stage_ms"]
        fields |= found["facts"]
        return Reply(
            status=found["status"],
            body=body,
            content_type=found["content_type"],
            headers=found["headers"],
        )

    def _count(self, status: int, seconds: float, fields: Mapping[str, Any]) -> None:
        self._metrics.requests.labels(str(status)).inc()
        if status == 200:
            self._metrics.seconds.observe(seconds)
            for stage, stage_ms in fields["stage_ms"].items():
                self._metrics.stages.labels(stage).observe(stage_ms / 1000)
        elif status in (503, 504):
            self._metrics.rejected.labels(fields["code"]).inc()


async def _read(receive: Receive) -> bytes:
    """Read the body, but never more of it than is accepted."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise body_too_large()
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _wait(job: Job, receive: Receive, left_seconds: float) -> Frame:
    """Wait for the answer, as long as the caller does."""
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        both: set[asyncio.Future[Any]] = {job.answer, gone}
        await asyncio.wait(both, timeout=left_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
    if job.answer.done():
        result = job.answer.result()
        if isinstance(result, RequestError):
            raise result
        return result
    if gone.done() and not gone.cancelled():
        raise CallerGoneError
    raise too_late()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _request_id(attributes: str | None) -> str:
    """The caller's, or a new one; only what is safe to write to a log and a header."""
    given = attribute(attributes, "request_id") or ""
    plain = given.isascii() and given.replace("-", "").isalnum() and len(given) <= 64
    return given if plain else str(uuid.uuid4())


def _refusal(error: RequestError) -> Reply:
    retry = {"retry-after": "1"} if error.code == "unavailable" else {}
    return Reply(status=error.status, body=json.dumps(error.body()).encode(), headers=retry)
