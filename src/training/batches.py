"""Augmented pictures for training, in batches.

B = pictures in a batch, C = 3 channels (RGB), S = side of the network's input in pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from contract.preprocessing import scaled
from training import processes
from training.chance import chance, shuffled
from training.data import Picture
from training.data.store import Store
from training.data.workers import cores, side_by_side


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """Views of pictures: a function of seed, epoch and the picture's place, and of nothing else."""

    pictures: Sequence[Picture]
    store: Store
    augmentation: str
    """As in `Hyperparameters`."""
    seed: int

    def write(self, index: int, epoch: int, out_SSC: npt.NDArray[np.float32]) -> None:
        """Make the network's input of one picture in one epoch, channels last."""
        rng = chance(self.seed, epoch, index + 1)
        pixels_SSC = self.store.random(self.pictures[index], self.augmentation, rng)
        scaled(pixels_SSC, self.store.spec, out_SSC)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some pictures of a batch, to be made by one worker."""

    images_BSSC: npt.NDArray[np.float32]
    batch: Sequence[int]
    start: int
    end: int


def train_batches(
    views: Views,
    numbers: Sequence[int],
    *,
    batch_size: int,
    epoch: int,
    first: int = 0,
    threads: int | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Freshly augmented pictures of one epoch, in a new order, from its batch `first` on.

    Workers are threads: decoding, resizing and scaling all let others run. They are at most about
    a batch ahead, however slow the network is.

    Args:
        views: of which pictures.
        numbers: their classes.
        batch_size: over all processes.
        epoch: decides the order and the views.
        first: batch to begin with, from 0.
        threads: workers; by default as many as this process has cores.

    Returns:
        This process's share of each batch: float32 (B, C, S, S), channels last in memory, and
        int64 labels (B).
    """
    order = shuffled(len(views.pictures), views.seed, epoch)
    starts = range(first * batch_size, len(order), batch_size)
    shares = [processes.share(order[i : i + batch_size]) for i in starts]
    threads = threads or cores()
    size, length = views.store.spec.size_px, max(1, -(-batch_size // (2 * threads)))

    def parts() -> Iterator[_Part]:
        for batch in shares:
            images_BSSC = np.empty((len(batch), size, size, 3), np.float32)
            for start in range(0, max(len(batch), 1), length):
                yield _Part(images_BSSC, batch, start, min(start + length, len(batch)))

    def make(part: _Part) -> _Part:
        for place in range(part.start, part.end):
            views.write(part.batch[place], epoch, part.images_BSSC[place])
        return part

    for part in side_by_side(make, parts(), threads):
        if part.end == len(part.batch):
            labels_B = torch.tensor([numbers[i] for i in part.batch], dtype=torch.int64)
            yield torch.from_numpy(part.images_BSSC).permute(0, 3, 1, 2), labels_B
