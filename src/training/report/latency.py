"""`python -m training.report.latency MODEL`: how long a model takes for a picture.

In a process of its own, so that one thread is really one and nothing else is in its memory.
Eager fp32 at batch 1, as the plainest server would do it; servers with other runtimes are faster.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from safetensors.torch import load_file

from contract.model_card import WEIGHTS_FILE, read_card
from contract.network import build_classifier
from contract.preprocessing import eval_view
from contract.strict import ContractError
from training.machine import machine

WARM_UPS = 3
REPEATS = 30
SECONDS = 10.0
"""After which no further repeat begins."""
TIMEOUT_SECONDS = 300


def measure_latency(model_dir: Path) -> dict[str, Any]:
    """Time a model in a child process.

    Returns:
        `picture` and `network`, each with `median_ms`, `least_ms`, `most_ms` and `repeats`; and
        `machine`.

    Raises:
        ContractError: the child failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "training.report.latency", str(model_dir)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ContractError(f"the model's latency cannot be measured: {last}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def timed(do: Callable[[], object]) -> dict[str, float]:
    """Repeat something and say how long it takes, in milliseconds."""
    for _ in range(WARM_UPS):
        do()
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < SECONDS:
        started = time.perf_counter()
        do()
        times.append(time.perf_counter() - started)
    return {
        "median_ms": 1e3 * median(times),
        "least_ms": 1e3 * min(times),
        "most_ms": 1e3 * max(times),
        "repeats": len(times),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print one JSON object."""
    folder = Path((sys.argv[1:] if argv is None else argv)[0])
    torch.set_num_threads(1)
    card = read_card(folder)
    classifier = build_classifier(card.network, len(card.classes))
    classifier.load_state_dict(load_file(folder / WEIGHTS_FILE))
    classifier.eval()
    data = (folder / card.golden.file).read_bytes()
    image_BCSS = torch.from_numpy(eval_view(data, card.input))[None]
    with torch.inference_mode():
        found = {
            "picture": timed(lambda: eval_view(data, card.input)),
            "network": timed(lambda: classifier(image_BCSS)),
            "machine": machine(),
        }
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
