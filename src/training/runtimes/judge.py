"""Whether a runtime may serve: what it loses must be little, and it must be worth having."""

from dataclasses import dataclass

from contract.model_card import Golden
from contract.runtimes import MODEL_FILES, Precision, RuntimeCard

GOLDEN_FLOAT32 = 0.001
"""How far float32 may be from the card's probability: it is the same sum in another order."""
PAYS_BELOW = 0.95
"""Of the time of the fastest accepted before it: the rest is noise."""
WITHOUT_PICTURES = "not measured: none of the pictures that the model was trained on were there"
NOT_MADE = "not made yet: `make package` with the model's pictures makes it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What one runtime was measured to do."""

    golden_label: str
    golden_probability: float
    """Of the card's label for it."""
    accuracy: float | None
    agreement: float | None
    median_ms: float | None
    machine: str | None


def judge(
    precision: Precision,
    figures: Figures,
    golden: Golden,
    *,
    float32_accuracy: float,
    max_points_lost: float,
    fastest_ms: float | None,
) -> RuntimeCard:
    """Accept a runtime, or say why not.

    Args:
        precision: of its arithmetic.
        figures: what it was measured to do.
        golden: what the card says of the golden picture.
        float32_accuracy: of the network as it was trained, on the same pictures.
        max_points_lost: the most that it may lose, in percent of the pictures.
        fastest_ms: of the runtimes that were accepted before; None where none was timed.
    """
    reasons = [
        _golden_differs(precision, figures, golden),
        _loses(figures, float32_accuracy, max_points_lost),
        _does_not_pay(precision, figures, fastest_ms),
    ]
    refused = next((reason for reason in reasons if reason), None)
    return RuntimeCard(
        name=f"openvino-{precision}",  # type: ignore[arg-type]  # of a literal precision
        file=MODEL_FILES[precision],
        precision=precision,
        accepted=refused is None,
        refused=refused,
        accuracy=figures.accuracy,
        agreement=figures.agreement,
        median_ms=figures.median_ms,
        machine=figures.machine,
        golden_probability=figures.golden_probability,
        max_points_lost=max_points_lost,
    )


def absent(precision: Precision, reason: str, max_points_lost: float) -> RuntimeCard:
    """The entry of a runtime that was not made or not measured."""
    return RuntimeCard(
        name=f"openvino-{precision}",  # type: ignore[arg-type]  # of a literal precision
        file=MODEL_FILES[precision],
        precision=precision,
        accepted=False,
        refused=reason,
        accuracy=None,
        agreement=None,
        median_ms=None,
        machine=None,
        golden_probability=None,
        max_points_lost=max_points_lost,
    )


def _golden_differs(precision: Precision, figures: Figures, golden: Golden) -> str | None:
    if figures.golden_label != golden.label:
        return f"it calls the golden picture {figures.golden_label!r}, not {golden.label!r}"
    off = abs(figures.golden_probability - golden.probability)
    if precision == "fp32" and not off <= GOLDEN_FLOAT32:
        return (
            f"it is {off:.4f} away from the golden picture's probability, and float32 may be "
            f"{GOLDEN_FLOAT32} away"
        )
    return None


def _loses(figures: Figures, float32_accuracy: float, limit: float) -> str | None:
    if figures.accuracy is None or figures.agreement is None:
        return None
    lost = 100 * (float32_accuracy - figures.accuracy)
    if lost > limit + _ROUNDING:
        return f"it loses {lost:.2f} points of accuracy, and {limit:g} may be lost"
    changed = 100 * (1 - figures.agreement)
    if changed > limit + _ROUNDING:
        return f"it answers {changed:.2f} % of the pictures otherwise, and {limit:g} % may change"
    return None


def _does_not_pay(precision: Precision, figures: Figures, fastest_ms: float | None) -> str | None:
    if precision == "fp32" or figures.accuracy is None or fastest_ms is None:
        return None
    if figures.median_ms is None:
        if precision == "bf16":
            return None  # it only runs where the processor computes it, and there it is faster
        return "this processor has no fast 8-bit arithmetic to time it with"
    if figures.median_ms > PAYS_BELOW * fastest_ms:
        return (
            f"it takes {figures.median_ms:.3g} ms a picture, no less than the "
            f"{fastest_ms:.3g} ms of another that is accepted"
        )
    return None


_ROUNDING = 1e-9
"""Shares of pictures are not exact in binary."""
