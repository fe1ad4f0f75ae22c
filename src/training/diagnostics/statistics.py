"""What the rules judge a run by.

B = pictures in a batch, K = classes, U = units (channels) of a layer,
P = places at which a unit answered: pictures, and positions in them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WEIGHTED = (nn.Conv2d, nn.Linear)
PLACES = 64
"""At which a unit must have been looked at before it is called silent."""
GATES = (nn.ReLU, nn.ReLU6)
"""Units that are off for every picture get no gradient; smooth gates never close."""
PICTURES = 16
"""Looked at together, at most, where each has many places at which a channel may be on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One observed step."""

    epoch: int
    step: int
    """Counted from 1 in its epoch."""
    loss: float
    """Of its batch, in nats per picture."""
    gradient_norm: float
    """L2 norm of the whole gradient, after clipping."""
    largest: float
    """Root mean square of the gradient of the tensor that has the largest one."""
    gradients: dict[str, float]
    """Root mean square of each layer's gradient, by the layer's name, first layer first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """One finished epoch."""

    epoch: int
    train_loss: float
    """Nats per picture."""
    valid_loss: float
    valid_accuracy: float
    """0 to 1."""
    valid_pictures: int
    seconds: float
    """Of training, without validation."""
    waiting_seconds: float
    """Of these, spent on waiting for the next batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """What came out of one layer for one batch."""

    name: str
    spread: float
    """Root mean square of its output."""
    units: int
    silent: int
    """Units that were off for every picture; 0 where that cannot be, or was hardly seen."""


def observed_step(model: nn.Module, epoch: int, step: int, loss: Tensor) -> Step:
    """Look at the gradients that a backward pass left; one wait for the device.

    Vectors, such as biases, count for the norm and the largest only: what the units' biases get
    says little of their layer.
    """
    named = [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(grad, dtype=torch.float32) for _, grad in named])
    *values, total, loss_now = torch.cat(
        [norms, torch.linalg.vector_norm(norms)[None], loss.detach().float().reshape(1)]
    ).tolist()
    sizes = {
        name: value / grad.numel() ** 0.5 for (name, grad), value in zip(named, values, strict=True)
    }
    return Step(
        epoch=epoch,
        step=step,
        loss=loss_now,
        gradient_norm=total,
        largest=max(sizes.values()),
        gradients={
            name.removesuffix(".weight"): sizes[name] for name, grad in named if grad.dim() > 1
        },
    )


@torch.no_grad()
def activity(model: nn.Module, inputs_B: Tensor) -> tuple[Tensor, list[Layer]]:
    """Ask a model about one batch, in eval mode, and look at what each layer says.

    Nothing of the model changes. Layers that learn nothing are left out.

    Returns:
        The logits (B, K); and layers with weights, and gates, in the order in which they answer,
        where a gate that is used several times is there several times.
    """
    seen: list[Layer] = []
    handles = []
    for name, layer in model.named_modules():
        around = model.get_submodule(name.rpartition(".")[0])
        if isinstance(layer, WEIGHTED + GATES) and any(
            p.requires_grad for p in around.parameters()
        ):
            handles.append(layer.register_forward_hook(_look(seen, name)))
    modes = {layer: layer.training for layer in model.modules()}
    try:
        model.eval()
        logits_BK: Tensor = model(inputs_B)
    finally:
        for layer, training in modes.items():
            layer.training = training
        for handle in handles:
            handle.remove()
    return logits_BK.float(), seen


def _look(seen: list[Layer], name: str) -> Callable[[nn.Module, object, Tensor], None]:
    def hook(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        units = output.shape[1] if output.dim() > 1 else 1
        off_UP = output.transpose(0, 1).reshape(units, -1) == 0
        judged = isinstance(layer, GATES) and off_UP.shape[1] >= PLACES
        seen.append(
            Layer(
                name=name,
                spread=output.float().pow(2).mean().sqrt().item(),
                units=units,
                silent=int(off_UP.all(1).sum()) if judged else 0,
            )
        )

    return hook
