"""`--profile`: where the time of a run goes.

Writes into the run's folder: profile/steps.json and profile/pictures.json, traces that
chrome://tracing and ui.perfetto.dev open, and profile.json, the tables of the report.

B = pictures in a batch, C = 3 channels (RGB), S = side of the network's input in pixels.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from contract.model_card import InputSpec
from contract.preprocessing import decode, eval_pixels, normalise
from training.data import Picture
from training.loop import Watcher
from training.runlog import RunLog
from training.stages import Clock, clock, stage
from training.state import State

PROFILE_FILE = "profile.json"
TRACES = "profile"
STEPS = 5
"""Traced, after a first one that warms up."""
PICTURES = 16
OPERATORS = 15
"""Shown, those that take most time themselves."""


class Profile(Watcher):
    """Traces some steps of a run and writes the tables at its end."""

    def __init__(self, folder: Path, run: Clock, log: RunLog) -> None:
        self.folder = folder
        self.run = run
        self.log = log
        self.steps = 0
        self.trace: Any = None
        self.operators: list[dict[str, Any]] = []
        self.traces: list[str] = []
        (folder / TRACES).mkdir(parents=True, exist_ok=True)

    def after_step(self, state: State, loss: Tensor) -> None:  # noqa: ARG002  # as every watcher
        """Begin to trace after the first step and stop after some more."""
        if self.steps == 0:
            self.trace = _profiler()
            self.trace.start()
        elif self.steps == STEPS:
            self.stop()
        self.steps += 1

    def stop(self) -> None:
        """Write the trace of the steps, if there is one that goes on."""
        if self.trace is not None:
            self.trace.stop()
            self.operators = operators(self.trace)
            self.traces.append(_export(self.trace, self.folder, "steps"))
            self.trace = None

    def finish(self, network: nn.Module, pictures: Sequence[Picture], spec: InputSpec) -> None:
        """Trace a few pictures on their way to an answer, write the tables and say them.

        Args:
            network: trained.
            pictures: to take some of.
            spec: what the network expects.
        """
        self.stop()
        some = pictures[:PICTURES]
        with clock() as answering, _profiler() as trace:
            answer_slowly(network, some, spec)
        self.traces.append(_export(trace, self.folder, "pictures"))
        found = {
            "steps": max(0, min(self.steps - 1, STEPS)),
            "pictures": len(some),
            "training": stages(self.run),
            "answering": stages(answering),
            "operators": self.operators or operators(trace),
            "traces": self.traces,
        }
        text = json.dumps(found, indent=2) + "\n"
        (self.folder / PROFILE_FILE).write_text(text, encoding="utf-8")
        self.log.event("profile", table(found), **found)


@contextmanager
def profiled(folder: Path, log: RunLog) -> Iterator[Profile]:
    """Time the stages of what is done inside; whoever enters it must call `finish`."""
    with clock() as run:
        yield Profile(folder, run, log)


def answer_slowly(network: nn.Module, pictures: Sequence[Picture], spec: InputSpec) -> None:
    """Answer pictures one stage after the other, so that each can be timed."""
    device = next(network.parameters()).device
    network.eval()
    for picture in pictures:
        with stage("read"):
            data = picture.path.read_bytes()
        with stage("decode"):
            image = decode(data, spec.resize_px)
        with stage("resize"):
            pixels_SSC = eval_pixels(image, spec)
        with stage("normalise"):
            image_CSS = torch.from_numpy(normalise(pixels_SSC, spec))
        with stage("forward"), torch.inference_mode():
            network(image_CSS[None].to(device))


def stages(clock: Clock) -> list[dict[str, Any]]:
    """What a clock has summed, the longest first."""
    total = sum(clock.seconds.values()) or 1.0
    ranked = sorted(clock.seconds.items(), key=lambda item: -item[1])
    return [
        {"stage": name, "calls": clock.calls[name], "seconds": seconds, "share": seconds / total}
        for name, seconds in ranked
    ]


def operators(trace: Any) -> list[dict[str, Any]]:
    """The operators that took most time themselves, on the GPU where there is one."""
    device = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    ranked = sorted(trace.key_averages(), key=lambda event: -getattr(event, device))
    return [
        {
            "operator": event.key,
            "calls": event.count,
            "cpu_ms": event.self_cpu_time_total / 1e3,
            "gpu_ms": event.self_device_time_total / 1e3,
        }
        for event in ranked[:OPERATORS]
    ]


def table(found: dict[str, Any]) -> str:
    """The tables for people."""
    lines = ["where the time went:"]
    for title, key in (("in training", "training"), ("in answering a picture", "answering")):
        for row in found[key]:
            lines.append(
                f"  {title}: {row['stage']:<10} {row['seconds']:9.3f} s {row['share']:6.1%}"
            )
    lines += [
        f"  {row['operator']:<40} {row['calls']:6} calls {row['cpu_ms']:9.1f} ms"
        for row in found["operators"][:5]
    ]
    return "\n".join(lines)


def _profiler() -> Any:
    gpu = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    return profile(activities=[ProfilerActivity.CPU, *gpu])


def _export(trace: Any, folder: Path, name: str) -> str:
    """Write a trace; its path within the folder."""
    trace.export_chrome_trace(str(folder / TRACES / f"{name}.json"))
    return f"{TRACES}/{name}.json"
