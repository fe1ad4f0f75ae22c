"""Runs a network in bf16 or compiled.

B = pictures in a batch, C = 3 channels (RGB), S = side of the network's input in pixels,
F = what the network returns for a picture: features or logits.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """How a network is run."""

    precision: Literal["fp32", "bf16"] = "fp32"
    compiled: bool = False


def way(speed: Speed) -> str:
    """Its name among the figures."""
    return f"compiled {speed.precision}" if speed.compiled else speed.precision


def faster(network: nn.Module, speed: Speed, batch: int) -> Callable[[Tensor], Tensor]:
    """The network as a function that runs in this way; its layers and weights stay its own.

    Args:
        network: on its device and in its mode.
        speed: the way.
        batch: pictures in a usual batch. Others would each be compiled anew: they run as they are.
    """
    if speed == Speed():
        return network
    device = next(network.parameters()).device.type
    swift = compiled(network) if speed.compiled else network

    def run(images_BCSS: Tensor) -> Tensor:
        with autocast(device, speed.precision):
            answers_BF: Tensor = (swift if len(images_BCSS) == batch else network)(images_BCSS)
            return answers_BF

    return run


class Swift(nn.Module):
    """The network as a network that runs in this way: its gradients may be heard of."""

    def __init__(self, network: nn.Module, speed: Speed, batch: int) -> None:
        """Take what `faster` takes."""
        super().__init__()
        self.network = network
        self._run = [faster(network, speed, batch)]  # in a list, or it would be a second part

    def forward(self, images_BCSS: Tensor) -> Tensor:
        """What the network says."""
        return self._run[0](images_BCSS)


def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network compiled for one shape; where it takes no gradients, its weights are packed."""
    options = {} if network.training else {"freezing": True}
    swift: Callable[[Tensor], Tensor] = torch.compile(network, dynamic=False, options=options)  # type: ignore[arg-type]
    return swift


def autocast(device: str, precision: str) -> AbstractContextManager[Any]:
    """Matrix products and convolutions in bf16, the rest as torch holds safe."""
    return torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()
