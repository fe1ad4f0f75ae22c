"""An HTTP server in SageMaker's place: it speaks InvokeEndpoint's protocol."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(kw_only=True, slots=True)
class Context:
    """What Lambda passes beside the event."""

    aws_request_id: str = "11111111-2222-3333-4444-555555555555"
    remaining_ms: int = 30_000

    def get_remaining_time_in_millis(self) -> int:
        """How long the function may still run."""
        return self.remaining_ms


@dataclass(kw_only=True, slots=True)
class Invocation:
    """One InvokeEndpoint as it came over the wire."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


Replier = Callable[[Invocation], tuple[int, dict[str, str], bytes] | None]
"""Status, headers and body; None closes the connection without an answer."""


@dataclass(kw_only=True, slots=True)
class Endpoint:
    """An HTTP server in SageMaker's place."""

    url: str
    reply: Replier
    seen: list[Invocation] = field(default_factory=list)
    connections: int = 0
    """How many were made to it so far."""


@contextmanager
def endpoint_server(reply: Replier) -> Iterator[Endpoint]:
    """Answer on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            endpoint.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            names = {name.lower(): value for name, value in self.headers.items()}
            invocation = Invocation(path=self.path, headers=names, body=body)
            endpoint.seen.append(invocation)
            answer = endpoint.reply(invocation)
            if answer is None:
                self.close_connection = True
                return
            status, headers, text = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint = Endpoint(url=f"http://127.0.0.1:{server.server_port}", reply=reply)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
