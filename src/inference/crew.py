"""The workers as the front process sees them: started, given work, watched and replaced."""

import asyncio
import itertools
import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from contract.messages import RequestError
from inference.jobs import Job, Queue
from inference.link import Worker
from inference.metrics import Metrics
from inference.nursery import Nursery
from inference.options import REFUSED, Options

GAVE_UP = 1
_STILLBORN_LIMIT = 3
_WATCH_SECONDS = 0.5
_LOG = logging.getLogger(__name__)


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
