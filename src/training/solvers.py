"""Linear heads that are fitted at once: ridge regression and logistic regression.

N = training pictures, V = validation pictures, F = features, K = classes, R = rank.

Both minimise, on standardised features, the mean loss per picture plus half the strength times
the squared weights; the strength is the one with the lowest loss on validation. Sums are made in
float64, or for the logistic regression in float32, on one thread: the bits do not depend on how
many there are.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from contract.strict import require
from training.answers import one_thread
from training.calibration import fit_temperature
from training.loop import measure

QUIETEST = 0.1
"""Smallest standard deviation that a feature is divided by, as a share of the mean one."""

RIDGE_STRENGTHS = tuple(10.0 ** (2 - step / 2) for step in range(15))
"""From 100 to 1e-5."""

LOGISTIC_STRENGTHS = (1.0, 0.1, *(10.0 ** (-1.5 - step / 2) for step in range(8)))
"""From strong to weak, each started from the one before; the last is 1e-5."""

UNIT = 30.0
"""Ridge scores are about 0 and 1; times this, their temperature is within the range looked at."""

PATIENCE = 2
"""Strengths in a row that may be worse than the best before the weaker ones are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitted:
    """A linear head for the backbone's own features."""

    head: nn.Linear
    strength: float
    """Which one validation chose."""
    losses: dict[float, float]
    """Validation loss per picture of every strength that was tried."""


def closed_form_head(
    train_NF: Tensor,
    train_N: Tensor,
    valid_VF: Tensor,
    valid_V: Tensor,
    classes: int,
    *,
    solver: Literal["ridge", "lbfgs"] = "ridge",
    balanced: bool = False,
    label_smoothing: float = 0.0,
) -> Fitted:
    """Fit a linear head, its strength chosen on validation.

    Args:
        train_NF: features, on any device.
        train_N: int64 class numbers.
        valid_VF: features of the validation pictures.
        valid_V: their class numbers.
        classes: K.
        solver: ridge is least squares on one-hot labels in closed form, its scores scaled to
            probabilities by the temperature of its validation loss (Guo et al., On Calibration
            of Modern Neural Networks, 2017); lbfgs is multinomial logistic regression.
        balanced: weight each class by the inverse of its number of pictures.
        label_smoothing: share of the target spread over all classes; of no effect on ridge,
            whose scores it would shrink and whose temperature would undo it.

    Returns:
        The head, in main memory, for features as they come from the backbone.

    Raises:
        ContractError: a feature is not a number.
    """
    train_NF, valid_VF = train_NF.detach().float().cpu(), valid_VF.detach().float().cpu()
    train_N, valid_V = train_N.cpu(), valid_V.cpu()
    require(
        bool(train_NF.isfinite().all() and valid_VF.isfinite().all()),
        "the backbone's features are not all numbers; name other weights, or precision fp32.",
    )
    with one_thread():
        mean_F, std_F = standard(train_NF)
        train_NF, valid_VF = (train_NF - mean_F) / std_F, (valid_VF - mean_F) / std_F
        weight_K = class_weights(train_N, classes) if balanced else torch.ones(classes)
        weight_N = weight_K[train_N]
        fits = (
            ridge_path(train_NF, train_N, weight_N, classes)
            if solver == "ridge"
            else logistic_path(train_NF, train_N, weight_N, classes, label_smoothing)
        )
        losses: dict[float, float] = {}
        best, chosen, worse = math.inf, 0.0, 0
        head = nn.Linear(train_NF.shape[1], classes)
        for strength, weight_KF, bias_K in fits:
            scores_VK = valid_VF.double() @ weight_KF.double().T + bias_K.double()
            scale = UNIT / fit_temperature(UNIT * scores_VK, valid_V) if solver == "ridge" else 1.0
            losses[strength] = loss = measure(scale * scores_VK, valid_V).loss
            if loss < best:
                best, chosen, worse = loss, strength, 0
                with torch.no_grad():
                    head.weight.copy_(scale * weight_KF)
                    head.bias.copy_(scale * bias_K)
            else:
                worse += 1
                if worse == PATIENCE and solver == "lbfgs":
                    break
        fold(head, mean_F, std_F)
    return Fitted(head=head, strength=chosen, losses=losses)


