"""Row overload: three times what can be served."""

import asyncio

from benchmarks.report import markdown
from benchmarks.serving.figures import figures
from benchmarks.serving.load import open_loop
from benchmarks.serving.rows import SATURATED, Row, Setup, saturate, spread, statuses, validity
from benchmarks.serving.running import running
from benchmarks.serving.schedule import poisson
from benchmarks.serving.sides import ours

TIMES = 3.0
PX = 500
LONGER = 4
"""So many times as long as a short load: queues must have time to fill."""
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


def measure(setup: Setup) -> str:
    """The peak and the overload in turns, on one server."""
    side, rows = ours(), []
    goodput = []
    seconds = LONGER * setup.short_seconds
    header = {ATTRIBUTES: f"deadline_ms={setup.deadline_ms}"}
    with running(side, setup.material, setup.serving_core) as server:
        requests = [side.request(p, header) for p in setup.material.pictures[PX]]
        for turn in range(1, setup.rounds + 1):
            peak = saturate(server, setup, PX, SATURATED).rate
            arrivals = poisson(TIMES * peak, seconds, seed=turn)
            load = asyncio.run(open_loop(server.port, requests, arrivals, seconds))
            found, connects = figures(load, setup.deadline_ms / 1000), load.connects
            goodput.append(found.rate / peak)
            setup.say(f"{turn}/{setup.rounds} goodput {found.rate:.1f} of {peak:.1f}")
            rows.append([
                f"{peak:.1f}", f"{TIMES * peak:.1f}", f"{found.rate:.1f}",
                f"{found.rate / peak:.0%}", f"{found.late} of {found.answers:,}",
                f"{found.answered.p99:.0f} / {found.answered.most:.0f}",
                f"{found.rejections:,}",
                f"{found.rejected.p50:.1f} / {found.rejected.p99:.1f} / {found.rejected.most:.1f}",
                str(found.errors), statuses(found),
                f"{connects.opened} / {connects.refused}, {1000 * connects.slowest_seconds:.1f} ms",
                validity(found),
            ])  # fmt: skip
    columns = ["peak, requests/s", "offered", "goodput, requests/s", "of the peak",
               "late answers", "answers' p99 / max, ms", "rejections",
               "their p50 / p99 / max, ms", "other failures", "statuses",
               "connections opened / refused, slowest",
               "valid; client late, p99 / max"]  # fmt: skip
    runtime = server.details.get("runtime", "")
    share = spread([100 * share for share in goodput], 0)
    told = f"{runtime}; callers wait {setup.deadline_ms} ms; goodput is {share} % of the peak."
    return f"{markdown(columns, rows)}\n{told}\n"


ROW = Row(
    title="Open loop at 3 times the peak",
    note="Goodput counts answers inside the deadline, which is sent with each request. Rejections "
    "are 429 and 503. Latency counts from the scheduled arrival, for rejections too. A connection "
    "is opened whenever none is free. A row is a round.",
    measure=measure,
)
