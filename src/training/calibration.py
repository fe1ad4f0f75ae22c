"""How far a probability can be believed, and the temperature that mends it.

N = pictures, K = classes, M = bins.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cross_entropy

BINS = 15
"""As Guo et al., On Calibration of Modern Neural Networks, 2017, who defined the ECE so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """The answers whose probability lies in one interval."""

    low: float
    high: float
    pictures: int
    probability: float
    """Mean of what the model said, 0 to 1."""
    accuracy: float
    """Share that was right, 0 to 1."""


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


def reliability(logits_NK: Tensor, labels_N: Tensor, temperature: float) -> list[Bin]:
    """What the first answers claim and how often they are right, in equal intervals.

    Args:
        logits_NK: of pictures that the temperature was not fitted on, if it is to be judged.
        labels_N: the right classes.
        temperature: divides the logits; 1 leaves them as they are.

    Returns:
        One entry for each interval that holds a picture, in order.
    """
    sure_N, first_N = (logits_NK.double() / temperature).softmax(1).max(1)
    right_N = (first_N == labels_N).double()
    bin_N = (sure_N * BINS).ceil().long().clamp(1, BINS) - 1
    bins = []
    for number in sorted(set(bin_N.tolist())):
        inside_N = bin_N == number
        bins.append(
            Bin(
                low=number / BINS,
                high=(number + 1) / BINS,
                pictures=int(inside_N.sum()),
                probability=sure_N[inside_N].mean().item(),
                accuracy=right_N[inside_N].mean().item(),
            )
        )
    return bins


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance of probability and accuracy, weighted by pictures: 0 (honest) to 1."""
    pictures = sum(b.pictures for b in bins)
    return sum(b.pictures * abs(b.probability - b.accuracy) for b in bins) / pictures


def calibration(logits_NK: Tensor, labels_N: Tensor, temperature: float) -> tuple[float, float]:
    """The expected calibration error before and after the temperature."""
    before = reliability(logits_NK, labels_N, 1.0)
    after = reliability(logits_NK, labels_N, temperature)
    return expected_calibration_error(before), expected_calibration_error(after)
