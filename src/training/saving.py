"""Saves a run's state while it trains, and takes it up again."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training import processes
from training.checkpoints import Checkpoint, Checkpoints, parse_checkpoint
from training.loop import Epoch, Watcher
from training.runlog import RunLog
from training.state import State
from training.stopping import StopError, Stopping

START = (1, 0)
"""Epoch, and steps made in it, of a run that has not begun."""
METRICS = "metrics.jsonl"


class Saver(Watcher):
    """Writes a checkpoint after each epoch, each so many seconds, and when the run is stopped."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        stopping: Stopping,
        seconds: float,
        epochs: int,
        figures: Path,
        log: RunLog,
    ) -> None:
        """Look for a checkpoint of this run.

        Args:
            checkpoints: of this run.
            stopping: says when to stop.
            seconds: longest time between two checkpoints.
            epochs: of the whole run.
            figures: folder of what was measured to choose precision and compiling; it is part of
                a checkpoint, so that the run goes on as it began.
            log: is told; what it has said is part of a checkpoint.
        """
        self.checkpoints = checkpoints
        self.stopping = stopping
        self.seconds = seconds
        self.epochs = epochs
        self.figures = figures
        self.log = log
        self.writes = processes.number() == 0
        self.found: Checkpoint | None = None
        if content := processes.told_by_first(checkpoints.newest() if self.writes else b""):
            self.found = parse_checkpoint(content)
            restore(figures, self.found.position["figures"])
        self.state: State | None = None
        self.written = START
        self.last = time.monotonic()

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Write a last checkpoint when a stop ends the block, and remove all when it ends well."""
        try:
            yield
        except StopError as stop:
            self.stopping.over = True
            moved = self.state is not None and self.written != position(self.state)
            if self.state is not None and moved and stop.between_steps:
                self.write(self.state)
            if self.written != START:
                stop.goes_on_from = where(self.written, self.epochs)
            raise
        finally:
            self.stopping.held = False
        if self.writes:
            self.checkpoints.remove()

    def begin(self, state: State) -> None:
        """Load the newest checkpoint, if there is one of this run; signals wait from now on."""
        if self.found is not None:
            found, self.found = self.found, None
            self.log.go_on_after(found.tensors[METRICS].numpy().tobytes())
            state.load_state_dict(unpacked(found.position["state"], found.tensors))
            self.log.event(
                "resumed",
                f"going on from {where(position(state), self.epochs)}, as a checkpoint left it",
                epoch=state.epoch,
                step=state.step,
                checkpoint=found.number,
            )
        self.state, self.written = state, position(state)
        self.stopping.hold(state.epoch <= self.epochs)

    def after_step(self, state: State, loss: Tensor) -> None:  # noqa: ARG002 - a hook
        """Save when it is time, or when somebody wants the run to end."""
        asked = self.stopping.asked is not None
        if processes.any_of(asked) and not asked:
            self.stopping.ask("another process was asked to end")
            asked = True
        if asked or time.monotonic() - self.last >= self.seconds:
            self.write(state)
        if asked:
            processes.any_of(True)  # all leave when the checkpoint is written
            self.stopping.hold(False)

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Between the last step of an epoch and its verdict, a signal need not wait."""
        self.stopping.hold(False)
        try:
            yield
        finally:
            self.stopping.hold(True)

    def after_epoch(self, state: State, epoch: Epoch) -> None:  # noqa: ARG002 - a hook
        """Save; after the last epoch signals are heard at once again."""
        self.write(state)
        self.stopping.hold(state.epoch <= self.epochs and self.stopping.asked is None)

    def write(self, state: State) -> None:
        """Write a checkpoint of the state as it is now."""
        self.last = time.monotonic()
        self.written = position(state)
        if not self.writes:
            return
        tensors: dict[str, Tensor] = {}
        packed = {"state": pack(state.state_dict(), tensors), "figures": kept(self.figures)}
        tensors[METRICS] = torch.frombuffer(bytearray(self.log.said()), dtype=torch.uint8)
        path = self.checkpoints.write(packed, tensors)
        self.log.note(
            "checkpoint",
            epoch=state.epoch,
            step=state.step,
            file=str(path),
            seconds=round(time.monotonic() - self.last, 3),
        )


def position(state: State) -> tuple[int, int]:
    """Where a run is."""
    return state.epoch, state.step


def where(place: tuple[int, int], epochs: int) -> str:
    """An epoch and the steps made in it, in words."""
    epoch, step = place
    if epoch > epochs:
        return "the end of the last epoch"
    return f"epoch {epoch}" + (f", step {step + 1}" if step else "")


def kept(folder: Path) -> dict[str, str]:
    """The small files of a folder, by name."""
    return {path.name: path.read_text() for path in sorted(folder.glob("*.json"))}


def restore(folder: Path, files: Mapping[str, str]) -> None:
    """Put files back into a folder that lacks them, as that of another machine does."""
    for name, text in files.items():
        path = folder / Path(name).name
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def pack(value: Any, tensors: dict[str, Tensor], name: str = "") -> dict[str, Any]:
    """Take a state apart into what JSON can hold and tensors.

    Args:
        value: a tensor, a number, a text, nothing, or dicts and lists of them.
        tensors: is given the tensors, by where they were.
        name: where the value is.
    """
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name, "strides": value.stride()}
    if isinstance(value, Mapping):
        return {"dict": [[k, pack(v, tensors, f"{name}.{k}".strip("."))] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [pack(v, tensors, f"{name}.{k}") for k, v in enumerate(value)]}
    return {"value": value}


def unpacked(packed: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """Undo `pack`; tensors have the memory layout they had, so that sums have the same order."""
    if "tensor" in packed:
        stored = tensors[packed["tensor"]]
        laid = torch.empty_strided(stored.shape, packed["strides"], dtype=stored.dtype)
        return laid.copy_(stored)
    if "dict" in packed:
        return {key: unpacked(value, tensors) for key, value in packed["dict"]}
    if "list" in packed:
        return [unpacked(value, tensors) for value in packed["list"]]
    return packed["value"]
