"""How many things this process may do at once, and doing them, in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """Cores that this process may use: its share of the machine, at least one.

    Counts what the scheduler and a container's quota allow, and shares it with the other
    processes that torchrun started here (`LOCAL_WORLD_SIZE`).
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    allowed = float(count or 1)
    with suppress(OSError, ValueError):
        quota, period = QUOTA_FILE.read_text(encoding="ascii").split()
        allowed = min(allowed, int(quota) / int(period))
    return max(1, int(allowed) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def side_by_side(
    make: Callable[[Item], Made], items: Iterable[Item], threads: int
) -> Iterator[Made]:
    """Make something of each item, in order, a few ahead of the one that is wanted.

    Threads are enough: Pillow, numpy, torch, hashing and files all let others run meanwhile.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
