"""The moving average of the weights, which often answers better than the last weights do."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Exponential moving average of what learns in a model: parameters and batch statistics.

    The decay rises to its value over the first steps, as min(decay, (1 + n) / (10 + n)) after n
    steps, so that the untrained weights are soon forgotten (Abadi et al. 2016, TensorFlow's
    ExponentialMovingAverage).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begin with the weights as they are.

        Args:
            model: whose.
            decay: share of the old average in the new one, 0 to below 1.
        """
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in averaged(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module, steps: int) -> None:
        """Take the weights after a step into the average.

        Args:
            model: the same, or its like.
            steps: made since the start of the run, this one included.
        """
        weight = 1.0 - min(self.decay, (1 + steps) / (10 + steps))
        now = averaged(model)
        torch._foreach_lerp_(
            list(self.values.values()), [now[name] for name in self.values], weight
        )

    @contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """Let the model have the averaged weights, and afterwards its own again, bit for bit."""
        self._exchange(model)
        try:
            yield
        finally:
            self._exchange(model)

    @torch.no_grad()
    def _exchange(self, model: nn.Module) -> None:
        for name, mine in averaged(model).items():
            kept = mine.clone()
            mine.copy_(self.values[name])
            self.values[name].copy_(kept)


def averaged(model: nn.Module) -> dict[str, Tensor]:
    """What an average is made of, by name. Not copies."""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    buffers = {name: b for name, b in model.named_buffers() if b.is_floating_point()}
    return {**parameters, **buffers}
