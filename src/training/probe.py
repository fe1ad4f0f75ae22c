"""Times ways of running a network on the same few pictures, and compares what they say.

B = pictures in a batch, C = 3 channels (RGB), S = side of the network's input in pixels,
F = what the network returns for a picture: features or logits.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from training.faster import Speed, faster, way

PROBED = 8
"""Pictures that are timed; a compiled network, which is so for one size, takes a whole batch."""

TURNS = 2
"""How often each way is timed, after once to warm up; the fastest counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What a run will do with a network."""

    kind: Literal["forward", "train"]
    """forward: without gradients. train: with a backward pass, too."""
    network: nn.Module
    """On its device, in the mode (training or not) that it will run in."""
    pictures: int
    """In all epochs or views."""
    size_px: int
    examples: Callable[[], tuple[Tensor, Tensor]]
    """Makes a usual batch (B, C, S, S) on the network's device, and its class numbers (B)."""
    batch: int
    """Pictures in a usual batch."""
    weights: str
    """Names the weights by content, as `weights_sha256` does."""


@dataclass(kw_only=True, slots=True)
class Figures:
    """What was measured, by way: `fp32`, `bf16`, `compiled fp32`, `compiled bf16`."""

    milliseconds: dict[str, float] = field(default_factory=dict)
    """For one picture."""
    disagreement: dict[str, float] = field(default_factory=dict)
    """With fp32; see `DISAGREEMENT`."""
    compile_seconds: float = 0.0
    fault: str = ""
    """Why compiling failed."""


def time_ways(work: Work, ways: Sequence[Speed], figures: Figures, pictures: int) -> None:
    """Run each way in turn on the same pictures, and compare with the first, which is fp32."""
    images_BCSS, labels_B = work.examples()
    images_BCSS, labels_B = images_BCSS[:pictures], labels_B[:pictures]
    runs: dict[str, Callable[[], Tensor]] = {}
    answers: dict[str, Tensor] = {}
    with _untouched(work.network):
        for speed in ways:
            one = _forward if work.kind == "forward" else _train
            started = time.perf_counter()
            try:
                run = faster(work.network, speed, len(images_BCSS))
                answers[way(speed)] = one(run, work.network, images_BCSS, labels_B)
            except Exception as error:  # whatever a compiler stumbles over: run without it
                if not speed.compiled:
                    raise
                figures.fault = (str(error).splitlines() or [type(error).__name__])[0][:120]
                continue
            if speed.compiled:
                figures.compile_seconds = round(time.perf_counter() - started, 3)
            runs[way(speed)] = partial(one, run, work.network, images_BCSS, labels_B)
        times: dict[str, float] = dict.fromkeys(runs, math.inf)
        for _ in range(TURNS):
            for name, again in runs.items():
                started = time.perf_counter()
                again()
                times[name] = min(times[name], time.perf_counter() - started)
    exact = answers[way(ways[0])]
    size = exact - exact.mean(0) if work.kind == "forward" else exact
    for name, seconds in times.items():
        off = float((answers[name] - exact).norm() / size.norm().clamp(min=1e-30))
        milliseconds = round(1000 * seconds / len(images_BCSS), 3)
        figures.milliseconds.setdefault(name, milliseconds)  # a kept figure stays
        figures.disagreement.setdefault(name, off if math.isfinite(off) else 1e9)


def _forward(
    run: Callable[[Tensor], Tensor], _network: nn.Module, images_BCSS: Tensor, _labels_B: Tensor
) -> Tensor:
    """What the network says, (B, F)."""
    with torch.inference_mode():
        return run(images_BCSS).double().cpu()


def _train(
    run: Callable[[Tensor], Tensor], network: nn.Module, images_BCSS: Tensor, labels_B: Tensor
) -> Tensor:
    """The gradient of the loss, as one vector."""
    learning = [p for p in network.parameters() if p.requires_grad]
    network.zero_grad()
    cross_entropy(run(images_BCSS).float(), labels_B).backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.flatten() for p in learning if p.grad is not None]).double().cpu()


@contextmanager
def _untouched(network: nn.Module) -> Iterator[None]:
    """Leave no gradient, no statistic and no used up randomness behind."""
    kept = {name: value.clone() for name, value in network.named_buffers()}
    with torch.random.fork_rng():
        yield
    network.zero_grad()
    with torch.no_grad():
        for name, value in network.named_buffers():
            value.copy_(kept[name])


def count_flop(work: Work, enough: float) -> float:
    """Floating-point operations of the whole run, about; counted on a network without numbers.

    Args:
        work: the run.
        enough: where even every weight at every pixel would make fewer, that is the count.
    """
    runs = work.pictures * (3.0 if work.kind == "train" else 1.0)  # backward is twice forward
    most = runs * 2.0 * sum(p.numel() for p in work.network.parameters()) * work.size_px**2
    if most < enough:
        return most
    hollow = copy.deepcopy(work.network).to("meta").eval()
    picture = torch.empty(1, 3, work.size_px, work.size_px, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        hollow(picture)
    return runs * float(counter.get_total_flops())