def ridge_path(
    train_NF: Tensor, train_N: Tensor, weight_N: Tensor, classes: int
) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Ridge regression on one-hot labels for every strength, by one eigendecomposition.

    The matrix is that of the features or that of the pictures, whichever is smaller (Hoerl and
    Kennard, Ridge Regression, 1970; the second by the identity of Woodbury).

    Yields:
        Strength, weights (K, F) and biases (K), in float64.
    """
    x_NF, y_NK = train_NF.double(), one_hot(train_N, classes).double()
    share_N1 = (weight_N.double() / weight_N.double().sum())[:, None]
    mean_F, mean_K = (share_N1 * x_NF).sum(0), (share_N1 * y_NK).sum(0)
    x_NF, y_NK = (x_NF - mean_F) * share_N1.sqrt(), (y_NK - mean_K) * share_N1.sqrt()
    wide = x_NF.shape[0] < x_NF.shape[1]
    value_R, vector_RR = torch.linalg.eigh(x_NF @ x_NF.T if wide else x_NF.T @ x_NF)
    value_R = value_R.clamp(min=0)
    left = x_NF.T @ vector_RR if wide else vector_RR  # (F, R)
    right = vector_RR.T @ y_NK if wide else vector_RR.T @ (x_NF.T @ y_NK)  # (R, K)
    for strength in RIDGE_STRENGTHS:
        weight_FK = left @ (right / (value_R + strength)[:, None])
        yield strength, weight_FK.T, mean_K - mean_F @ weight_FK


def logistic_path(
    train_NF: Tensor, train_N: Tensor, weight_N: Tensor, classes: int, label_smoothing: float
) -> Iterator[tuple[float, Tensor, Tensor]]:
    """Multinomial logistic regression by L-BFGS, each strength started from the one before.

    Limited-memory BFGS with a line search that meets the strong Wolfe conditions (Nocedal and
    Wright, Numerical Optimization, 2006).

    Yields:
        Strength, weights (K, F) and biases (K), in float32.
    """
    layer = nn.Linear(train_NF.shape[1], classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    share_N = weight_N / weight_N.sum()

    def fit_of_data() -> Tensor:
        logits_NK = layer(train_NF)
        losses_N = cross_entropy(
            logits_NK, train_N, reduction="none", label_smoothing=label_smoothing
        )
        return (share_N * losses_N).sum()

    for strength in LOGISTIC_STRENGTHS:
        descend(layer, fit_of_data, strength)
        yield strength, layer.weight.detach().clone(), layer.bias.detach().clone()


def descend(layer: nn.Linear, fit_of_data: Callable[[], Tensor], strength: float) -> None:
    """Bring the layer to the minimum for one strength, by L-BFGS."""
    optimizer = torch.optim.LBFGS(
        layer.parameters(),
        max_iter=200,
        tolerance_grad=1e-5,
        tolerance_change=1e-8,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = fit_of_data() + 0.5 * strength * layer.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not say its type
        return loss.item()

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # the same


def class_weights(labels_N: Tensor, classes: int) -> Tensor:
    """What a picture of each class weighs in a balanced loss, (K): one on average over pictures."""
    count_K = torch.bincount(labels_N, minlength=classes)
    return len(labels_N) / (classes * count_K.clamp(min=1).float())


def standard(*views_NF: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (F) of features, over all views of the pictures.

    A feature that is all but silent here may speak on new pictures: it is not turned up.
    """
    count = sum(len(view_NF) for view_NF in views_NF)
    mean_F = sum((v.double().sum(0) for v in views_NF), torch.zeros(())) / count
    square_F = sum(((v.double() - mean_F).square().sum(0) for v in views_NF), torch.zeros(()))
    std_F = (square_F / max(count - 1, 1)).sqrt()
    std_F = std_F.clamp(min=QUIETEST * float(std_F.mean()) + 1e-12)
    return mean_F.float(), std_F.float()


@torch.no_grad()
def fold(head: nn.Module, mean_F: Tensor, std_F: Tensor) -> None:
    """Make a head that was trained on standardised features take the backbone's own."""
    first = next(layer for layer in head.modules() if isinstance(layer, nn.Linear))
    weight = first.weight.double() / std_F.double()
    first.bias.copy_(first.bias.double() - weight @ mean_F.double())
    first.weight.copy_(weight)
