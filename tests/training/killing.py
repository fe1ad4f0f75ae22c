"""Kills training runs with SIGKILL at chosen and at random moments, and lets them go on.

A program of its own: it imports torch once, and each run is a child that is forked from it, a real
process that really dies. `python tests/training/killing.py DATA FOLDER METHOD KILLS SEED` prints
what became of the runs as JSON.
"""

import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import torch

from training.checkpoints import TornError, read_whole
from training.main import main

SETTINGS = [
    "--weights=random", "--backbone=shufflenet_v2_x0_5", "--image-size-px=32", "--batch-size=4",
    "--checkpoint-seconds=0",
]  # fmt: skip
METHODS = {
    "head": ["--method=head", "--hidden-units=4", "--epochs=4"],
    "finetune": [
        "--method=finetune", "--epochs=2", "--ema-decay=0.9", "--learning-rate=0.01",
        "--accumulate=2", "--schedule=cosine",
    ],
}  # fmt: skip
PLACES = [
    ("answers", 1), ("save_file", 1), ("save_file", 4), ("sign", 2), ("replace", 3), ("sync", 3),
    ("keep_best", 2), ("export", 1), ("write_golden", 1), ("write_card", 1), ("remove", 1),
]  # fmt: skip
"""Functions of ours, and which call of them is the last thing a run does."""


class Killer:
    """Counts what the main thread calls and returns from, and kills this process in time."""

    def __init__(self, at: int = 0, place: tuple[str, int] = ("", 0)) -> None:
        self.at = at
        self.place = place
        self.events = 0
        self.calls = 0
        self.first_step = 0

    def __call__(self, frame: FrameType, event: str, _argument: object) -> None:
        self.events += 1
        code: CodeType = frame.f_code
        if event == "call" and code.co_name == "begin" and "saving" in code.co_filename:
            self.first_step = self.events
        if event == "call" and code.co_name == self.place[0] and counts(code.co_filename):
            self.calls += 1
        if self.events == self.at or (self.place[1] and self.calls == self.place[1]):
            os.kill(os.getpid(), signal.SIGKILL)


def counts(file: str) -> bool:
    """Whether functions in a file are ours, or write files for us."""
    return any(part in file for part in ("/training/", "safetensors", "pathlib", "/contract/"))


def attempt(arguments: list[str], log: Path, killer: Killer) -> tuple[int, dict[str, int]]:
    """One run in a child process.

    Returns:
        Its exit code, or minus the signal that ended it, and what it counted.
    """
    counted = log.with_suffix(".counted")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with log.open("a") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            sys.setprofile(killer)
            code = main(arguments)
            sys.setprofile(None)
            counts = {"events": killer.events, "first_step": killer.first_step}
            counted.write_text(json.dumps(counts))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code, json.loads(counted.read_text()) if code == 0 else {}


def outcome(folder: Path) -> dict[str, Any]:
    """What a run has left."""
    lines = (folder / "output" / "metrics.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    told = [
        {name: value for name, value in event.items() if name != "seconds"}
        for event in events
        if event["event"] == "epoch"
    ]
    return {
        "card": (folder / "model" / "model.json").read_text(),
        "epochs": told,
        "checkpoints": sorted(p.name for p in (folder / "checkpoints").glob("*")),
        "model": sorted(p.name for p in (folder / "model").iterdir()),
    }


def not_whole(folder: Path) -> list[str]:
    """The checkpoints that a run has left torn; a half-written file has another name."""
    torn = []
    for path in folder.glob("*.safetensors"):
        try:
            read_whole(path)
        except (TornError, ValueError, KeyError) as error:
            torn.append(f"{path}: {error}")
    return torn


def kill_and_go_on(data: str, root: Path, method: str, kills: int, seed: int) -> dict[str, Any]:
    """Kill a method's runs until so many have died; each run that ended is compared."""

    def folder(name: str) -> Path:
        (root / name).mkdir(parents=True)
        return root / name

    def arguments(home: Path) -> list[str]:
        return [
            f"--data={data}", f"--model-dir={home / 'model'}", f"--output-dir={home / 'output'}",
            f"--checkpoint-dir={home / 'checkpoints'}", f"--cache-dir={home / 'cache'}",
            *SETTINGS, *METHODS[method],
        ]  # fmt: skip

    home = folder("whole")
    code, counted = attempt(arguments(home), home / "log", Killer())
    wanted = outcome(home) if code == 0 else {}
    chance, places = random.Random(seed), list(PLACES)
    died, ended, wrong, torn, log = 0, 0, [], [], ""
    while died < kills:
        home = folder(f"run{ended}")
        code = -signal.SIGKILL
        while code == -signal.SIGKILL and died < kills:
            if places:
                killer = Killer(place=places.pop(0))
            else:
                killer = Killer(at=chance.randint(counted["first_step"] // 2, counted["events"]))
            code, _ = attempt(arguments(home), home / "log", killer)
            died += code == -signal.SIGKILL
            torn += not_whole(home / "checkpoints")
        if code == -signal.SIGKILL:
            code, _ = attempt(arguments(home), home / "log", Killer())
        ended += 1
        if code != 0 or outcome(home) != wanted:
            wrong.append({"run": str(home), "code": code})
            log = (home / "log").read_text()[-3000:]
        else:
            shutil.rmtree(home)
    about = {
        "died": died,
        "ended": ended,
        "wrong": wrong,
        "torn": torn,
        "log": log,
        "places": len(places),
    }
    return {**about, **wanted, **counted}


if __name__ == "__main__":
    torch.set_num_threads(1)
    data, root, method, kills, seed = sys.argv[1:]
    print(json.dumps(kill_and_go_on(data, Path(root), method, int(kills), int(seed))))  # noqa: T201
