"""One trial: a training whose only result is its validation loss."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from contract.hyperparameters import Hyperparameters
from contract.network import Classifier, build_backbone, build_head
from contract.strict import require
from training.data import Data
from training.finetune import finetune
from training.head import train_head
from training.run import Request, device, first_weights, input_spec, make_repeatable
from training.runlog import RunLog


class PrunedError(Exception):
    """The search has seen enough of this trial."""


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
        self.frozen: dict[tuple[str, int], tuple[nn.Module, int, Tensor]] = {}
        """Backbone and seed to the backbone, its features and torch's randomness after it."""

    def run(self, settings: Hyperparameters, log: TrialLog) -> float:
        """Train one model as `make train` would, and forget it.

        Returns:
            The objective.

        Raises:
            ContractError: the settings cannot be used, or the loss is no longer a number.
            PrunedError: the search has seen enough.
        """
        request = Request(
            data=self.data.root,
            model_dir=log.path.parent,
            output_dir=log.path.parent,
            settings=settings,
            weights=self.weights,
            cache_dir=self.cache_dir,
            checkpoint_dir=log.path.parent,
            checkpoint_seconds=float("inf"),
            profile=False,
        )
        classifier = self._classifier(request, log)
        of_head = partial(train_head, cache_dir=self.cache_dir)
        of_finetune = partial(finetune, cache_dir=self.cache_dir)
        method = of_head if settings.method == "head" else of_finetune
        method(classifier, self.data, input_spec(settings), settings, log)
        require(bool(log.curve), "training told no epoch, so there is nothing to judge it by.")
        return log.best

    def _classifier(self, request: Request, log: TrialLog) -> Classifier:
        """The layers that `training.run.train` begins with, the same bits.

        A backbone that stays frozen is built once; the randomness that the head is drawn from
        is put back to where it was after that.
        """
        settings = request.settings
        key = (settings.backbone, settings.seed)
        if key not in self.frozen or settings.method != "head":
            make_repeatable(settings.seed)
            backbone, features = build_backbone(settings.backbone)
            self.frozen = {key: (backbone, features, torch.get_rng_state())}
            fresh = True
        else:
            fresh = False
        backbone, features, randomness = self.frozen[key]
        torch.set_rng_state(randomness)
        head = build_head(features, settings.hidden_units, len(self.data.classes))
        classifier = Classifier(backbone, head, features)
        if fresh:
            first_weights(classifier, request, log)
        if settings.method != "head":
            del self.frozen[key]  # it is about to learn
        classifier.to(device(), memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        return classifier
