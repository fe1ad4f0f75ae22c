"""Row path: caller to function to endpoint and back, beside the bare forward pass."""

import json
import os
import subprocess
import sys
from statistics import median

from benchmarks.report import markdown
from benchmarks.serving.figures import times
from benchmarks.serving.material import ROOT
from benchmarks.serving.row_runtimes import PX, forward
from benchmarks.serving.rows import Row, Setup

REGION = "us-east-1"
LONGER = 3
"""So many times as long as a short load."""


def measure(setup: Setup) -> str:
    """Deploy to a local AWS of its own, ask, and take it down."""
    home, material = setup.material.home, setup.material
    settings = json.loads((ROOT / "config" / "local.tfvars.json").read_text())
    settings["notebook"]["enabled"] = False  # it is not on the path
    file, folder = home / "path-settings.json", home / "local"
    file.write_text(json.dumps(settings), encoding="utf-8")
    for made in ("release.tfvars.json", "stack.json"):
        (material.build / made).unlink(missing_ok=True)
    bare = [forward(material, "", setup.serving_core, setup.short_seconds)]
    local_aws = [sys.executable, "-m", "localaws"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MAKE"))}
    environment |= {
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "TF_IN_AUTOMATION": "1",
        "TF_CLI_CONFIG_FILE": str(ROOT / "build" / "terraform.rc"),
        "PATH": f"{ROOT / 'build' / 'bin'}:{os.environ['PATH']}",
    }  # fmt: skip
    # It is everyone's machine: what the path is made of may use all cores, as on a laptop.
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        run = subprocess.run(
            [*local_aws, "run", "--folder", str(folder), "--region", REGION, "--",
             sys.executable, "-m", "benchmarks.serving.path", "--build", str(material.build),
             "--settings", str(file), "--picture", str(home / "pictures" / f"{PX}-0.jpg"),
             "--seconds", str(LONGER * setup.short_seconds)],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    finally:
        subprocess.run(
            [*local_aws, "down", "--folder", str(folder)], cwd=ROOT, env=environment, check=True,
            stdout=sys.stderr,
        )  # fmt: skip
        os.sched_setaffinity(0, cores)
    bare.append(forward(material, "", setup.serving_core, setup.short_seconds))
    took = times(json.loads(run.stdout.splitlines()[-1])["seconds"])
    forward_ms = 1000 * median(one["forward_seconds"] for one in bare)
    setup.say(f"path p50 {took.p50:.1f} ms, forward {forward_ms:.1f} ms")
    cells = [
        bare[0]["runtime"], " and ".join(f"{1000 * one['forward_seconds']:.2f}" for one in bare),
        f"{took.p50:.1f} / {took.p90:.1f} / {took.p99:.1f}", f"{took.p50 / forward_ms:.2f}",
    ]  # fmt: skip
    columns = ["runtime", "bare forward before and after, ms", "path's p50 / p90 / p99, ms",
               "path's p50 / forward"]  # fmt: skip
    return markdown(columns, [cells])


ROW = Row(
    title="The whole local path",
    note="`make apply` to a local AWS of its own, then one caller: boto3's Invoke, the gateway "
    "with its checks, the function's process, InvokeEndpoint, the serving process, and back, "
    "warm, with a JPEG of 500 px in base64. All processes share the machine's cores. The bare "
    "forward pass is measured on one core before and after.",
    measure=measure,
)
