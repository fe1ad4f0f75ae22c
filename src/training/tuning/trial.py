"""One trial: a training whose only result is its validation loss."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from contract.hyperparameters import Hyperparameters
from contract.network import Classifier, build_backbone, build_head
from contract.strict import require
from training.data import Data
from training.finetune import finetune
from training.head import HeadFeatures, fit_at_once, fit_by_steps, head_features
from training.run import Request, device, first_weights, input_spec, make_repeatable
from training.runlog import RunLog

FROZEN_BY = ("backbone", "image_size_px", "views", "seed", "precision", "compiled")
"""Hyperparameters that decide a frozen backbone's features; heads differ in all others."""
MOST_FROZEN = 2
"""Sets of features in memory at once; others are in the cache on disk."""
Key = tuple[Any, ...]


class PrunedError(Exception):
    """The search has seen enough of this trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """What all heads on one backbone share."""

    width: int
    """How many features it returns for a picture."""
    randomness: Tensor
    """torch's, after the backbone was built: a head is drawn from there."""
    seen: HeadFeatures


class TrialLog(RunLog):
    """Keeps a trial's events in its folder, and tells the search what it wants to know."""

    def __init__(
        self,
        folder: Path,
        tell_epoch: Callable[[int, float], None],
        tell: Callable[[str, str, Mapping[str, Any]], None],
    ) -> None:
        """Begin anew.

        Args:
            folder: for metrics.jsonl; what an earlier attempt left there goes.
            tell_epoch: is given each epoch's number and the lowest loss so far.
            tell: is given `progress` or `warning`, a sentence, and facts for programs.
        """
        super().__init__(folder)
        self.begin()
        self.tell_epoch, self.tell = tell_epoch, tell
        self.curve: list[float] = []
        """Validation loss of each epoch."""
        self.best = math.inf
        """The objective: mean loss per validation picture of the best epoch so far, in nats."""

    def event(self, event: str, text: str, **facts: Any) -> None:
        """Record one event."""
        self._record(event, facts)
        if event == "epoch":
            self.curve.append(facts["valid_loss"])
            self.best = facts["best_valid_loss"]
            self.tell_epoch(facts["epoch"], self.best)
        elif event == "progress":
            self.tell(event, text, facts)

    def note(self, event: str, **facts: Any) -> None:
        """Record one event."""
        self._record(event, facts)

    def warn(self, text: str) -> None:
        """Record a warning; the search says it once."""
        self._record("warning", {"message": text})
        self.tell("warning", text, {})


class Trials:
    """Runs trials, and keeps between them what is the same for all."""

    def __init__(self, data: Data, weights: str, cache_dir: Path) -> None:
        """Keep what all trials share.

        Args:
            data: pictures for training and validation.
            weights: as for `make train`.
            cache_dir: of features and resized pictures.
        """
        self.data, self.weights, self.cache_dir = data, weights, cache_dir
        self.frozen: dict[Key, Frozen] = {}

    def run(self, settings: Hyperparameters, log: TrialLog) -> float:
        """Train one model as `make train` would, and forget it.

        Returns:
            The objective.

        Raises:
            ContractError: the settings cannot be used, or the loss is no longer a number.
            PrunedError: the search has seen enough.
        """
        if settings.method == "head":
            frozen = self._frozen(settings, log)
            torch.set_rng_state(frozen.randomness)
            head = build_head(frozen.width, settings.hidden_units, len(self.data.classes))
            classifier = Classifier(nn.Identity(), head, frozen.width)
            train_on_features(classifier, frozen.seen, settings, log)
        else:
            classifier, _ = self._classifier(settings, log)
            finetune(
                classifier,
                self.data,
                input_spec(settings),
                settings,
                log,
                cache_dir=self.cache_dir,
            )
        require(bool(log.curve), "training told no epoch, so there is nothing to judge it by.")
        return log.best

    def _frozen(self, settings: Hyperparameters, log: TrialLog) -> Frozen:
        """What a frozen backbone says, computed or read once for all heads that learn from it."""
        key = tuple(getattr(settings, name) for name in FROZEN_BY)
        if key not in self.frozen:
            classifier, randomness = self._classifier(settings, log)
            spec = input_spec(settings)
            seen = head_features(
                classifier, self.data, spec, settings, log, cache_dir=self.cache_dir
            )
            if len(self.frozen) == MOST_FROZEN:
                del self.frozen[next(iter(self.frozen))]
            self.frozen[key] = Frozen(width=classifier.features, randomness=randomness, seen=seen)
        return self.frozen[key]

    def _classifier(self, settings: Hyperparameters, log: TrialLog) -> tuple[Classifier, Tensor]:
        """The layers that `training.run.train` begins with, the same bits.

        Returns:
            Them, and torch's randomness between the backbone and the head.
        """
        folder = log.path.parent
        request = Request(
            data=self.data.root,
            model_dir=folder,
            output_dir=folder,
            settings=settings,
            weights=self.weights,
            cache_dir=self.cache_dir,
            checkpoint_dir=folder,
            checkpoint_seconds=math.inf,
            profile=False,
        )
        make_repeatable(settings.seed)
        backbone, width = build_backbone(settings.backbone)
        randomness = torch.get_rng_state()
        head = build_head(width, settings.hidden_units, len(self.data.classes))
        classifier = Classifier(backbone, head, width)
        first_weights(classifier, request, log)
        classifier.to(device(), memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        return classifier, randomness


def train_on_features(
    classifier: Classifier, seen: HeadFeatures, settings: Hyperparameters, log: TrialLog
) -> None:
    """As `training.head.train_head` does once it has the features."""
    if settings.solver == "adam":
        fit_by_steps(classifier, seen, settings, log)
    else:
        fit_at_once(classifier, seen, settings, log)
