"""What is wrong with the gradients of a run: pure functions of its observed steps.

How the thresholds were found is told in docs/decisions/0135-thresholds-of-the-rules.md.
"""

import math
from collections.abc import Sequence
from statistics import median

from contract.hyperparameters import Hyperparameters
from training.diagnostics.finding import Finding
from training.diagnostics.guessing import far_worse_than_guessing
from training.diagnostics.statistics import Step

STEPS_THAT_AGREE = 3
"""Observed steps in a row that must show the same, so that no single batch raises a finding."""

TOO_SMALL_GRADIENT = 1e-6
"""Of a layer, as a share of the largest one's."""
SHARE_OF_LAYERS = 0.2
"""That must have such gradients: single scale parameters may be small by design."""
GROWN_GRADIENT = 10.0
"""Times the median of the first observed steps."""
HUGE_GRADIENT = 1e4
"""Norm that no healthy start had."""


def vanishing_gradients(recent: Sequence[Step]) -> Finding | None:
    """Many layers get next to no gradient though the last one does."""
    if len(recent) < STEPS_THAT_AGREE or not all(math.isfinite(s.gradient_norm) for s in recent):
        return None
    faint = [_faint(step) for step in recent]
    if any(
        len(f) < max(2, SHARE_OF_LAYERS * len(s.gradients))
        for f, s in zip(faint, recent, strict=True)
    ):
        return None
    last = recent[-1]
    lowest = min(faint[-1], key=lambda name: last.gradients[name])
    return Finding(
        rule="vanishing_gradient",
        severity="warning",
        evidence=f"In epoch {last.epoch}, steps up to {last.step}, the gradients of "
        f"{len(faint[-1])} of {len(last.gradients)} layers were below {TOO_SMALL_GRADIENT:g} of "
        f"the largest, {last.largest:.1e}; the smallest was {lowest}'s, "
        f"{last.gradients[lowest]:.1e} (root mean square).",
        remedy="The weights let no signal through: start from pretrained ones (WEIGHTS), or set "
        "batch_norm to adaptive.",
        facts={
            "epoch": last.epoch,
            "step": last.step,
            "layers": faint[-1],
            "smallest": last.gradients[lowest],
            "largest": last.largest,
        },
    )


def _faint(step: Step) -> list[str]:
    """Layers whose gradient is lost beside the largest."""
    return [
        name for name, size in step.gradients.items() if size < TOO_SMALL_GRADIENT * step.largest
    ]


def exploding_gradients(
    first: Sequence[Step], recent: Sequence[Step], classes: int, settings: Hyperparameters
) -> Finding | None:
    """Gradients far larger than at the start, or than any healthy one, at a bad loss."""
    if len(recent) < STEPS_THAT_AGREE:
        return None
    usual = median(step.gradient_norm for step in first)
    limit = min(HUGE_GRADIENT, GROWN_GRADIENT * usual)
    bad = far_worse_than_guessing(classes)
    if not all(s.gradient_norm > limit and s.loss > bad for s in recent):
        return None
    last = recent[-1]
    largest = max(last.gradients, key=lambda name: last.gradients[name])
    return Finding(
        rule="exploding_gradient",
        severity="warning",
        evidence=f"In epoch {last.epoch}, steps up to {last.step}, the gradient's "
        f"norm was {last.gradient_norm:.3g} at a loss of {last.loss:.3g}; the first steps had "
        f"{usual:.3g}. The largest is {largest}'s.",
        remedy=f"Lower learning_rate, now {settings.learning_rate:g}, to a tenth, let it rise with "
        "warmup_epochs, or set clip_norm to 1.",
        facts={
            "epoch": last.epoch,
            "step": last.step,
            "gradient_norm": last.gradient_norm,
            "first_gradient_norm": usual,
            "loss": last.loss,
            "largest": largest,
        },
    )


def not_a_number(step: Step, settings: Hyperparameters) -> Finding | None:
    """The loss or the gradient is no longer a number."""
    if math.isfinite(step.loss) and math.isfinite(step.gradient_norm):
        return None
    what = "loss" if not math.isfinite(step.loss) else "gradient"
    broken = [name for name, size in step.gradients.items() if not math.isfinite(size)]
    where = f", first in {broken[0]}" if what == "gradient" and broken else ""
    return Finding(
        rule="divergence",
        severity="error",
        evidence=f"In epoch {step.epoch}, step {step.step}, the {what} was no longer a "
        f"number{where}.",
        remedy=f"Lower learning_rate, now {settings.learning_rate:g}, to a tenth, or set clip_norm "
        "to 1; with precision bf16, try fp32.",
        facts={"epoch": step.epoch, "step": step.step, "layers": broken},
    )
