"""The load tool against tiny servers that behave as they are told."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from benchmarks.serving.client import request
from benchmarks.serving.figures import figures
from benchmarks.serving.load import Load, closed_loop, open_loop
from benchmarks.serving.schedule import constant, poisson

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
PICTURE = request("POST", "/invocations", b"picture")

Answer = Callable[[int], Awaitable[bytes]]


class Counted:
    """What a tiny server has seen."""

    def __init__(self) -> None:
        self.requests = 0
        self.connections = 0
        self.arrived = asyncio.Condition()

    async def until(self, requests: int) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: self.requests >= requests)


@asynccontextmanager
async def tiny_server(seen: Counted, answer: Answer) -> AsyncIterator[int]:
    """A server that answers the nth request with `await answer(n)`; gives its port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    li for li in head.lower().split(b"\r\n") if li[:15] == b"content-length:"
                )
                await reader.readexactly(int(length.partition(b":")[2]))
                async with seen.arrived:
                    seen.requests += 1
                    number = seen.requests
                    seen.arrived.notify_all()
                text = await answer(number)
                if not text:
                    break
                writer.write(text)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def loaded(answer_of: Callable[[Counted], Answer], arrivals: list[float]) -> tuple[Load, Counted]:
    """An open-loop load against such a server."""

    async def run() -> tuple[Load, Counted]:
        seen = Counted()
        async with tiny_server(seen, answer_of(seen)) as port:
            return await open_loop(port, [PICTURE], arrivals, 0.1), seen

    return asyncio.run(run())


async def always(_: int) -> bytes:
    return OK


def test_a_server_that_stalls_does_not_slow_arrivals() -> None:
    arrivals = constant(500, 0.1)

    def answer_of(seen: Counted) -> Answer:
        given_up = asyncio.Event()

        async def answer(_: int) -> bytes:
            # Nobody is answered before all have come: a client that waits gets nothing at all.
            try:
                if not given_up.is_set():
                    await asyncio.wait_for(seen.until(len(arrivals)), 20)
            except TimeoutError:
                given_up.set()
            return b"" if given_up.is_set() else OK

        return answer

    load, seen = loaded(answer_of, arrivals)

    assert [sample.status for sample in load.samples] == [200] * len(arrivals)
    assert seen.connections == len(arrivals)


def test_latency_counts_from_the_schedule_and_not_from_the_moment_of_sending() -> None:
    held = asyncio.Event()

    def answer_of(_: Counted) -> Answer:
        async def answer(number: int) -> bytes:
            if number == 1:
                asyncio.get_running_loop().call_later(0.2, held.set)
            await held.wait()
            return OK

        return answer

    load, _ = loaded(answer_of, [0.0, 0.05, 0.1])

    by_schedule = sorted(load.samples, key=lambda sample: sample.scheduled)
    assert [sample.scheduled for sample in by_schedule] == [0.0, 0.05, 0.1]
    assert all(sample.done >= 0.2 for sample in by_schedule)
    assert figures(load).answered.most == max(1000 * (s.done - s.scheduled) for s in by_schedule)


def test_a_client_that_is_late_itself_makes_the_load_not_valid() -> None:
    load, _ = loaded(lambda _: always, [-1.0, 0.0])

    found = figures(load)
    assert found.lag.most >= 1000
    assert found.answered.most >= 1000
    assert not found.valid


def test_connections_are_kept_while_one_request_follows_another() -> None:
    async def run() -> Counted:
        seen = Counted()
        async with tiny_server(seen, always) as port:
            await closed_loop(port, [PICTURE], 2, 0.1)
        return seen

    seen = asyncio.run(run())

    assert seen.requests > seen.connections == 2


def test_rejections_are_counted_apart_from_answers_and_from_failures() -> None:
    def answer_of(_: Counted) -> Answer:
        async def answer(number: int) -> bytes:
            return {1: OK, 2: BUSY, 3: BUSY, 4: b""}.get(number, OK)

        return answer

    load, _ = loaded(answer_of, constant(100, 0.05))

    found = figures(load)
    assert (found.requests, found.answers, found.rejections, found.errors) == (5, 2, 2, 1)
    assert found.statuses == {"200": 2, "503": 2, "ConnectionResetError": 1}


def test_a_port_that_nobody_listens_on_is_counted_as_refused() -> None:
    async def run() -> Load:
        async with tiny_server(Counted(), always) as port:
            pass
        return await open_loop(port, [PICTURE], [0.0, 0.01], 0.1)

    load = asyncio.run(run())

    assert load.connects.refused == 2
    assert figures(load).statuses == {"ConnectionRefusedError": 2}


def test_a_reply_that_is_not_http_is_a_failure() -> None:
    async def answer(_: int) -> bytes:
        return b"this is no HTTP\r\n\r\n"

    load, _ = loaded(lambda _: answer, [0.0])

    assert figures(load).statuses == {"ConnectionError": 1}


@pytest.mark.parametrize("seed", [1, 2])
def test_poisson_arrivals_come_at_their_rate_and_the_same_for_a_seed(seed: int) -> None:
    arrivals = poisson(200, 50, seed)

    assert arrivals == poisson(200, 50, seed) == sorted(arrivals)
    assert arrivals[0] > 0
    assert arrivals[-1] < 50
    assert abs(len(arrivals) - 10_000) < 500
    gaps = [after - before for before, after in itertools.pairwise(arrivals)]
    # Of exponential gaps, as many are longer than the mean as 1/e says.
    assert abs(sum(gap > 1 / 200 for gap in gaps) / len(gaps) - 0.368) < 0.03


def test_constant_arrivals_are_equally_far_apart() -> None:
    assert constant(4, 1) == [0.0, 0.25, 0.5, 0.75]
