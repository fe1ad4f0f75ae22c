"""Row kills: a worker is killed every few seconds under load."""

import asyncio
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import markdown
from benchmarks.serving.figures import Figures, figures
from benchmarks.serving.load import open_loop
from benchmarks.serving.rows import SATURATED, Row, Setup, saturate, spread, statuses, validity
from benchmarks.serving.running import Running, ask, family, running
from benchmarks.serving.schedule import poisson
from benchmarks.serving.sides import ours

EVERY_SECONDS = 5.0
GIVE_UP_SECONDS = 60.0
"""A worker that is not replaced by then never is."""
SHARE = 0.5
PX = 500
POLL_SECONDS = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """One worker's end."""

    ready_seconds: float
    """Until /ping answers 200 with as many workers as before, the killed one not among them."""
    stale_seconds: float
    """Until /ping last counted the killed one as ready; 0 if it never did."""


async def _killing(server: Running, kills: int) -> list[Kill]:
    found = []
    for number in range(kills):
        await asyncio.sleep(EVERY_SECONDS if number else EVERY_SECONDS / 2)
        found.append(await asyncio.to_thread(_kill, server))
    return found


def _kill(server: Running) -> Kill:
    """Kill the busiest worker, and wait until another stands in its place."""
    members = family(server.pid)
    before = [pid for pid in members[1:] if family(pid) == [pid]]
    victim = max(before, key=cpu_ticks)
    begun, stale_seconds = time.perf_counter(), 0.0
    os.kill(victim, signal.SIGKILL)
    while True:
        state = _ping(server)
        new = [pid for pid in family(server.pid) if pid not in members and family(pid) == [pid]]
        if state is not None and _all_ready(state):
            if new:
                return Kill(ready_seconds=time.perf_counter() - begun, stale_seconds=stale_seconds)
            stale_seconds = time.perf_counter() - begun
        if time.perf_counter() - begun > GIVE_UP_SECONDS:
            return Kill(ready_seconds=float("inf"), stale_seconds=stale_seconds)
        time.sleep(POLL_SECONDS)


def cpu_ticks(pid: int) -> int:
    """How long a process was on a core; the worker that answers was there for longest."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _ping(server: Running) -> dict[str, object] | None:
    """What /ping says, if it says 200."""
    try:
        status, text = ask(server.port, "GET", "/ping", timeout=2)
    except OSError:
        return None
    return dict(json.loads(text)) if status == 200 else None


def _all_ready(state: dict[str, object]) -> bool:
    """Whether /ping counts all workers as ready; true where it does not count."""
    told = state.get("workers")
    if isinstance(told, dict) and {"ready", "total"} <= told.keys():
        return bool(told["ready"] >= told["total"])
    return True


def measure(setup: Setup) -> str:
    """Load, and kill meanwhile."""
    side = ours()
    with running(side, setup.material, setup.serving_core) as server:
        peak = saturate(server, setup, PX, SATURATED).rate
        seconds = EVERY_SECONDS * (setup.kills + 0.5)
        arrivals = poisson(SHARE * peak, seconds, seed=7)
        requests = [side.request(picture) for picture in setup.material.pictures[PX]]

        async def both() -> tuple[Figures, list[Kill]]:
            load, killed = await asyncio.gather(
                open_loop(server.port, requests, arrivals, seconds), _killing(server, setup.kills)
            )
            return figures(load), killed

        found, killed = asyncio.run(both())
    cells = [
        str(server.details.get("runtime", "")), str(len(killed)), f"{found.requests:,}",
        str(found.errors), str(found.rejections), statuses(found),
        spread([kill.ready_seconds for kill in killed], 2),
        spread([kill.stale_seconds for kill in killed], 2),
        f"{found.answered.p50:.1f} / {found.answered.p99:.1f} / {found.answered.most:.1f}",
        validity(found),
    ]  # fmt: skip
    columns = ["runtime", "kills", "requests", "failed", "rejected", "statuses",
               "seconds until all workers are ready", "seconds /ping counted the dead",
               "p50 / p99 / max, ms", "valid; client late, p99 / max"]  # fmt: skip
    return markdown(columns, [cells])


ROW = Row(
    title="kill -9 of a worker every 5 seconds",
    note="Poisson arrivals at half of the peak, pictures of 500 px, one serving core, so one "
    "worker at a time. Each kill can fail what is inside that worker: one request. Ready again "
    "means: /ping answers 200 and another worker stands in its place.",
    measure=measure,
)
