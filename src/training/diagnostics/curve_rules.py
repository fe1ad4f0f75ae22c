"""What is wrong with the course of a run: pure functions of its epochs.

How the thresholds were found is told in docs/decisions/0135-thresholds-of-the-rules.md.
"""

import math
from collections.abc import Sequence

from contract.hyperparameters import Hyperparameters
from training.diagnostics.finding import Finding
from training.diagnostics.guessing import far_worse_than_guessing, guessing
from training.diagnostics.statistics import Epoch

LEAST_FALL = 0.01
"""Of the training loss over the epochs looked at."""
EPOCHS_LOOKED_AT = 3
RISE = 0.1
"""Of the validation loss above its best, to which comes what few pictures may differ by."""
FALL_MEANWHILE = 0.2
"""Of the training loss since that best."""
STALE_EPOCHS = 5
WAITING_SHARE = 0.5
WAITING_SECONDS = 30.0
"""Below this, an epoch is too short to be worth a remedy."""


def diverging(epochs: Sequence[Epoch], classes: int, settings: Hyperparameters) -> Finding | None:
    """The loss stays a number, but a whole epoch was far worse than guessing."""
    last, bad = epochs[-1], far_worse_than_guessing(classes)
    if last.train_loss <= bad and (last.valid_loss <= bad or last.train_loss < guessing(classes)):
        return None
    return Finding(
        rule="divergence",
        severity="error" if last.valid_loss > bad else "warning",
        evidence=f"Epoch {last.epoch} had a training loss of {last.train_loss:.3g} and a "
        f"validation loss of {last.valid_loss:.3g}; answering {classes} classes at random has "
        f"{guessing(classes):.3g}.",
        remedy=f"Lower learning_rate, now {settings.learning_rate:g}, to a tenth, or let it rise "
        "with warmup_epochs.",
        facts={"epoch": last.epoch, "train_loss": last.train_loss, "valid_loss": last.valid_loss},
    )


def loss_not_decreasing(
    epochs: Sequence[Epoch], classes: int, settings: Hyperparameters
) -> Finding | None:
    """Some epochs after the warm-up, the training loss is where it was."""
    after = [e for e in epochs if e.epoch > settings.warmup_epochs][: EPOCHS_LOOKED_AT + 1]
    if len(after) <= EPOCHS_LOOKED_AT:
        return None
    first, best = after[0].train_loss, min(e.train_loss for e in after[1:])
    if best < (1 - LEAST_FALL) * first or first < 0.5 * guessing(classes):
        return None
    grew = after[-1].train_loss > 1.1 * first
    return Finding(
        rule="loss_not_decreasing",
        severity="warning",
        evidence=f"The training loss was {first:.4g} in epoch {after[0].epoch} and "
        f"{after[-1].train_loss:.4g} in epoch {after[-1].epoch}; answering {classes} classes at "
        f"random has {guessing(classes):.4g}.",
        remedy=f"{'Lower' if grew else 'Raise'} learning_rate, now {settings.learning_rate:g}, to "
        + (
            "a tenth."
            if grew
            else "ten times that; if it stays, the network cannot tell the labels by the pictures."
        ),
        facts={"train_losses": [e.train_loss for e in after]},
    )


def over_fitting(epochs: Sequence[Epoch], settings: Hyperparameters) -> Finding | None:
    """The validation loss rises while the training loss goes on falling."""
    best, last = min(epochs, key=lambda e: e.valid_loss), epochs[-1]
    since = [e for e in epochs if e.epoch > best.epoch]
    if len(since) < EPOCHS_LOOKED_AT:
        return None
    rise = min(e.valid_loss for e in since[-EPOCHS_LOOKED_AT:]) / best.valid_loss - 1
    limit = RISE + 2 / math.sqrt(best.valid_pictures)
    fell = last.train_loss < (1 - FALL_MEANWHILE) * best.train_loss
    if rise < limit or not fell or last.train_loss > last.valid_loss:
        return None
    return Finding(
        rule="over_fitting",
        severity="warning",
        evidence=f"Since epoch {best.epoch} the validation loss rose from {best.valid_loss:.4g} to "
        f"{last.valid_loss:.4g} while the training loss fell from {best.train_loss:.4g} to "
        f"{last.train_loss:.4g}.",
        remedy=_against_over_fitting(settings),
        facts={
            "best_epoch": best.epoch,
            "epoch": last.epoch,
            "best_valid_loss": best.valid_loss,
            "valid_loss": last.valid_loss,
            "train_loss": last.train_loss,
        },
    )


def _against_over_fitting(settings: Hyperparameters) -> str:
    decay = f"raise weight_decay, now {settings.weight_decay:g}"
    if settings.method == "head":
        smaller = (
            f", or lower hidden_units, now {settings.hidden_units}" if settings.hidden_units else ""
        )
        views = f"Raise views, now {settings.views}, to show each picture differently"
        return f"{views}; {decay}{smaller}."
    stages = "train the last stages only (stages)" if settings.stages == 0 else "lower stages"
    vary = f"Set augmentation, now {settings.augmentation}, to trivial, or mixup to 0.2"
    return f"{vary}; {stages}; {decay}."


def over_training(epochs: Sequence[Epoch]) -> Finding | None:
    """The run goes on long after its best epoch, and is getting worse."""
    best, last = min(epochs, key=lambda e: e.valid_loss), epochs[-1]
    stale = last.epoch - best.epoch
    if stale < max(STALE_EPOCHS, best.epoch):
        return None
    recent = min(e.valid_loss for e in epochs[-EPOCHS_LOOKED_AT:])
    if recent < (1 + RISE / 2 + 1 / math.sqrt(best.valid_pictures)) * best.valid_loss:
        return None
    return Finding(
        rule="over_training",
        severity="notice",
        evidence=f"Epoch {best.epoch} was the best, with a validation loss of "
        f"{best.valid_loss:.4g}; {stale} epochs later it is {last.valid_loss:.4g}.",
        remedy=f"Set epochs to about {max(1, round(1.5 * best.epoch))}: the best epoch's weights "
        "are kept either way, the rest costs time only; or raise weight_decay.",
        facts={"best_epoch": best.epoch, "epoch": last.epoch, "valid_loss": last.valid_loss},
    )


def data_loader_bound(epochs: Sequence[Epoch]) -> Finding | None:
    """Training waits for pictures more than it computes."""
    last = epochs[-1]
    if last.waiting_seconds < max(WAITING_SECONDS, WAITING_SHARE * last.seconds):
        return None
    return Finding(
        rule="data_loader_bound",
        severity="notice",
        evidence=f"Epoch {last.epoch} waited {last.waiting_seconds:.0f} of {last.seconds:.0f} "
        "seconds for pictures.",
        remedy="Give the machine more cores for each GPU, keep --cache-dir on a fast disk so that "
        "resized pictures are read, not decoded, or lower image_size_px; `make train PROFILE=1` "
        "shows where the time goes.",
        facts={
            "epoch": last.epoch,
            "waiting_seconds": last.waiting_seconds,
            "seconds": last.seconds,
        },
    )
