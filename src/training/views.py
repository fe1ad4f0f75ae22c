"""Pictures as the network sees them, and the network's answers to them.

B = pictures in a batch, N = pictures in all, C = 3 channels (RGB), S = side of the network's
input in pixels, F = what the network returns for a picture: features or logits.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from contract.model_card import InputSpec
from contract.preprocessing import Floats, decode, eval_view, normalise
from training.data import Picture
from training.runlog import RunLog

Item = TypeVar("Item")
Made = TypeVar("Made")

BATCH = 32
"""Pictures that are answered together; not a hyperparameter, so that no result depends on one."""
SMALLEST_CROP = 0.5
"""Of the picture's shorter side."""


@contextmanager
def one_thread() -> Iterator[int]:
    """Let each operation run on one thread, so that its sums have one order on every machine.

    Yields:
        How many threads there were, to be used side by side.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def answers(
    network: nn.Module, pictures: Sequence[Picture], spec: InputSpec, log: RunLog, doing: str
) -> Tensor:
    """What a network says to each picture, in eval mode and without autograd.

    Batches run side by side, each on one thread: the bits do not depend on how many cores there
    are.

    Args:
        network: (B, C, S, S) to (B, F).
        pictures: which.
        spec: what the network expects.
        log: is told the progress.
        doing: what it is called there.

    Returns:
        float32 of shape (N, F), in main memory.
    """
    device = next(network.parameters()).device
    network.eval()

    def answer(batch: Sequence[Picture]) -> Tensor:
        torch.set_num_threads(1)
        with torch.inference_mode():
            images = np.stack([eval_view(p.path.read_bytes(), spec) for p in batch])
            images_BCSS = torch.from_numpy(images).to(device, memory_format=torch.channels_last)
            answers_BF: Tensor = network(images_BCSS)
            return answers_BF.float().cpu().contiguous()

    batches = [pictures[i : i + BATCH] for i in range(0, len(pictures), BATCH)]
    parts: list[Tensor] = []
    started, done = time.monotonic(), 0
    with one_thread() as threads:
        for part in side_by_side(answer, batches, threads):
            parts.append(part)
            done += len(part)
            log.progress(doing, done, len(pictures), started)
    return torch.cat(parts).clone()


def side_by_side(
    make: Callable[[Item], Made], items: Iterable[Item], threads: int
) -> Iterator[Made]:
    """Make something of each item, in order, a few ahead of the one that is wanted."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(make, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def train_batches(
    pictures: Sequence[Picture],
    numbers: Sequence[int],
    spec: InputSpec,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Freshly augmented pictures of one epoch, in a new order.

    Returns:
        Batches of float32 (B, C, S, S) and int64 labels (B).
    """
    order = shuffled(len(pictures), seed, epoch)

    def make(batch: Sequence[int]) -> tuple[Tensor, Tensor]:
        views = [
            train_view(pictures[i].path.read_bytes(), spec, chance(seed, epoch, i + 1))
            for i in batch
        ]
        return torch.from_numpy(np.stack(views)), torch.tensor([numbers[i] for i in batch])

    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    yield from side_by_side(make, batches, torch.get_num_threads())


def train_view(data: bytes, spec: InputSpec, rng: np.random.Generator) -> Floats:
    """A random square of a picture, perhaps mirrored: float32 of shape (C, S, S)."""
    image = decode(data, spec.resize_px)
    side = min(image.size) * rng.uniform(SMALLEST_CROP, 1.0)
    left, top = (rng.uniform(0.0, length - side) for length in image.size)
    square = image.resize(
        (spec.size_px, spec.size_px),
        Image.Resampling.BILINEAR,
        box=(left, top, left + side, top + side),
    )
    pixels_SSC = np.asarray(square)
    return normalise(pixels_SSC[:, ::-1] if rng.random() < 0.5 else pixels_SSC, spec)


def shuffled(count: int, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch visits its pictures."""
    order: list[int] = chance(seed, epoch, 0).permutation(count).tolist()
    return order


def chance(seed: int, epoch: int, sample: int) -> np.random.Generator:
    """Randomness that depends on the position in the run alone, not on what ran before."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, sample, epoch]))
