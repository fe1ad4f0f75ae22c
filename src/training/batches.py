"""Augmented pictures for training, in batches.

B = pictures in a batch, C = 3 channels (RGB), S = side of the network's input in pixels.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from contract.model_card import InputSpec
from contract.preprocessing import Floats, decode, eval_view, normalise
from training import processes
from training.chance import chance, shuffled
from training.data import Picture
from training.data.workers import side_by_side

SMALLEST_CROP = 0.5
"""Of the picture's shorter side."""


def train_batches(
    pictures: Sequence[Picture],
    numbers: Sequence[int],
    spec: InputSpec,
    *,
    augmentation: str = "crop",
    batch_size: int,
    seed: int,
    epoch: int,
    first: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Freshly augmented pictures of one epoch, in a new order, from its batch `first` on.

    Returns:
        This process's share of each batch: float32 (B, C, S, S) and int64 labels (B).
    """
    order = shuffled(len(pictures), seed, epoch)

    def make(batch: Sequence[int]) -> tuple[Tensor, Tensor]:
        files = [pictures[i].path.read_bytes() for i in batch]
        views = [
            eval_view(file, spec)
            if augmentation == "none"
            else train_view(file, spec, chance(seed, epoch, i + 1))
            for i, file in zip(batch, files, strict=True)
        ]
        shape = (len(batch), 3, spec.size_px, spec.size_px)
        pixels_BCSS = np.stack(views) if views else np.empty(shape, np.float32)
        labels = [numbers[i] for i in batch]
        return torch.from_numpy(pixels_BCSS), torch.tensor(labels, dtype=torch.int64)

    batches = [order[i : i + batch_size] for i in range(first * batch_size, len(order), batch_size)]
    shares = map(processes.share, batches)
    yield from side_by_side(make, shares, torch.get_num_threads())


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
