"""`--profile` says where time goes and changes nothing else."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.stages import Waiting, clock, stage

Folder = Callable[..., Path]
Run = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("method", ["head", "finetune"])
def test_a_profile_has_traces_stages_and_operators_and_the_same_model(
    method: str, folder: Folder, run: Run
) -> None:
    data = folder(train=6, valid=2)
    settings = [f"--method={method}", "--epochs=2", "--batch-size=6"]
    plain = run(data, *settings, name="plain")

    timed = run(data, *settings, "--profile", name="timed")

    assert timed["card"] == plain["card"]
    found = json.loads((timed["output"] / "profile.json").read_text())
    assert {"waiting", "forward", "backward", "optimizer", "evaluation"} <= {
        row["stage"] for row in found["training"]
    }
    assert {row["stage"] for row in found["answering"]} == {
        "read", "decode", "resize", "normalise", "forward"
    }  # fmt: skip
    assert sum(row["share"] for row in found["training"]) == pytest.approx(1)
    assert found["steps"] == 5
    assert any("conv" in row["operator"] or "mm" in row["operator"] for row in found["operators"])
    for trace in found["traces"]:
        events = json.loads((timed["output"] / trace).read_text())["traceEvents"]
        assert any(event.get("name") == "forward" for event in events)
    told = next(event for event in timed["events"] if event["event"] == "profile")
    assert told["training"] == found["training"]


def test_a_stage_counts_without_the_stages_inside_it() -> None:
    with clock() as run, stage("outer"), stage("inner"):
        started = time.perf_counter()
        while time.perf_counter() - started < 0.02:
            pass

    assert run.calls == {"inner": 1, "outer": 1}
    assert run.seconds["outer"] < run.seconds["inner"]


def test_waiting_hands_every_item_on() -> None:
    waiting = Waiting(iter("abc"))

    assert list(waiting) == ["a", "b", "c"]
    assert waiting.seconds > 0
