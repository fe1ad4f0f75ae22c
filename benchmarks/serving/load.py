"""Sends requests to a server, open loop or closed loop, and notes what became of each.

Open loop: each request has its time on a schedule and is sent then, whatever became of those
before it. Its latency counts from that time, so a server that stalls is charged for all who came
meanwhile. Closed loop: so many connections, each of which sends its next request when its last
one is answered; that finds the most a server can do, and says nothing of how it bears a crowd.
"""

import asyncio
import gc
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.serving.client import Connects, Pool, Reply

GIVE_UP_SECONDS = 30.0
"""A request that takes longer counts as failed."""

Observer = Callable[[Reply], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One request; times are seconds from the start of the load."""

    scheduled: float
    started: float
    """When the client took it up; later than scheduled only by the client's own fault."""
    done: float
    status: int
    """Of the reply; 0: there was none."""
    fault: str = ""
    """Why there was none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What came of a load."""

    samples: Sequence[Sample]
    seconds: float
    """How long requests were sent."""
    connects: Connects = field(default_factory=Connects)
    open_loop: bool


async def open_loop(
    port: int, requests: Sequence[bytes], arrivals: Sequence[float], seconds: float,
    observe: Observer = lambda _: None,
) -> Load:  # fmt: skip
    """Send a request at each of the arrivals, and wait for the last reply.

    Args:
        port: of the server.
        requests: sent in turn.
        arrivals: seconds from the start, in order.
        seconds: how long the schedule is.
        observe: given each reply.
    """
    pool, samples, running = Pool(port), list[Sample](), set[asyncio.Task[None]]()

    async def one(at: float, data: bytes) -> None:
        started = time.perf_counter() - begun
        samples.append(await _sample(pool, data, begun, at, started, observe))

    with _undisturbed():
        begun = time.perf_counter()
        for at, data in zip(arrivals, itertools.cycle(requests), strict=False):
            if (wait := begun + at - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(one(at, data))
            running.add(task)
            task.add_done_callback(running.discard)
        if (wait := begun + seconds - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        await asyncio.gather(*running)
    pool.close()
    return Load(samples=samples, seconds=seconds, connects=pool.connects, open_loop=True)


async def closed_loop(
    port: int, requests: Sequence[bytes], connections: int, seconds: float,
    observe: Observer = lambda _: None,
) -> Load:  # fmt: skip
    """Send requests on so many connections, one at a time each, for so long."""
    pool, samples, turn = Pool(port), list[Sample](), itertools.cycle(requests)

    async def one() -> None:
        while (now := time.perf_counter() - begun) < seconds:
            samples.append(await _sample(pool, next(turn), begun, now, now, observe))
            if samples[-1].status == 0:
                await asyncio.sleep(0.01)  # a port that nobody listens on refuses at once

    with _undisturbed():
        begun = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(connections)))
        seconds = time.perf_counter() - begun
    pool.close()
    return Load(samples=samples, seconds=seconds, connects=pool.connects, open_loop=False)


async def _sample(
    pool: Pool, data: bytes, begun: float, at: float, started: float, observe: Observer
) -> Sample:
    status, fault = 0, ""
    try:
        reply = await asyncio.wait_for(_given(pool.send(data)), GIVE_UP_SECONDS)
        status = reply.status
        observe(reply)
    except TimeoutError:
        fault = f"no reply within {GIVE_UP_SECONDS:.0f} s"
    except OSError as error:
        fault = type(error).__name__
    done = time.perf_counter() - begun
    return Sample(scheduled=at, started=started, done=done, status=status, fault=fault)


async def _given(reply: Awaitable[Reply]) -> Reply:
    return await reply


class _undisturbed:  # noqa: N801 (used as a statement, like contextlib's)
    """No collection of garbage meanwhile: it would make the client late."""

    def __enter__(self) -> None:
        gc.collect()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        gc.enable()
