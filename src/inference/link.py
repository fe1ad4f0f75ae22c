"""One worker as the front process sees it: its process, its socket and what it is doing."""

import asyncio
import logging
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from inference.frames import Unpacker, pack
from inference.jobs import Job, too_late
from inference.options import Options

_LOG = logging.getLogger(__name__)


class Foreman(Protocol):
    """Who is told what becomes of a worker."""

    options: Options

    def is_ready(self, worker: "Worker") -> None:
        """It has loaded the model and answered the golden picture."""

    def refused(self, reason: str) -> None:
        """It finds the model not fit to serve."""

    def done(self, worker: "Worker", job: Job) -> None:
        """It has answered."""

    def lost(self, worker: "Worker") -> None:
        """It is gone."""


class Worker(asyncio.Protocol):
    """One worker process, and the socket to it."""

    def __init__(self, crew: Foreman, number: int, slot: int) -> None:
        self.number, self.slot = number, slot
        self.pid: int | None = None
        self.ready: dict[str, Any] | None = None
        """What it said when it had loaded the model."""
        self.job: Job | None = None
        self.gone = False
        self.status: int | None = None
        """How it ended, once the zygote has said so."""
        self._crew = crew
        self._transport: asyncio.WriteTransport | None = None
        self._unpacker = Unpacker()
        self._timer: asyncio.TimerHandle | None = None
        self._asked: float | None = None
        self._ask_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there; the process comes when the zygote forks it."""
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101 (sockets are)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """It says something."""
        for head, body in self._unpacker.feed(data):
            if "pong" in head:
                self._asked = None
            elif "ready" in head:
                self.ready = head["ready"]
                self._crew.is_ready(self)
            elif "refused" in head:
                self._crew.refused(head["refused"])
            elif self.job is not None:
                job, self.job = self.job, None
                self.end_timer()
                job.finish((head, body))
                self._crew.done(self, job)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's)
        """It is gone, or as good as gone."""
        self.gone = True
        self.end_timer()
        self._crew.lost(self)

    def take(self, job: Job) -> None:
        """Send it a job, and take it to hang when it does not answer."""
        loop = asyncio.get_running_loop()
        self.job = job
        job.worker = self.pid
        self.start_timer(self._crew.options.job_seconds, "it is busy with one request for too long")
        left = job.deadline - loop.time()
        self._write(pack({**job.head, "left_seconds": left}, job.body))

    def watch(self, now: float) -> None:
        """Ask an idle worker whether it is there; look at how much memory it holds."""
        most_mb = self._crew.options.worker_memory_mb
        if self.pid is not None and (held_mb := _resident_mb(self.pid)) > most_mb:
            self.kill(f"it holds {held_mb} MiB; at most {most_mb} are allowed")
        elif self._asked is not None:
            if now - self._asked > self._crew.options.heartbeat_seconds:
                self.kill("it does not answer")
        elif self.ready and self.job is None and now >= self._ask_at:
            self._asked = now
            self._ask_at = now + self._crew.options.heartbeat_seconds
            self._write(pack({"ping": True}))

    def start_timer(self, seconds: float, reason: str) -> None:
        """Kill it after some seconds."""
        self.end_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.kill, reason)

    def end_timer(self) -> None:
        """It did in time what it had to do."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def kill(self, reason: str) -> None:
        """End it at once; `Crew.lost` does the rest."""
        fields = {"pid": self.pid, "reason": reason}
        _LOG.error("ending a worker", extra={"fields": fields})
        if self.job:
            self.job.finish(too_late())
        self.drop()

    def drop(self) -> None:
        """End process and socket without a word."""
        if self.pid is not None and self.status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        if self._transport:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport:
            self._transport.write(data)


def _resident_mb(pid: int) -> int:
    """How much memory a process holds, where Linux says so."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20
