"""Row open-loop: 70 % of the measured peak, for long."""

import asyncio

from benchmarks.report import markdown
from benchmarks.serving.figures import figures
from benchmarks.serving.load import open_loop
from benchmarks.serving.rows import SATURATED, Row, Setup, saturate, statuses, validity
from benchmarks.serving.running import running
from benchmarks.serving.schedule import poisson
from benchmarks.serving.sides import ours

SHARE = 0.7
PX = 500
SEED = 7


def measure(setup: Setup) -> str:
    """Find the peak, then load for long."""
    side = ours()
    with running(side, setup.material, setup.serving_core) as server:
        peak = saturate(server, setup, PX, SATURATED).rate
        rate = SHARE * peak
        setup.say(f"peak {peak:.1f} requests/s; {rate:.1f} for {setup.long_seconds:.0f} s")
        arrivals = poisson(rate, setup.long_seconds, SEED)
        requests = [side.request(picture) for picture in setup.material.pictures[PX]]
        load = open_loop(server.port, requests, arrivals, setup.long_seconds)
        found = figures(asyncio.run(load))
    took = found.answered
    cells = [
        str(server.details.get("runtime", "")), f"{peak:.1f}", f"{rate:.1f}",
        f"{setup.long_seconds:.0f}", f"{found.requests:,}",
        str(found.errors + found.rejections), statuses(found),
        f"{took.p50:.1f} / {took.p90:.1f} / {took.p99:.1f} / {took.most:.1f}",
        f"{took.p99 / took.p50:.1f}" if took.p50 else "", validity(found),
    ]  # fmt: skip
    columns = ["runtime", "peak, requests/s", "offered", "seconds", "requests", "not answered",
               "statuses", "p50 / p90 / p99 / max, ms", "p99 / p50",
               "valid; client late, p99 / max"]  # fmt: skip
    return markdown(columns, [cells])


ROW = Row(
    title="Open loop at 70 % of the peak",
    note="Poisson arrivals that wait for no reply; latency counts from the scheduled arrival. "
    "Pictures of 500 px, one serving core. The peak is a closed loop just before.",
    measure=measure,
)
