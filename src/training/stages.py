"""Names the parts of a run, so that it can be said where time goes.

With no clock running, a stage costs a function call.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Generic, TypeVar

import torch

Item = TypeVar("Item")


class Clock:
    """Sums the seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}

    def add(self, name: str, seconds: float) -> None:
        """One more call of a stage."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.calls[name] = self.calls.get(name, 0) + 1


_running: list[Clock] = []
"""At most one clock: a stage need not be handed one through every function."""


@contextmanager
def clock() -> Iterator[Clock]:
    """Time the stages of what is done inside."""
    _running.append(Clock())
    try:
        yield _running[-1]
    finally:
        _running.pop()


def stage(name: str) -> AbstractContextManager[None]:
    """A part of the run, for the clock and the trace."""
    return _timed(name, _running[-1]) if _running else nullcontext()


@contextmanager
def _timed(name: str, clock: Clock) -> Iterator[None]:
    started = time.perf_counter()
    with torch.profiler.record_function(name):
        yield
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    clock.add(name, time.perf_counter() - started)


class Waiting(Generic[Item]):
    """Hands items on and keeps the seconds that they were waited for."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.items = iter(items)
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        started = time.perf_counter()
        try:
            with stage("waiting"):
                return next(self.items)
        finally:
            self.seconds += time.perf_counter() - started
