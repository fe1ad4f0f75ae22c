"""Which layers of a network stay as they are."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from contract.strict import require
from training import processes
from training.trunk import Stage

MOMENTUM = 0.1
"""Least share that a batch has in BatchNorm's new statistics, torch's own. Some networks have
0.01, made for hundreds of thousands of steps: a short run would be judged by its first batches."""


def freeze(stages: Iterable[Stage]) -> None:
    """Let the weights of stages stay as they are."""
    for stage in stages:
        for parameter in stage.parameters:
            parameter.requires_grad_(False)


def follow_batches(network: nn.Module) -> None:
    """Make BatchNorm fit to follow the batches of a short run.

    Raises:
        ContractError: there are several processes, which would each follow batches of their own.
    """
    require(
        processes.count() == 1,
        "batch_norm adaptive follows the batches of one process, and there are "
        f"{processes.count()}: set batch_norm to frozen, or train in one process.",
    )
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.momentum = max(layer.momentum or 0.0, MOMENTUM)
            layer.register_forward_pre_hook(_spare_a_single_number)


def _spare_a_single_number(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
    """A last batch of one picture, one pixel wide, has no deviation: it keeps the statistics."""
    if layer.training and inputs[0].numel() == inputs[0].shape[1]:
        layer.eval()
