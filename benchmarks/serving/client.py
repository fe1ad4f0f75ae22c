"""A small HTTP/1.1 client: connections that are kept, and are opened when none is free."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httptools

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An HTTP reply."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(kw_only=True, slots=True)
class Connects:
    """What became of the connections that a pool opened."""

    opened: int = 0
    refused: int = 0
    slowest_seconds: float = 0.0


def request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of a request."""
    given = {"Host": HOST, "Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(slots=True)
class Pool:
    """Connections to one port."""

    port: int
    connects: Connects = field(default_factory=Connects)
    _free: list["_Connection"] = field(default_factory=list)

    async def send(self, data: bytes) -> Reply:
        """Send one request; a connection that is free is used, or a new one.

        Raises:
            OSError: there is no connection to be had, or it ended before the reply did.
        """
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                break
        else:
            connection = await self._open()
        try:
            reply = await connection.exchange(data)
        except BaseException:
            connection.close()
            raise
        if connection.usable:
            self._free.append(connection)
        return reply

    async def _open(self) -> "_Connection":
        begun = time.perf_counter()
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                _Connection, HOST, self.port
            )
        except OSError:
            self.connects.refused += 1
            raise
        self.connects.opened += 1
        seconds = time.perf_counter() - begun
        self.connects.slowest_seconds = max(self.connects.slowest_seconds, seconds)
        return connection

    def close(self) -> None:
        """Close what is open."""
        for connection in self._free:
            connection.close()
        self._free.clear()


class _Connection(asyncio.Protocol):
    """One connection; carries one request at a time."""

    def __init__(self) -> None:
        self.usable = True
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Reply] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def exchange(self, data: bytes) -> "asyncio.Future[Reply]":
        """Send a request; the future is its reply."""
        assert self._transport is not None  # noqa: S101 (asyncio calls connection_made first)
        self._headers, self._body = {}, []
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return self._reply

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (TCP's are)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"the reply is not HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("closed before the reply"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if not 100 <= status < 200 and self._reply is not None and not self._reply.done():
            self.usable = self._parser.should_keep_alive()
            reply = Reply(status=status, headers=self._headers, body=b"".join(self._body))
            self._reply.set_result(reply)

    def _fail(self, error: Exception) -> None:
        self.usable = False
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)
