"""Everything that a training run holds between two steps."""

import math
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from contract.hyperparameters import Hyperparameters
from training.average import Average
from training.schedule import groups
from training.trunk import Stage


@dataclass(kw_only=True, slots=True)
class State:
    """A run between two steps: saved and loaded, it goes on as if nothing had happened.

    All else that a step needs (batches, rates, dropout) is a function of the settings and of
    `epoch` and `step`.
    """

    model: nn.Module
    """What is judged and kept in the end."""
    network: nn.Module
    """What the batches go through, to logits: the model, or those of its layers that learn."""
    optimizer: torch.optim.Optimizer
    average: Average | None
    """Moving average of the weights, judged and kept in place of them."""
    frozen: tuple[nn.Module, ...] = ()
    """Parts of the model that stay in eval mode."""
    epoch: int = 1
    """The one that is being made; one more than there are when all are made."""
    step: int = 0
    """Steps made in it."""
    total: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    """Sum of the loss over the pictures seen in it, on the model's device."""
    seen: int = 0
    """Pictures seen in it."""
    best_epoch: int = 0
    best_loss: float = math.inf
    """The lowest validation loss so far."""
    best: dict[str, Tensor] = field(default_factory=dict)
    """What the model had learnt when it had that loss."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and dicts of them; tensors are the run's own, not copies."""
        return {
            "model": learnt(self.model),
            "optimizer": self.optimizer.state_dict(),
            "average": {} if self.average is None else self.average.values,
            "epoch": self.epoch,
            "step": self.step,
            "total": self.total,
            "seen": self.seen,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "best": self.best,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go to where a run of the same settings was; tensors may lie on any device."""
        put(self.model, saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.average is not None:
            for name, value in self.average.values.items():
                value.copy_(saved["average"][name])
        self.epoch, self.step = saved["epoch"], saved["step"]
        self.total.copy_(saved["total"])
        self.seen = saved["seen"]
        self.best_epoch, self.best_loss = saved["best_epoch"], saved["best_loss"]
        self.best = {name: value.clone() for name, value in saved["best"].items()}

    def judged(self) -> AbstractContextManager[None]:
        """The model has the weights that are judged and kept: the average, if there is one."""
        return nullcontext() if self.average is None else self.average.in_place(self.model)

    def keep_best(self, loss: float) -> None:
        """Remember the model as it is now if this is its lowest validation loss."""
        if loss < self.best_loss:
            self.best_epoch, self.best_loss = self.epoch, loss
            self.best = {name: value.clone() for name, value in learnt(self.model).items()}

    def next_epoch(self) -> None:
        """Begin the next epoch's sums."""
        self.epoch, self.step, self.seen = self.epoch + 1, 0, 0
        self.total.zero_()


def new_state(
    model: nn.Module,
    settings: Hyperparameters,
    stages: Sequence[Stage] = (),
    frozen: Iterable[nn.Module] = (),
    network: nn.Module | None = None,
) -> State:
    """The state before the first step.

    Args:
        model: on its device; what requires a gradient will learn.
        settings: rates, decay, moving average.
        stages: of the model's backbone, which learn at rates of their own.
        frozen: parts of the model that stay in eval mode.
        network: what the batches go through, if that is not the model.
    """
    optimizer = torch.optim.AdamW(
        groups(model, stages, settings.layer_rate_decay),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    device = next(model.parameters()).device
    return State(
        model=model,
        network=network or model,
        optimizer=optimizer,
        average=Average(model, settings.ema_decay) if settings.ema_decay else None,
        frozen=tuple(frozen),
        total=torch.zeros((), dtype=torch.float64, device=device),
    )


def learnt(model: nn.Module) -> dict[str, Tensor]:
    """What training may change: parameters that learn, and all buffers. Not copies."""
    still = {name for name, p in model.named_parameters() if not p.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in still}


@torch.no_grad()
def put(model: nn.Module, values: dict[str, Tensor]) -> None:
    """Give a model what `learnt` took from it, or from its like."""
    own = model.state_dict()
    for name, value in values.items():
        own[name].copy_(value)
