"""The learning rate as a function of the position in the run."""

import math

import torch

from contract.hyperparameters import Hyperparameters


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
