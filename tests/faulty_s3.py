"""A way to S3 that breaks as ways to S3 do, for clients that must live with it."""

import contextlib
import http.client
import http.server
import socket
import struct
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

HOP = {"connection", "content-length", "transfer-encoding"}


class FaultyS3(http.server.ThreadingHTTPServer):
    """Passes requests on; each GET of an object meets the next of the planned faults, if any.

    `500`: S3 is out of order. `reset`: the connection is reset in the middle. `truncated`: it is
    closed in the middle. `stalled`: it stays open and nothing comes any more. `slow`: all comes,
    in many pieces. `other`: as many bytes come, but other ones. `good`: nothing is wrong.
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.faults: list[str] = []
        self.met: list[str] = []
        """What each GET of an object met."""
        self.done = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """What clients take for AWS."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_fault(self) -> str:
        with self._lock:
            fault = self.faults.pop(0) if self.faults else "good"
            self.met.append(fault)
            return fault


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyS3

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        upstream.request(self.command, self.path, body, dict(self.headers.items()))
        reply = upstream.getresponse()
        content = reply.read()
        upstream.close()
        # Keys have a slash behind the bucket; listings have none.
        one_object = self.command == "GET" and self.path.split("?")[0].strip("/").count("/") > 0
        fault = self.server.next_fault() if one_object else "good"
        if fault == "500":
            content = b"<Error><Code>InternalError</Code><Message>out of order</Message></Error>"
            self.send_response(500)
        else:
            self.send_response(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in HOP:
                    self.send_header(name, value)
        length = reply.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._send(content, fault)

    def do_GET(self) -> None:
        self.handle_any()

    def do_HEAD(self) -> None:
        self.handle_any()

    def do_POST(self) -> None:
        self.handle_any()

    def _send(self, content: bytes, fault: str) -> None:
        if fault == "other":
            content = bytes(byte ^ 1 for byte in content)
        if fault == "slow":
            for at in range(0, len(content), max(1, len(content) // 50)):
                self.wfile.write(content[at : at + max(1, len(content) // 50)])
                self.wfile.flush()
                self.server.done.wait(0.01)
            return
        if fault not in ("reset", "truncated", "stalled"):
            self.wfile.write(content)
            return
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.close_connection = True
        if fault == "stalled":
            self.server.done.wait(60)
        if fault == "reset":
            at_once = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def faulty_s3(upstream: str) -> Iterator[FaultyS3]:
    """A running one."""
    server = FaultyS3(upstream)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.done.set()
        server.shutdown()
        thread.join()
        server.server_close()
