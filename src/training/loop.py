"""The training loop: the same for a head on cached features and for a whole network.

B = pictures in a batch, N = pictures in all, K = classes.
"""

import copy
import math
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from contract.hyperparameters import Hyperparameters
from contract.model_card import Metrics
from contract.strict import require
from training.runlog import RunLog

Batches = Iterable[tuple[Tensor, Tensor]]


def fit(
    model: nn.Module,
    batches_of: Callable[[int], Batches],
    validate: Callable[[], Metrics],
    settings: Hyperparameters,
    log: RunLog,
) -> int:
    """Train for all epochs and leave the model as it was after its best one.

    Args:
        model: inputs to logits.
        batches_of: an epoch's number (1, 2, ...) to its inputs and labels.
        validate: judges the model as it is now; its loss decides.
        settings: epochs, rates, seed.
        log: is told every epoch.

    Returns:
        The best epoch.

    Raises:
        ContractError: the loss is no longer a number.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    best_epoch, best_loss, best_state = 0, math.inf, model.state_dict()
    for epoch in range(1, settings.epochs + 1):
        started, total, seen = time.monotonic(), 0.0, 0
        torch.manual_seed(settings.seed + epoch)
        set_training(model)
        for inputs_B, labels_B in batches_of(epoch):
            logits_BK = model(inputs_B)
            loss = cross_entropy(logits_BK, labels_B, label_smoothing=settings.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not say its type
            optimizer.step()
            total += loss.item() * len(labels_B)
            seen += len(labels_B)
        model.eval()
        valid = validate()
        require(
            math.isfinite(total) and math.isfinite(valid.loss),
            f"training diverged in epoch {epoch}: the loss is no longer a number. "
            f"Lower learning_rate, which is {settings.learning_rate}.",
        )
        if valid.loss < best_loss:
            best_epoch, best_loss = epoch, valid.loss
            best_state = copy.deepcopy(model.state_dict())
        tell_epoch(log, epoch, settings.epochs, total / seen, valid, time.monotonic() - started)
    model.load_state_dict(best_state)
    return best_epoch


def set_training(model: nn.Module) -> None:
    """Dropout on; BatchNorm stays in eval mode and keeps the statistics it came with."""
    model.train()
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()


def tell_epoch(
    log: RunLog, epoch: int, epochs: int, train_loss: float, valid: Metrics, seconds: float
) -> None:
    """The one line that people and tuners read."""
    log.event(
        "epoch",
        f"epoch {epoch:{len(str(epochs))}} of {epochs}: train loss {train_loss:.4f}, "
        f"valid loss {valid.loss:.4f}, valid accuracy {valid.accuracy:.1%}",
        epoch=epoch,
        epochs=epochs,
        train_loss=train_loss,
        valid_loss=valid.loss,
        valid_accuracy=valid.accuracy,
        seconds=round(seconds, 3),
    )


def measure(logits_NK: Tensor, labels_N: Tensor, temperature: float = 1.0) -> Metrics:
    """Accuracy and mean loss per picture, summed in float64 whatever the batches were."""
    scaled_NK = logits_NK.double() / temperature
    right = (scaled_NK.argmax(1) == labels_N).sum().item()
    return Metrics(
        accuracy=right / len(labels_N),
        loss=cross_entropy(scaled_NK, labels_N).item(),
        pictures=len(labels_N),
    )


def fit_temperature(logits_NK: Tensor, labels_N: Tensor) -> float:
    """The divisor of logits that makes validation probabilities honest.

    Golden-section search of the loss, which has one minimum, on a logarithmic scale. Labels are
    smoothed as if one more picture in N + 2 were wrong (Platt's rule), or a faultless validation
    set would make every answer certain.
    """
    doubt = 1.0 / (len(labels_N) + 2)
    logits_NK = logits_NK.double()

    def loss(log_temperature: float) -> float:
        scaled_NK = logits_NK / math.exp(log_temperature)
        return cross_entropy(scaled_NK, labels_N, label_smoothing=doubt).item()

    low, high, ratio = math.log(0.02), math.log(50.0), (math.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return round(math.exp((low + high) / 2), 6)
