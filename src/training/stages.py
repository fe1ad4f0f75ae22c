"""Names the parts of a run, so that it can be said where time goes.

Stages are timed in the main thread. With no clock running, a stage costs a function call.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Generic, TypeVar

import torch

Item = TypeVar("Item")


class Clock:
    """Sums the seconds of each stage, without those of the stages inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self.inside = 0.0
        """Seconds of the stages inside the one that runs."""


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
    started, outside, clock.inside = time.perf_counter(), clock.inside, 0.0
    with torch.profiler.record_function(name):
        yield
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    clock.seconds[name] = clock.seconds.get(name, 0.0) + seconds - clock.inside
    clock.calls[name] = clock.calls.get(name, 0) + 1
    clock.inside = outside + seconds


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
