"""An S3 that keeps who reads a picture waiting, so that a test decides when a worker goes on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.events.samples import picture

PICTURES_URI = "s3://bucket/pictures/"
HELD = b'{"s3_uri": "s3://bucket/pictures/held.jpg"}'
"""A request's body that keeps one worker busy."""


@dataclass(kw_only=True, slots=True)
class SlowS3:
    """Holds every reader until `gate` is set."""

    environment: dict[str, str]
    """Leads a server here."""
    gate: threading.Event = field(default_factory=threading.Event)
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait_for_reader(self) -> None:
        """Until a worker is in the middle of a request."""
        assert self.asked.acquire(timeout=60)


@contextmanager
def slow_s3() -> Iterator[SlowS3]:
    """Answer on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            s3.asked.release()
            s3.gate.wait(60)
            body = picture("rgb.jpg")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Readers that were killed do not take their answer."""

    server = Server(("127.0.0.1", 0), Handler)
    s3 = SlowS3(
        environment={
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "PICTURES_URI": PICTURES_URI,
        }
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield s3
    finally:
        s3.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
