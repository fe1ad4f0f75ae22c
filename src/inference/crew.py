"""The workers as the front process sees them: started, given work, watched and replaced."""

import asyncio
import itertools
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from contract.messages import RequestError
from inference.frames import Unpacker, pack
from inference.jobs import Job, Queue, too_late
from inference.metrics import Metrics
from inference.nursery import Nursery
from inference.options import REFUSED, Options

GAVE_UP = 1
_STILLBORN_LIMIT = 3
_WATCH_SECONDS = 0.5
_LOG = logging.getLogger(__name__)


class Worker(asyncio.Protocol):
    """One worker process, and the socket to it."""

    def __init__(self, crew: "Crew", number: int, slot: int) -> None:
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


class Crew:
    """Keeps as many workers as there should be."""

    def __init__(
        self,
        options: Options,
        queue: Queue,
        metrics: Metrics,
        nursery: Nursery,
        end: Callable[[int], None],
    ) -> None:
        """Nobody works yet.

        Args:
            options: how many workers, and how long they may take.
            queue: where the work is.
            metrics: told of deaths.
            nursery: where workers come from.
            end: called with the exit status when there is no use in going on.
        """
        self.options = options
        self.described: dict[str, Any] = {}
        """What the last worker that became ready said of its model's runtime."""
        self._queue, self._metrics, self._nursery, self._end = queue, metrics, nursery, end
        self._workers: dict[int, Worker] = {}
        self._dead: dict[int, Worker] = {}
        """By process id: gone, and the zygote has not said yet how they ended."""
        self._numbers = itertools.count(1)
        self._stillborn = 0
        self._complete = False
        self._ending = False
        self._watching: asyncio.Task[None] | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._orphans: set[int] = set()
        """Process ids of workers whose zygote is gone; in a container they become our children."""
        failed = partial(self._give_up, "no zygote comes up")
        nursery.connect(self._born, self._died, self._orphaned, failed)

    @property
    def ready(self) -> int:
        """How many workers have a model that answered its golden picture."""
        return sum(worker.ready is not None for worker in self._workers.values())

    def start(self) -> None:
        """Start one worker; once it is ready the others follow, and find the files in memory."""
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        self._order(0)

    def stop(self) -> None:
        """End all workers at once."""
        self._ending = True
        if self._watching:
            self._watching.cancel()
        for worker in self._workers.values():
            worker.drop()
        self._nursery.stop()

    def is_ready(self, worker: Worker) -> None:
        """It has loaded the model and answered the golden picture."""
        worker.end_timer()
        self._stillborn = 0
        self.described = dict(worker.ready or {})
        fields = {**self.described, "pid": worker.pid, "workers": self.ready}
        _LOG.info("ready", extra={"fields": fields})
        self._queue.free(worker)
        if not self._complete:
            self._complete = True
            for slot in range(1, self.options.workers):
                self._order(slot)

    def done(self, worker: Worker, job: Job) -> None:
        """It has answered."""
        now = asyncio.get_running_loop().time()
        self._queue.free(worker, now - (now if job.begun is None else job.begun))

    def refused(self, reason: str) -> None:
        """The model is not fit to serve: no other worker will find it better."""
        if not self._ending:
            _LOG.error("refused to start", extra={"fields": {"reason": reason}})
            self._stop_trying(REFUSED)

    def lost(self, worker: Worker) -> None:
        """Replace a worker; only the request inside it fails."""
        self._workers.pop(worker.number, None)
        self._queue.remove(worker)
        if worker.job:
            worker.job.finish(
                RequestError("unavailable", "The worker died on this request. Try again.")
            )
        if self._ending:
            return
        worker.drop()
        self._metrics.deaths.inc()
        if worker.status is not None or worker.pid is None or worker.pid in self._orphans:
            self._log_death(worker)
        else:
            self._dead[worker.pid] = worker
        self._stillborn = 0 if worker.ready else self._stillborn + 1
        if self._stillborn == _STILLBORN_LIMIT:
            self._give_up("no worker became ready")
        else:
            self._order(worker.slot)

    def _order(self, slot: int) -> None:
        number = next(self._numbers)
        worker = Worker(self, number, slot)
        self._workers[number] = worker
        ours = self._nursery.order(number, _core(slot, self.options.workers))
        loop = asyncio.get_running_loop()

        async def connect() -> None:
            await loop.create_connection(lambda: worker, sock=ours)

        task = loop.create_task(connect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def _born(self, number: int, pid: int) -> None:
        worker = self._workers.get(number)
        if worker:
            worker.pid = pid
            if not worker.ready:
                worker.start_timer(self.options.load_seconds, "it loads for too long")

    def _died(self, pid: int, status: int | None) -> None:
        dead = self._dead.pop(pid, None)
        if dead:
            dead.status = status
            self._log_death(dead)
        for worker in self._workers.values():
            if worker.pid == pid:
                worker.status = status  # its socket is about to say so too

    def _orphaned(self) -> None:
        self._orphans |= {worker.pid for worker in self._workers.values() if worker.pid}
        for dead in self._dead.values():
            self._log_death(dead)
        self._orphans |= self._dead.keys()
        self._dead.clear()

    def _reap_orphans(self) -> None:
        for pid in list(self._orphans):
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    self._orphans.discard(pid)
            except ChildProcessError:  # somebody else's child, and alive perhaps
                if not Path(f"/proc/{pid}").exists():
                    self._orphans.discard(pid)

    def _log_death(self, worker: Worker) -> None:
        fields = {"status": worker.status, "pid": worker.pid, "ready": worker.ready is not None}
        _LOG.error("the worker died; starting another", extra={"fields": fields})

    def _give_up(self, reason: str) -> None:
        if not self._ending:
            _LOG.error("gave up", extra={"fields": {"reason": reason}})
            self._stop_trying(GAVE_UP)

    def _stop_trying(self, status: int) -> None:
        self._ending = True
        self._queue.refuse_all(RequestError("unavailable", "The endpoint is ending."))
        self._end(status)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(_WATCH_SECONDS, self.options.heartbeat_seconds / 2))
            for worker in list(self._workers.values()):
                worker.watch(loop.time())
            self._reap_orphans()


def _core(slot: int, workers: int) -> int | None:
    """The core for a worker, where there is one for each."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return cores[slot] if workers <= len(cores) else None


def _resident_mb(pid: int) -> int:
    """How much memory a process holds, where Linux says so."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20
