"""The learning rate: a function of the position in the run, and each stage's share of it."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from contract.hyperparameters import Hyperparameters
from training.trunk import Stage


def rate_factor(step: int, steps_by_epoch: int, settings: Hyperparameters) -> float:
    """The share of the highest rate that a step is made with.

    The rate rises linearly over the warm-up and reaches its highest with the warm-up's last step;
    a cosine then takes it to zero (Loshchilov and Hutter 2017), which the step after the last
    would have.

    Args:
        step: steps made before this one, in all epochs.
        steps_by_epoch: how many an epoch has.
        settings: epochs, warm-up and schedule.

    Returns:
        Above 0, at most 1.
    """
    warmup = round(settings.warmup_epochs * steps_by_epoch)
    if step < warmup:
        return (step + 1) / warmup
    if settings.schedule == "constant":
        return 1.0
    share = (step - warmup) / (settings.epochs * steps_by_epoch - warmup)
    return 0.5 * (1.0 + math.cos(math.pi * share))


def set_rates(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give each group of parameters its share of a rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


def groups(
    model: nn.Module, stages: Sequence[Stage], layer_rate_decay: float
) -> list[dict[str, Any]]:
    """Group what learns by its share of the rate and by whether it decays.

    The head has the whole rate, the last stage `layer_rate_decay` of it, the stage before the
    square of that, and so on (Clark et al., ELECTRA, 2020). Only the weights of linear layers and
    convolutions decay: no bias, no normalisation, no embedding (He et al., Bag of Tricks, 2019).

    Args:
        model: what learns in it requires a gradient.
        stages: of its backbone, the last one last.
        layer_rate_decay: above 0, at most 1.

    Returns:
        Parameter groups for an optimizer, each with its `share` of the rate.
    """
    shares = {
        parameter: layer_rate_decay**distance
        for distance, stage in enumerate(reversed(stages), 1)
        for parameter in stage.parameters
    }
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = name.endswith("weight") and parameter.ndim > 1
            found.setdefault((shares.get(parameter, 1.0), decays), []).append(parameter)
    return [
        {"params": parameters, "share": share, **({} if decays else {"weight_decay": 0.0})}
        for (share, decays), parameters in found.items()
    ]
