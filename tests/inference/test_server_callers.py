"""Callers who send slowly, too much, or nothing: the others are served all the same."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.events.samples import picture
from tests.inference.serving import Server, serving

pytestmark = pytest.mark.slow
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"


@pytest.fixture(scope="module")
def crowded(base_folder: Path) -> Iterator[Server]:
    """A server for callers that harm others."""
    with serving(base_folder) as running:
        running.wait_for("ready")
        yield running


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def everything(caller: socket.socket) -> bytes:
    """What comes until the server closes."""
    parts = []
    try:
        while part := caller.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_slow_and_silent_callers_are_closed_and_the_others_served(crowded: Server) -> None:
    with ExitStack() as open_ones:

        def opened(first: bytes) -> socket.socket:
            caller = open_ones.enter_context(connect(crowded))
            caller.sendall(first)
            return caller

        slow_heads = [opened(HEAD) for _ in range(50)]
        slow_bodies = [opened(HEAD + b"Content-Length: 1000\r\n\r\nabc") for _ in range(50)]
        for _ in range(300):
            opened(b"")
        half_closed = [opened(HEAD + b"Content-Length: 1000\r\n\r\nabc") for _ in range(50)]
        for caller in half_closed:
            caller.shutdown(socket.SHUT_WR)

        replies = [crowded.invoke(picture("rgb.jpg")) for _ in range(10)]

        assert {reply.status for reply in replies} == {200}
        assert crowded.send("GET", "/ping").status == 200
        for caller in slow_heads + slow_bodies:
            assert everything(caller).startswith(b"HTTP/1.1 408 ")
        for caller in half_closed:
            assert everything(caller) == b""


@pytest.mark.parametrize(
    "flood",
    [
        b"".join(b"X-%d: %s\r\n" % (number, b"a" * 100) for number in range(400)),
        b"X: " + b"a" * 60_000,
    ],
    ids=["many", "one that never ends"],
)
def test_a_flood_of_headers_is_refused(crowded: Server, flood: bytes) -> None:
    with connect(crowded) as caller:
        caller.sendall(HEAD + flood)

        assert everything(caller).startswith(b"HTTP/1.1 431 ")
    assert crowded.invoke(picture("rgb.jpg")).status == 200


def test_an_endless_path_is_refused(crowded: Server) -> None:
    with connect(crowded) as caller:
        caller.sendall(b"GET /" + b"a" * 60_000)

        assert everything(caller).startswith(b"HTTP/1.1 431 ")


def test_what_is_not_http_is_refused(crowded: Server) -> None:
    with connect(crowded) as caller:
        caller.sendall(b"\x16\x03\x01 hello\r\n\r\n")

        assert everything(caller).startswith(b"HTTP/1.1 400 ")


def test_endless_chunks_are_refused_and_not_kept(crowded: Server) -> None:
    chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
    with connect(crowded) as caller:
        caller.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        try:
            while sent < 100:  # 6.5 MB
                caller.sendall(chunk)
                sent += 1
            assert caller.recv(65536).startswith(b"HTTP/1.1 413 ")
            while True:
                caller.sendall(chunk)
                sent += 1
                assert sent < 1000
        except ConnectionError:
            pass

    assert sent < 1000
    assert crowded.invoke(picture("rgb.jpg")).status == 200


def test_more_connections_than_are_kept_push_out_the_most_silent(base_folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    try:
        with serving(base_folder) as server, ExitStack() as open_ones:
            server.wait_for("ready")
            silent = [open_ones.enter_context(connect(server)) for _ in range(1100)]

            replies = [server.invoke(picture("rgb.jpg")) for _ in range(5)]

            assert {reply.status for reply in replies} == {200}
            assert everything(silent[0]) == b""
            silent[-1].sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            assert silent[-1].recv(65536).startswith(b"HTTP/1.1 200 ")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
