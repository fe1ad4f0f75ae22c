"""Row (b): a search of 20 trials."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from benchmarks.training.course import as_written, repaired
from benchmarks.training.rows import Outcome, Row, Setup, Side

TRIALS = 20
SPACE = {
    "learning_rate": {"kind": "float", "low": 0.001, "high": 0.1, "scale": "log"},
    "batch_size": {"kind": "choice", "values": [32, 64, 128, 256, 512]},
}
"""What the course searches."""


def ours(setup: Setup, views: int) -> Outcome:
    """`make tune` from a folder of JPEGs to the written hyperparameters, the cache empty."""
    settings = {
        "backbone": setup.backbone,
        "image_size_px": setup.image_size_px,
        "epochs": setup.epochs,
        "batch_size": setup.batch_size,
        "learning_rate": setup.learning_rate,
        "views": views,
        "seed": setup.seed,
    }
    inputs = {"hyperparameters": settings, "search-space": {"trials": TRIALS, "space": SPACE}}
    options = [f"--data={setup.data}", f"--weights={setup.weights}", "--workers=1"]
    for name, content in inputs.items():
        path = setup.scratch / f"{name}.json"
        path.write_text(json.dumps(content))
        options.append(f"--{name}={path}")
    for name in ("folder", "cache-dir"):
        options.append(f"--{name}={setup.scratch / name}")
    env = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}

    started = time.perf_counter()
    command = [sys.executable, "-m", "training.tuning", *options]
    done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - started

    events = [json.loads(line) for line in done.stdout.splitlines()]
    trials = [event for event in events if event["event"] == "trial"]
    later = sorted(event["seconds"] for event in trials[1:])
    facts = {
        "valid_loss": events[-1]["best_valid_loss"],
        "trials": len(trials),
        "seconds_of_a_later_trial": later[len(later) // 2],
    }
    return Outcome(seconds=seconds, facts=facts)


def of_course(loop: Callable[[Setup], Outcome]) -> Callable[[Setup], Outcome]:
    """Twenty trainings, by the time of one: no hyperparameter of theirs changes it."""

    def measure(setup: Setup) -> Outcome:
        one = loop(setup)
        facts = {"valid_loss": one.facts["valid_loss"], "trials": TRIALS}
        return replace(one, seconds=TRIALS * one.seconds, facts=facts)

    return measure


ROW = Row(
    title="(b) A search of 20 trials",
    note="The loop's side is 20 times one training, which takes the same time whatever is tried; "
    "its validation loss is that one's. Ours is `make tune` as a whole: it starts its processes, "
    "reads and checks every file, computes features into an empty cache, tries 20 settings of "
    "learning rate and batch size, and writes the best ones and the report.",
    sides=(
        Side(name="the loop as written", measure=of_course(as_written)),
        Side(name="the loop repaired", measure=of_course(repaired)),
        Side(name="ours, a view for each epoch", measure=lambda s: ours(s, s.epochs)),
        Side(name="ours, one view", measure=lambda s: ours(s, 1)),
    ),
    against=("the loop as written", "the loop repaired"),
)
