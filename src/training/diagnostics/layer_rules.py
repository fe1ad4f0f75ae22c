"""What is wrong with a network's layers: pure functions of what they answered to one batch.

How the thresholds were found is told in docs/decisions/0135-thresholds-of-the-rules.md.
"""

from collections.abc import Sequence

from contract.hyperparameters import Hyperparameters
from training.diagnostics.finding import Finding
from training.diagnostics.guessing import far_worse_than_guessing, guessing
from training.diagnostics.statistics import Layer

SILENT_SHARE = 0.5
"""Of a layer's units."""
FADED_SIGNAL = 1e-5
SWOLLEN_SIGNAL = 1e5
"""Spread of a layer's output for pictures of unit variance."""


def dead_units(layers: Sequence[Layer], epoch: int, settings: Hyperparameters) -> Finding | None:
    """In some layer most units are off whatever the picture, so they cannot learn."""
    dead = [layer for layer in layers if layer.silent > SILENT_SHARE * layer.units]
    if not dead:
        return None
    worst = max(dead, key=lambda layer: layer.silent / layer.units)
    return Finding(
        rule="dead_units",
        severity="warning",
        evidence=f"After epoch {epoch}, {worst.silent} of {worst.units} units of {worst.name} were "
        f"off for every picture looked at; {len(dead)} "
        f"{'layers have' if len(dead) > 1 else 'layer has'} more than half of them off.",
        remedy=f"Lower learning_rate, now {settings.learning_rate:g}: one large step switches "
        "units off for good; warmup_epochs make the first steps small.",
        facts={"epoch": epoch, "layers": {x.name: [x.silent, x.units] for x in dead}},
    )


def poor_initialisation(layers: Sequence[Layer], first_loss: float, classes: int) -> Finding | None:
    """Before the first step the signal fades or swells, or answers are surer than they can be."""
    faded = [x for x in layers if x.spread < FADED_SIGNAL]
    swollen = [x for x in layers if not x.spread < SWOLLEN_SIGNAL]
    bad = far_worse_than_guessing(classes)
    if faded or swollen:
        odd = (faded or swollen)[0]
        found = (
            f"Before the first step the signal {'fades' if faded else 'swells'}: the output of "
            f"{odd.name} has a spread of {odd.spread:.1e}, and so have {len(faded or swollen)} of "
            f"{len(layers)} layers."
        )
    elif not first_loss < bad:
        found = (
            f"The first batch has a loss of {first_loss:.3g}; answering {classes} classes at "
            f"random has {guessing(classes):.3g}."
        )
    else:
        return None
    return Finding(
        rule="poor_initialisation",
        severity="warning",
        evidence=found,
        remedy="Start from pretrained weights (WEIGHTS=imagenet or a file); with random ones, set "
        "batch_norm to adaptive.",
        facts={
            "first_loss": first_loss,
            "spreads": {x.name: x.spread for x in [*faded, *swollen]},
        },
    )
