"""The queue: order, bounds and deadlines, by a clock that stands still."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from contract.messages import RequestError
from inference.jobs import Job, Queue


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Worker:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.took: list[Job] = []

    def take(self, job: Job) -> None:
        self.took.append(job)


def job(deadline: float = 1000.0) -> Job:
    answer = asyncio.get_running_loop().create_future()
    return Job(head={}, body=b"", deadline=deadline, answer=answer)


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(RequestError) as caught:
        call(*arguments)
    return caught.value.code


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_an_idle_worker_gets_the_next_job_and_the_rest_wait_in_order() -> None:
    async def check() -> None:
        queue, worker = Queue(5, Clock()), Worker()
        queue.free(worker)
        first, second, third = job(), job(), job()

        for each in (first, second, third):
            queue.offer(each)
        waiting = len(queue)
        queue.free(worker, 0.1)
        queue.free(worker, 0.1)

        assert (worker.took, waiting) == ([first, second, third], 2)

    run(check())


def test_a_full_queue_refuses_and_keeps_what_it_took() -> None:
    async def check() -> None:
        queue, worker = Queue(2, Clock()), Worker()
        kept = [job(), job()]
        for each in kept:
            queue.offer(each)

        assert code_of(queue.check, 1000.0) == "unavailable"
        assert code_of(queue.offer, job()) == "unavailable"
        queue.free(worker)
        queue.free(worker)
        assert worker.took == kept

    run(check())


def test_a_job_whose_time_is_over_is_answered_and_never_given_to_a_worker() -> None:
    async def check() -> None:
        clock, worker = Clock(), Worker()
        queue = Queue(5, clock)
        late, good = job(deadline=101.0), job(deadline=200.0)
        queue.offer(late)
        queue.offer(good)

        clock.seconds = 101.0
        queue.free(worker)

        assert worker.took == [good]
        error = late.answer.result()
        assert isinstance(error, RequestError)
        assert error.code == "timeout"

    run(check())


def test_a_request_that_would_surely_come_too_late_is_refused_at_once() -> None:
    async def check() -> None:
        clock, worker = Clock(), Worker()
        queue = Queue(50, clock)
        queue.free(worker)
        queue.offer(job())
        for _ in range(40):  # ten seconds each, as it turns out
            queue.offer(job())
            queue.free(worker, 10.0)

        assert code_of(queue.check, clock() + 15.0) == "unavailable"
        queue.check(clock() + 25.0)

    run(check())


def test_slow_requests_of_before_do_not_close_an_idle_server() -> None:
    async def check() -> None:
        clock, worker = Clock(), Worker()
        queue = Queue(5, clock)
        for _ in range(40):
            queue.free(worker, 10.0)
        hurried = job(deadline=clock() + 0.1)

        queue.offer(hurried)

        assert worker.took == [hurried]

    run(check())


def test_a_request_whose_caller_left_is_not_worked_on() -> None:
    async def check() -> None:
        queue, worker = Queue(5, Clock()), Worker()
        left, stays = job(), job()
        queue.offer(left)
        queue.offer(stays)

        queue.leave(left)
        queue.free(worker)

        assert worker.took == [stays]

    run(check())


def test_a_worker_that_is_gone_gets_nothing() -> None:
    async def check() -> None:
        queue, gone, here = Queue(5, Clock()), Worker(), Worker()
        queue.free(gone)
        queue.remove(gone)
        waits = job()

        queue.offer(waits)
        queue.free(here)

        assert (gone.took, here.took) == ([], [waits])

    run(check())


def test_past_time_is_refused_before_anything_else() -> None:
    async def check() -> None:
        clock = Clock()
        queue = Queue(5, clock)
        queue.free(Worker())

        assert code_of(queue.check, clock()) == "timeout"

    run(check())
