"""Keeps callers that send slowly, too much, or nothing from taking the place of others.

uvicorn speaks HTTP; it limits neither the size of headers nor how long a request may take to
arrive. This does, for every connection, with one look a second.
"""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from contract.messages import MAX_BODY_BYTES
from inference.metrics import Metrics

HEAD_SECONDS = 10
"""From the first byte of a request to the end of its headers."""
BODY_SECONDS = 20
"""From the end of the headers to the end of the body."""
IDLE_SECONDS = 75
"""Between requests; longer than callers keep their connections."""
ANSWER_SECONDS = 120
"""More than any deadline: who does not take an answer for so long is gone."""
CLOSE_SECONDS = 5
MAX_HEAD_BYTES = 32_768
MAX_REQUEST_BYTES = 2 * MAX_BODY_BYTES
"""On the wire, with headers and the marks of chunks; also how much of a refused one is drained."""
MAX_CONNECTIONS = 1000
MAX_ARRIVING_BYTES = 268_435_456
"""Held for all requests that are arriving together."""

_LIMITS = {"idle": IDLE_SECONDS, "head": HEAD_SECONDS, "body": BODY_SECONDS}
_REFUSALS = {
    "head": (431, "Request Header Fields Too Large", "The headers are larger than 32,768 bytes."),
    "slow": (408, "Request Timeout", "The request took too long to arrive."),
    "crowd": (503, "Service Unavailable", "Too many requests are arriving. Try again."),
    "broken": (400, "Bad Request", "This is not an HTTP request."),
}


class Door:
    """All connections, the one that has kept us waiting longest first."""

    def __init__(self, metrics: Metrics, most: int = MAX_CONNECTIONS) -> None:
        self.arriving_bytes = 0
        self._metrics = metrics
        self._most = most
        self._waiting: dict[Connection, None] = {}
        self._answering: dict[Connection, None] = {}

    def enter(self, connection: "Connection") -> None:
        """Let a connection in; when there are too many, the slowest goes."""
        self._waiting[connection] = None
        if len(self._waiting) + len(self._answering) > self._most:
            next(iter(self._waiting)).refuse("crowd")

    def waits_for_caller(self, connection: "Connection") -> None:
        """The caller's turn: its request is to come, or goes on coming."""
        self._answering.pop(connection, None)
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def waits_for_us(self, connection: "Connection") -> None:
        """The request is complete."""
        self._waiting.pop(connection, None)
        self._answering[connection] = None

    def leave(self, connection: "Connection") -> None:
        """It is gone."""
        self._waiting.pop(connection, None)
        self._answering.pop(connection, None)

    def make_room(self) -> None:
        """Turn the slowest away when what arrives does not fit into memory."""
        while self.arriving_bytes > MAX_ARRIVING_BYTES:
            largest = next((c for c in self._waiting if c.phase == "body"), None)
            if largest is None:
                return
            largest.refuse("crowd")

    def refused(self, reason: str) -> None:
        """Count one that was turned away."""
        self._metrics.rejected.labels(reason).inc()

    async def watch(self) -> None:
        """Close what takes too long, for ever."""
        while True:
            await asyncio.sleep(1)
            now = asyncio.get_running_loop().time()
            for connection in list(self._waiting):
                if now - connection.since > _LIMITS[connection.phase]:
                    connection.refuse("slow")
            for connection in list(self._answering):
                if now - connection.since > ANSWER_SECONDS:
                    connection.abort()


class Connection(HttpToolsProtocol):
    """One connection of a caller."""

    def __init__(self, door: Door, **rest: Any) -> None:
        super().__init__(**rest)
        self.phase = "idle"
        self.since = 0.0
        self._door = door
        self._why = "broken"
        self._head_bytes = 0
        self._wire_bytes = 0
        self._held_bytes = 0
        self._complete = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller connects."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self._door.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """A caller is gone; one that only stops sending counts as gone too."""
        self._release()
        self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what arrives; the parser keeps what it has no name for yet."""
        if self.transport.is_closing():
            return
        self._wire_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._wire_bytes = self._wire_bytes or len(data)  # a request began in these bytes
        if self.phase == "head" and self._wire_bytes > MAX_HEAD_BYTES:
            self.refuse("head")
        elif self.phase == "body":
            if self._wire_bytes > MAX_REQUEST_BYTES:
                self.abort()
            elif self.cycle is not None and not self.cycle.response_complete:
                self._hold(len(data))

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._head_bytes = 0
        self._wire_bytes = 0
        self._complete = False
        self._enter("head")

    def on_url(self, url: bytes) -> None:
        """A piece of the path."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or one after the body."""
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The body comes next, if there is one."""
        self._enter("body")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is here: what takes time now is ours."""
        self._complete = True
        super().on_message_complete()
        if self.cycle is None or self.cycle.response_complete:
            self._enter("idle")
        else:
            self.phase, self.since = "answer", self.loop.time()
            self._door.waits_for_us(self)

    def on_response_complete(self) -> None:
        """The answer is out; it may have come before the whole request."""
        self._release()
        if self._complete:
            self._enter("idle")
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's signature)
        """What uvicorn calls when its parser, or a limit above, gives up."""
        self.refuse(self._why)

    def refuse(self, why: str) -> None:
        """Say why, unless an answer has begun, and close."""
        self._door.refused(why)
        answered = self.cycle is not None and self.cycle.response_started
        if self.phase != "idle" and not answered:
            status, phrase, message = _REFUSALS[why]
            code = {503: "unavailable", 408: "timeout"}.get(status, "bad_request")
            text = json.dumps({"error": {"code": code, "message": message}})
            self.transport.write(
                f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(text)}\r\nconnection: close\r\nretry-after: 1\r\n\r\n"
                f"{text}".encode()
            )
        self._release()
        self._door.leave(self)
        self.transport.close()
        self.loop.call_later(CLOSE_SECONDS, self.transport.abort)  # it may never read the answer

    def abort(self) -> None:
        """Close without a word."""
        self._door.refused("abort")
        self._door.leave(self)
        self.transport.abort()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._why = "head"
            raise ValueError("the headers are too large")  # the parser ends with its own error

    def _enter(self, phase: str) -> None:
        self.phase, self.since = phase, self.loop.time()
        self._door.waits_for_caller(self)

    def _hold(self, size: int) -> None:
        self._held_bytes += size
        self._door.arriving_bytes += size
        self._door.make_room()

    def _release(self) -> None:
        self._door.arriving_bytes -= self._held_bytes
        self._held_bytes = 0
