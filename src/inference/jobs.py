"""Requests that wait for a worker: in the order they came, not too many, not too long."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from contract.messages import RequestError
from inference.frames import Frame

_NEWEST = 0.2
"""Weight of the newest request in the mean of how long one takes."""


@dataclass(eq=False, kw_only=True, slots=True)
class Job:
    """One request on its way to a worker."""

    head: dict[str, Any]
    """What the worker is told beside the body."""

    body: bytes
    deadline: float
    """By the queue's clock."""

    answer: "asyncio.Future[Frame | RequestError]"
    begun: float | None = None
    """When a worker took it."""

    worker: int | None = None
    """The process id of that worker."""

    facts: dict[str, Any] = field(default_factory=dict)

    def finish(self, result: Frame | RequestError) -> None:
        """Answer, unless nobody waits any more."""
        if not self.answer.done():
            self.answer.set_result(result)


class Hand(Protocol):
    """A worker, as far as the queue is concerned."""

    def take(self, job: Job) -> None:
        """Work on it; `Queue.free` is called when it is done."""


class Queue:
    """First come, first served; bounded, and aware of deadlines."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        """Nobody waits and nobody works yet.

        Args:
            limit: how many may wait.
            clock: in seconds.
        """
        self._limit = limit
        self._clock = clock
        self._waiting: deque[Job] = deque()
        self._idle: deque[Hand] = deque()
        self._hands: set[Hand] = set()
        self._mean_seconds = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def check(self, deadline: float) -> None:
        """Refuse a request that there is no place for, or that is sure to come too late.

        Raises:
            RequestError: 503, or 504 when its time is over already.
        """
        now = self._clock()
        if now >= deadline:
            raise too_late()
        if self._idle:
            return
        # Those that may go at once never judge the others: with nobody idle, the mean is fresh.
        turns = 1 + (len(self._waiting) + 1) / max(1, len(self._hands))
        late = bool(self._hands) and now + turns * self._mean_seconds > deadline
        if late or len(self._waiting) >= self._limit:
            raise RequestError("unavailable", "The endpoint is busy. Try again in a second.")

    def offer(self, job: Job) -> None:
        """Give a job to an idle worker, or let it wait.

        Raises:
            RequestError: see `check`.
        """
        self.check(job.deadline)
        if self._idle:
            self._give(self._idle.popleft(), job)
        else:
            self._waiting.append(job)

    def leave(self, job: Job) -> None:
        """Its caller does not wait any more; a worker that has it goes on."""
        if job in self._waiting:
            self._waiting.remove(job)

    def free(self, hand: Hand, took_seconds: float | None = None) -> None:
        """A worker is idle, for the first time or again; it gets the next job that is in time."""
        if took_seconds is not None:
            self._mean_seconds += _NEWEST * (took_seconds - self._mean_seconds)
        self._hands.add(hand)
        while self._waiting:
            job = self._waiting.popleft()
            if job.answer.done():
                continue
            if self._clock() < job.deadline:
                self._give(hand, job)
                return
            job.finish(too_late())
        self._idle.append(hand)

    def remove(self, hand: Hand) -> None:
        """A worker is gone."""
        self._hands.discard(hand)
        if hand in self._idle:
            self._idle.remove(hand)

    def refuse_all(self, error: RequestError) -> None:
        """Nobody will come any more."""
        while self._waiting:
            self._waiting.popleft().finish(error)

    def _give(self, hand: Hand, job: Job) -> None:
        job.begun = self._clock()
        hand.take(job)


def too_late() -> RequestError:
    """The error for a request whose time is over."""
    return RequestError("timeout", "The request's time was over before its answer. Try again.")
