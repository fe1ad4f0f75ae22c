"""Starts the server as AWS does, as a process with a port of its own, and talks to it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")
WAIT_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An HTTP reply."""

    status: int
    headers: dict[str, str]
    """Names in lower case."""
    text: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.text)


@dataclass(kw_only=True, slots=True)
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    port: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    """Its JSON log lines so far."""
    ended: bool = False
    """Whether its log is complete."""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        try:
            connection.request(method, path, body, dict(headers or {}))
            reply = connection.getresponse()
            names = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(status=reply.status, headers=names, text=reply.read())
        finally:
            connection.close()

    def invoke(self, body: bytes, content_type: str = "image/jpeg", **headers: str) -> Answer:
        """Send a picture."""
        return self.send("POST", "/invocations", body, {"Content-Type": content_type, **headers})

    def wait_for(self, event: str, count: int = 1, **facts: Any) -> dict[str, Any]:
        """The count-th log line of this name that says these facts, as soon as there is one."""
        wanted = {"event": event, **facts}

        def found() -> list[dict[str, Any]]:
            return [line for line in self.log if wanted.items() <= line.items()]

        with self.changed:
            self.changed.wait_for(lambda: self.ended or len(found()) >= count, WAIT_SECONDS)
            assert len(found()) >= count, self.log
            return found()[count - 1]

    def zygote(self) -> int:
        """The process id of the one child of the front process."""
        (child,) = children(self.process.pid)
        return child

    def workers(self) -> list[int]:
        """The process ids of the zygote's children."""
        return children(self.zygote())

    def ping_until(self, status: int, **facts: Any) -> Answer:
        """Ask /ping until it has this status and says these facts."""
        return until(
            lambda: self.send("GET", "/ping"),
            lambda reply: reply.status == status and facts.items() <= reply.json.items(),
        )

    def follow(self) -> None:
        """Collect the log until the process ends."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            with self.changed:
                self.log.append(json.loads(text))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()


def children(pid: int) -> list[int]:
    """The process ids of a process's children."""
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(ask: Callable[[], _T], fits: Callable[[_T], bool]) -> _T:
    """Ask again and again until the answer fits."""
    end = time.monotonic() + WAIT_SECONDS
    while not fits(answer := ask()):
        assert time.monotonic() < end, answer
        time.sleep(0.01)
    return answer


@contextmanager
def serving(base: Path, **environment: str) -> Iterator[Server]:
    """A server of the model in base/model, once it listens; ended afterwards."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}
    folder = base / "model"
    command = [sys.executable, "code/serve.py"]
    with started(command, folder, {"SAGEMAKER_BASE_DIR": str(base), **clean, **environment}) as one:
        yield one


@contextmanager
def started(command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """A server by any command in a folder, once it listens; ended afterwards."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={"SAGEMAKER_BIND_TO_PORT": "0", "MODEL_VERSION": "0123456789ab", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    server = Server(process=process)
    reader = threading.Thread(target=server.follow)
    reader.start()
    try:
        server.port = server.wait_for("listening")["port"]
        yield server
    finally:
        # The whole group: a worker that outlived its parent would hold the log open for ever.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        assert process.stdout is not None
        process.stdout.close()
