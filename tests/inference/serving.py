"""Starts the server as AWS does, as a process with a port of its own, and talks to it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


@contextmanager
def serving(base: Path, **environment: str) -> Iterator[Server]:
    """A server of the model in base/model, once it listens; ended afterwards."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}
    process = subprocess.Popen(
        [sys.executable, "code/serve.py"],
        cwd=base / "model",
        env={
            **clean,
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_PORT": "0",
            "MODEL_VERSION": "0123456789ab",
            **environment,
        },
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
