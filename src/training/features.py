"""What a frozen backbone says to pictures: computed once, and kept between runs.

Pictures are answered in batches of fixed members. A batch is kept by all that its numbers depend
on (weights, view, precision, members, libraries, processor), so that a kept batch has the bits
that computing it again would give, and an interrupted run loses no finished one.

B = pictures in a batch, N = pictures in all, F = features.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import contract.preprocessing
import training.chance
import training.data.augment
import training.data.store
from contract.model_card import file_sha256
from contract.preprocessing import Floats, normalise
from training import processes
from training.answers import BATCH, one_thread
from training.chance import chance
from training.data import Picture
from training.data.store import Store
from training.data.workers import side_by_side
from training.faster import Speed, faster, way
from training.feature_cache import FeatureCache, sha256_of
from training.identity import machine
from training.runlog import RunLog

LIBRARIES = ("numpy", "pillow", "torch", "torchvision")
SOURCES = (
    contract.preprocessing, training.chance, training.data.augment, training.data.store
)  # fmt: skip
"""What makes a view of a picture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """Which view of a picture the backbone sees."""

    number: int = 0
    """0 is the plain one, as in serving; others are random, as in an epoch of this number."""
    seed: int = 0
    """Of the random ones."""
    augmentation: str = "crop"
    """Of the random ones, as in `Hyperparameters`."""

    def pixels(self, picture: Picture, sample: int, store: Store) -> Floats:
        """The network's input, float32 (C, S, S), for the picture at a place of its split."""
        if self.number == 0:
            return normalise(store.plain(picture), store.spec)
        rng = chance(self.seed, self.number, sample + 1)
        return normalise(store.random(picture, self.augmentation, rng), store.spec)


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where features come from."""

    backbone: nn.Module
    """In eval mode."""
    name: str
    """Of its layers: torchvision's function name."""
    weights: str
    """As `weights_sha256` names them."""
    store: Store
    """Reads pictures, for the network's input."""
    speed: Speed


@dataclass(kw_only=True, slots=True)
class Tally:
    """How many features were there, and how many were not."""

    cached: int = 0
    computed: int = 0


def features(
    source: Source,
    pictures: Sequence[Picture],
    view: View,
    cache_dir: Path,
    log: RunLog,
    tally: Tally,
) -> Tensor:
    """The backbone's answers to one view of each picture.

    Batches run side by side, each on one thread: the bits do not depend on how many cores there
    are, nor on how many processes share the work.

    Args:
        source: the backbone and how it runs.
        pictures: of one split, in its order.
        view: which view of them.
        cache_dir: answers are looked for and kept in its folder `features`.
        log: is told the progress of what is computed.
        tally: counts pictures.

    Returns:
        float32 of shape (N, F), in main memory.
    """
    cache = FeatureCache(cache_dir / "features", _kind(source, view), log)
    batches = [range(i, min(i + BATCH, len(pictures))) for i in range(0, len(pictures), BATCH)]
    keys = [_key(pictures, batch, view) for batch in batches]
    mine = processes.dealt(range(len(batches)))
    found = {place: kept for place in mine if (kept := cache.get(keys[place])) is not None}
    tally.cached += sum(len(kept) for kept in found.values())
    missing = [place for place in mine if place not in found]
    # Two runs at once begin at different places, so that each finds what the other has made.
    begin = os.getpid() % max(len(missing), 1)
    missing = missing[begin:] + missing[:begin]
    device = next(source.backbone.parameters()).device
    run = faster(source.backbone.eval(), source.speed, BATCH)

    def make(place: int) -> tuple[int, Tensor, bool]:
        torch.set_num_threads(1)
        kept = cache.get(keys[place])
        if kept is not None:
            return place, kept, True
        views = [view.pixels(pictures[i], i, source.store) for i in batches[place]]
        with torch.inference_mode():
            images_BCSS = torch.from_numpy(np.stack(views))
            answers_BF = run(images_BCSS.to(device, memory_format=torch.channels_last)).cpu()
        cache.put(keys[place], answers_BF.clone())
        return place, answers_BF, False

    started, done, total = time.monotonic(), 0, sum(len(batches[place]) for place in missing)
    with one_thread() as threads:
        ahead = missing[:1] if source.speed.compiled else []  # compiles, before others run it
        for places, count in ((ahead, 1), (missing[len(ahead) :], threads)):
            for place, part, was_kept in side_by_side(make, places, count):
                found[place] = part
                tally.cached += len(part) if was_kept else 0
                tally.computed += 0 if was_kept else len(part)
                done += len(part)
                log.progress("features", done, total, started)
    if missing:
        cache.trim()
    parts = [found[place].float() for place in mine]
    return torch.cat(processes.gathered(parts, len(batches))).clone()


def _kind(source: Source, view: View) -> str:
    facts = ["1", source.name, source.weights, str(asdict(source.store.spec)), str(asdict(view))]
    facts += [way(source.speed), machine(), *(f"{name} {version(name)}" for name in LIBRARIES)]
    facts += [file_sha256(Path(str(module.__file__))) for module in SOURCES]
    return sha256_of(facts)


def _key(pictures: Sequence[Picture], batch: range, view: View) -> str:
    """Of a batch: its members, and their places in the split where chance depends on them."""
    places = [] if view.number == 0 else [str(batch)]
    return sha256_of([*places, *(pictures[i].sha256 for i in batch)])
