"""Row runtimes: the bare forward pass in each precision, and what the core could do."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from typing import Any

from benchmarks.report import markdown
from benchmarks.serving.material import ROOT, Material
from benchmarks.serving.rows import Row, Setup, spread

from contract.strict import ContractError

EAGER = "eager torch"
WAYS = (EAGER, "fp32", "bf16", "int8")
PX = 500


def forward(
    material: Material, way: str, core: int, seconds: float, *, compare: bool = False
) -> dict[str, Any]:
    """What benchmarks.serving.forward says of one way to run the network, on a core.

    Raises:
        ContractError: this precision is not to be had here.
    """
    picture = material.home / "pictures" / f"{PX}-0.jpg"
    eager = way == EAGER
    run = subprocess.run(
        ["taskset", "-c", str(core), sys.executable, "-m", "benchmarks.serving.forward",
         str(material.home), str(picture), "--seconds", str(seconds),
         *(["--eager"] if eager else []), *(["--compare"] if compare else [])],
        env=os.environ | {
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PRECISION": "" if eager else way,
        },
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    if run.returncode != 0:
        raise ContractError(run.stderr.strip().splitlines()[-1])
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    if not eager and way not in found["runtime"]:
        raise ContractError(f"{way} was asked for; the model runs as {found['runtime']}.")
    return found


def measure(setup: Setup) -> str:
    """Every way in turn, `rounds` times."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    absent: dict[str, str] = {}
    for turn in range(1, setup.rounds + 1):
        for way in WAYS:
            if way in absent:
                continue
            try:
                one = forward(
                    setup.material, way, setup.serving_core, setup.short_seconds, compare=turn == 1
                )
            except ContractError as error:
                absent[way] = str(error)
                continue
            found[way].append(one)
            setup.say(f"{turn}/{setup.rounds} {way}: {1000 * one['forward_seconds']:.1f} ms")
    rows = [_cells(way, many, found.get(EAGER, [])) for way, many in found.items()]
    columns = ["precision", "runtime", "forward, ms", "times eager torch", "8 at once, ms each",
               "decode, ms",
               "reached, GFLOP/s", "core's peak, GFLOP/s", "by", "share of the peak",
               "top-1 as fp32"]  # fmt: skip
    gone = "".join(f"\nAbsent: {way}: {why}\n" for way, why in absent.items())
    return markdown(columns, rows) + gone


def _cells(way: str, many: list[dict[str, Any]], base: list[dict[str, Any]]) -> list[str]:
    reached = [one["flops"] / one["forward_seconds"] / 1e9 for one in many]
    share = [100 * r * 1e9 / one["peak"] for r, one in zip(reached, many, strict=True)]
    faster = [b["forward_seconds"] / o["forward_seconds"] for o, b in zip(many, base, strict=False)]
    return [
        way, many[0]["runtime"], spread([1000 * one["forward_seconds"] for one in many], 2),
        spread(faster) if faster else "",
        spread([1000 * o["batched_seconds"] for o in many], 2) if way != EAGER else "",
        spread([1000 * one["decode_seconds"] for one in many], 2),
        spread(reached, 0), spread([one["peak"] / 1e9 for one in many], 0), many[0]["peak_by"],
        f"{spread(share, 0)} %", f"{many[0]['agreement']:.1%}",
    ]  # fmt: skip


ROW = Row(
    title="Runtimes: the bare forward pass, one core",
    note="No HTTP. Median of one forward pass at a time of one picture; beside it, one picture's "
    "share of a forward pass of eight. Operations are counted by "
    "torch, an addition and a multiplication apart. The core's peak is the fastest product of two "
    "matrices of 2,048 x 2,048 at that precision, by torch or OpenVINO, whichever is faster, in "
    "the same process. Decode is from a JPEG of 500 px to the network's input.",
    measure=measure,
)
