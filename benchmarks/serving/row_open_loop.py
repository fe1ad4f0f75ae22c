"""Row open-loop: 70 % of the measured peak, for long."""

import asyncio

from benchmarks.report import markdown
from benchmarks.serving.figures import figures
from benchmarks.serving.load import open_loop
from benchmarks.serving.rows import SATURATED, Row, Setup, saturate, statuses, validity
from benchmarks.serving.running import running
from benchmarks.serving.schedule import constant, poisson
from benchmarks.serving.sides import ours

SHARE = 0.7
PX = 500
SEED = 7


def measure(setup: Setup) -> str:
    """Find the peak, then load for long, once with each kind of arrivals."""
    side = ours()
    cells = []
    with running(side, setup.material, setup.serving_core) as server:
        peak = saturate(server, setup, PX, SATURATED).rate
        rate, seconds = SHARE * peak, setup.long_seconds
        requests = [side.request(picture) for picture in setup.material.pictures[PX]]
        schedules = {"evenly": constant(rate, seconds), "Poisson": poisson(rate, seconds, SEED)}
        for name, arrivals in schedules.items():
            setup.say(f"peak {peak:.1f} requests/s; {rate:.1f} for {seconds:.0f} s, {name}")
            found = figures(asyncio.run(open_loop(server.port, requests, arrivals, seconds)))
            took = found.answered
            cells.append([
                str(server.details.get("runtime", "")), name, f"{peak:.1f}", f"{rate:.1f}",
                f"{seconds:.0f}", f"{found.requests:,}",
                str(found.errors + found.rejections), statuses(found),
                f"{took.p50:.1f} / {took.p90:.1f} / {took.p99:.1f} / {took.most:.1f}",
                f"{took.p99 / took.p50:.1f}" if took.p50 else "", validity(found),
            ])  # fmt: skip
    columns = ["runtime", "arrivals", "peak, requests/s", "offered", "seconds", "requests",
               "not answered", "statuses", "p50 / p90 / p99 / max, ms", "p99 / p50",
               "valid; client late, p99 / max"]  # fmt: skip
    return markdown(columns, cells)


ROW = Row(
    title="Open loop at 70 % of the peak",
    note="Arrivals wait for no reply, and come evenly, as wrk2 and vegeta send them, or as those "
    "of many callers (Poisson), which crowd: in a queue with one server that takes as long for "
    "each (M/D/1) p99 is then 4.3 times p50. Latency counts from the scheduled arrival. Pictures "
    "of 500 px, one serving core. The peak is a closed loop just before.",
    measure=measure,
)
