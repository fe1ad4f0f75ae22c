"""One execution environment of a function: a process, and the Runtime API that it talks to."""

import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from localaws import processes
from localaws.functions.bootstrap import API, MARK

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
MEMORY_HEADROOM_BYTES = 1024 * 2**20
"""Address space is limited, not resident memory: Python, its libraries and its threads map far
more than they use. The function's own memory comes on top of this."""
INIT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One invocation."""

    request_id: str
    payload: bytes
    function_arn: str
    deadline: float
    """time.time() when the function is ended."""
    client_context: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How an invocation ended."""

    payload: bytes
    error: str | None
    """Handled is not used by managed runtimes: Unhandled, or None when all went well."""


def failed(kind: str, message: str, **more: Any) -> Outcome:
    """An outcome in the shape of AWS's errors."""
    shape = {"errorMessage": message, "errorType": kind, **more}
    return Outcome(payload=json.dumps(shape).encode(), error="Unhandled")


class _Api(BaseHTTPRequestHandler):
    """The Runtime API as AWS documents it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    environment: "Environment"

    def do_GET(self) -> None:
        if self.path != f"{API}/invocation/next":
            self._answer(404, b"{}")
            return
        event = self.environment.next_event()
        if event is None:
            self.close_connection = True
            return
        self._answer(
            200,
            event.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": event.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(event.deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": event.function_arn,
                "Lambda-Runtime-Client-Context": event.client_context,
                "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{event.request_id[:24]}",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.removeprefix(API).strip("/").split("/")
        if parts == ["init", "error"]:
            self._answer(202, b"{}")
            self.environment.init_failed(body)
        elif len(parts) == 3 and parts[0] == "invocation" and parts[2] in ("response", "error"):
            self._answer(202, b"{}")
            error = "Unhandled" if parts[2] == "error" else None
            self.environment.answered(parts[1], Outcome(payload=body, error=error))
        else:
            self._answer(404, b"{}")

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the library
        """Stay silent."""


class Environment:
    """Answers one event at a time, until it is closed or breaks."""

    def __init__(
        self,
        *,
        root: Path,
        task_root: Path,
        variables: Mapping[str, str],
        memory_mb: int,
        on_line: Callable[[str], None],
    ) -> None:
        self.started = time.monotonic()
        self.last_used = self.started
        self.broken = False
        self.init_seconds: float | None = None
        self.max_memory_mb = 0
        self._on_line = on_line
        self._ready = threading.Event()
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[str, Outcome]] = queue.SimpleQueue()
        self._printed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._init_error: Outcome | None = None
        api = type("Api", (_Api,), {"environment": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), api)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="runtime-api", daemon=True
        ).start()
        self._process = processes.start(
            ["python", str(BOOTSTRAP)],
            root=root,
            cwd=task_root,
            env={
                **variables,
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
                "LAMBDA_TASK_ROOT": str(task_root),
                "LAMBDA_RUNTIME_DIR": str(BOOTSTRAP.parent),
            },
            on_line=self._line,
            memory_limit_bytes=memory_mb * 2**20 + MEMORY_HEADROOM_BYTES,
        )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether another event can be given to it."""
        return not self.broken and self._process.alive

    def start_up(self, timeout_seconds: float) -> Outcome | None:
        """Wait until the handler is loaded; what went wrong, or None."""
        deadline = time.monotonic() + timeout_seconds
        while not self._ready.wait(0.01):
            if self._init_error is None and not self._process.alive:
                # The report of the error may still be on its way through the API.
                self._ready.wait(0.2)
            if self._init_error or not self._process.alive:
                break
            if time.monotonic() > deadline:
                self.broken = True
                return failed(
                    "Sandbox.Timedout", f"Init timed out after {timeout_seconds:.2f} seconds"
                )
        if self._ready.is_set():
            self._wait_for_output()
            return None
        self.broken = True
        return self._init_error or self._exited("")

    def invoke(self, event: Event) -> Outcome:
        """Hand over one event and wait for its answer, its end or the deadline."""
        self.last_used = time.monotonic()
        self._events.put(event)
        while True:
            left = event.deadline - time.time()
            if left <= 0:
                self.broken = True
                return Outcome(payload=b"", error="timeout")
            try:
                request_id, outcome = self._outcomes.get(timeout=min(left, 0.05))
            except queue.Empty:
                if not self._process.alive and self._outcomes.empty():
                    self.broken = True
                    self._process.wait_all(2)
                    return self._exited(event.request_id)
                continue
            if request_id == event.request_id:
                self._wait_for_output()
                self.last_used = time.monotonic()
                return outcome

    def close(self) -> None:
        """End the process and the API."""
        self.broken = True
        self._events.put(None)
        self._process.kill()
        self._server.shutdown()
        self._server.server_close()

    def next_event(self) -> Event | None:
        """Block until there is work; None when the environment is closed."""
        if not self._ready.is_set():
            self.init_seconds = time.monotonic() - self.started
            self._ready.set()
        return self._events.get()

    def init_failed(self, body: bytes) -> None:
        """The runtime could not load the handler."""
        self._init_error = Outcome(payload=body, error="Unhandled")

    def answered(self, request_id: str, outcome: Outcome) -> None:
        """The runtime posted an answer."""
        self._outcomes.put((request_id, outcome))

    def _exited(self, request_id: str) -> Outcome:
        code = self._process.exit_code or 0
        how = f"exit status {code}" if code >= 0 else "signal: killed"
        prefix = f"RequestId: {request_id} " if request_id else ""
        ending = "Runtime exited without providing a reason"
        if code:
            ending = f"Runtime exited with error: {how}"
        return failed("Runtime.ExitError", f"{prefix}Error: {ending}")

    def _line(self, line: str) -> None:
        if line.startswith(MARK):
            _, request_id, kilobytes = line.split(" ")
            self.max_memory_mb = int(kilobytes) // 1024
            self._printed.put(request_id)
        elif line:
            self._on_line(line)

    def _wait_for_output(self) -> None:
        try:
            self._printed.get(timeout=1)
        except queue.Empty:
            return
