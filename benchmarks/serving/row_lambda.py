"""Row lambda: what the function's import costs, which is most of its cold start."""

import json
import os
import subprocess
import sys

from benchmarks.report import markdown
from benchmarks.serving.material import ROOT
from benchmarks.serving.rows import Row, Setup, spread

STARTS = 7
_PROBE = """
import os, sys, json, time
before, wall = os.times(), time.perf_counter()
import handler
wall = time.perf_counter() - wall
after = os.times()
cpu = after.user + after.system - before.user - before.system
with open("/proc/self/status") as file:
    peak_mb = next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1000
print(json.dumps({"cpu": cpu, "wall": wall, "modules": len(sys.modules), "mb": peak_mb}))
"""
_ENVIRONMENT = {
    "ENDPOINT_NAME": "kennel", "ENDPOINT_TIMEOUT_SECONDS": "20", "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "unused", "AWS_SECRET_ACCESS_KEY": "unused",
    "AWS_LAMBDA_FUNCTION_NAME": "kennel",
}  # fmt: skip


def measure(setup: Setup) -> str:
    """Import the handler in new processes."""
    found = []
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PYTHON"))}
    for _ in range(STARTS):
        run = subprocess.run(
            ["taskset", "-c", str(setup.serving_core), sys.executable, "-c", _PROBE],
            env=environment | _ENVIRONMENT | {"PYTHONPATH": str(ROOT / "src" / "lambda")},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.append(json.loads(run.stdout.splitlines()[-1]))
    setup.say(f"handler: {found[-1]}")
    cells = [
        spread([1000 * each["cpu"] for each in found], 0),
        spread([1000 * each["wall"] for each in found], 0),
        str(found[0]["modules"]),
        spread([each["mb"] for each in found], 0),
    ]
    columns = ["import, CPU ms", "import, ms by the clock", "modules", "largest memory, MB"]
    return markdown(columns, [cells])


ROW = Row(
    title="The function's cold start",
    note=f"`import handler` in {STARTS} new processes on one whole core; its client of the "
    "endpoint is made there. A function of 512 MB has about 0.3 of a core.",
    measure=measure,
)
