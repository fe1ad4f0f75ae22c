"""The HTTP server in front of everything: one thread a connection, kept alive."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from localaws.core import Reply

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """One request, as it came."""

    method: str
    path: str
    """Still percent-encoded, without the query."""
    query: str
    """Still percent-encoded, without the question mark."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def decoded_path(self) -> str:
        """The path, with its percent signs decoded."""
        return unquote(self.path)


class WebServer(ThreadingHTTPServer):
    """Listens on a port of 127.0.0.1 that the system chooses."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.answer: Callable[[HttpRequest], Reply] = lambda _: Reply(status=503)
        """What answers a request; set it before `serve_forever`."""

    @property
    def url(self) -> str:
        """The address to reach it."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "localaws"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # a reply leaves in one piece
    server: WebServer

    def parse_request(self) -> bool:
        # http.server tells methods apart by the handler's attributes; here all are one.
        parsed = super().parse_request()
        if parsed:
            setattr(self, f"do_{self.command}", self._answer)
        return parsed

    def handle_expect_100(self) -> bool:
        more = super().handle_expect_100()
        self.wfile.flush()
        return more

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        request = HttpRequest(
            method=self.command,
            path=path or "/",
            query=query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._body(),
        )
        try:
            reply = self.server.answer(request)
        except Exception:
            log.exception("The gateway failed at %s %s", self.command, self.path)
            reply = Reply(status=500, body=b"The gateway failed; see gateway.log.")
        self._write(reply)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _write(self, reply: Reply) -> None:
        has_body = self.command != "HEAD" and reply.status not in (204, 304)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server") and (
                name.lower() != "content-length" or not has_body
            ):
                self.send_header(name, value)
        if has_body:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if has_body:
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: the gateway writes its own line for each call."""
