"""Randomness that is a function of the position in the run, so that the position is its state."""

import numpy as np

PICTURES, DROPOUT, MIXUP = range(3)
"""Uses of randomness; each has its own at every position."""


def shuffled(count: int, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch visits its pictures."""
    order: list[int] = chance(seed, epoch, 0).permutation(count).tolist()
    return order


def chance(seed: int, epoch: int, sample: int, use: int = PICTURES) -> np.random.Generator:
    """Randomness that depends on the position in the run alone, not on what ran before."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, use, sample, epoch]))
