"""Watches a run and tells each finding as it arises.

B = pictures in a batch, N = pictures, F = features, K = classes.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from contract.hyperparameters import Hyperparameters
from training.diagnostics.crossed import out_of_sample
from training.diagnostics.curve_rules import (
    EPOCHS_LOOKED_AT,
    data_loader_bound,
    diverging,
    loss_not_decreasing,
    over_fitting,
    over_training,
)
from training.diagnostics.data_rules import (
    class_imbalance,
    corrupt_files,
    leaks,
    mislabelled_folders,
)
from training.diagnostics.finding import Finding, tell_finding
from training.diagnostics.gradient_rules import (
    STEPS_THAT_AGREE,
    exploding_gradients,
    not_a_number,
    vanishing_gradients,
)
from training.diagnostics.layer_rules import dead_units, poor_initialisation
from training.diagnostics.statistics import PICTURES, Epoch, Step, activity, observed_step
from training.loop import Epoch as LoopEpoch
from training.loop import Lesson, Watcher
from training.predictions import Predictions
from training.runlog import RunLog
from training.state import State

STEPS_BETWEEN_LOOKS = 10
"""Gradients are looked at so often, and in the first steps of each epoch. Layers are looked at
after epochs 1, 2, 4, 8, ... and the last one."""


class Diagnosis(Watcher):
    """Applies the rules while a run goes; each finding is told once."""

    def __init__(self, log: RunLog, settings: Hyperparameters, classes: Sequence[str]) -> None:
        self.log = log
        self.settings = settings
        self.classes = classes
        self.findings: list[Finding] = []
        self.first_steps: list[Step] = []
        self.last_steps: list[Step] = []
        self.first_epochs: list[Epoch] = []
        self.last_epochs: list[Epoch] = []
        self.best: Epoch | None = None
        self.sample_B: Tensor | None = None
        self.seconds = 0.0
        """Spent on looking."""

    def tell(self, finding: Finding | None) -> None:
        """Keep and tell what is new: a rule once, a folder once."""
        told = {(f.rule, f.facts.get("folder")) for f in self.findings}
        if finding is not None and (finding.rule, finding.facts.get("folder")) not in told:
            self.findings.append(finding)
            tell_finding(self.log, finding)

    def look_at_data(self, report: dict[str, Any]) -> None:
        """Judge what `training.data_report` counted."""
        self.tell(leaks(report))
        self.tell(corrupt_files(report))
        self.tell(class_imbalance(report, balanced=self.settings.balanced))

    def after_features(self, names: Sequence[str], features_NF: Tensor, labels_N: Tensor) -> None:
        """Look for folders of training pictures that look like another label."""
        answers_N = out_of_sample(features_NF, labels_N, len(self.classes), self.settings.seed)
        for finding in mislabelled_folders(names, labels_N, answers_N, self.classes):
            self.tell(finding)

    def look_at_answers(self, predictions: Predictions) -> None:
        """Look for folders of held-out pictures that look like another label."""
        for part in predictions.splits.values():
            answers_N = part.logits_NK.argmax(1)
            for finding in mislabelled_folders(part.files, part.labels_N, answers_N, self.classes):
                self.tell(finding)

    def after_begin(self, state: State, lesson: Lesson) -> None:
        """Before the first step: a batch to look at layers with, and how they start."""
        started = time.perf_counter()
        inputs_B, targets_B = next(iter(lesson.batches_of(1, 0)))
        few_B = inputs_B[:PICTURES] if inputs_B.dim() > 2 else inputs_B
        self.sample_B = few_B.float()  # maps may be bf16
        if state.epoch == 1 and state.step == 0:
            logits_BK, layers = activity(state.network, self.sample_B)
            loss = cross_entropy(logits_BK, targets_B[: len(logits_BK)]).item()
            self.tell(poor_initialisation(layers, loss, len(self.classes)))
        self.seconds += time.perf_counter() - started

    def after_step(self, state: State, loss: Tensor) -> None:
        """Look at the gradients, now and then."""
        if state.step > STEPS_THAT_AGREE and state.step % STEPS_BETWEEN_LOOKS:
            return
        started = time.perf_counter()
        step = observed_step(state.model, state.epoch, state.step, loss)
        if len(self.first_steps) < STEPS_THAT_AGREE:
            self.first_steps.append(step)
        self.last_steps = [*self.last_steps, step][-STEPS_THAT_AGREE:]
        self.tell(not_a_number(step, self.settings))
        self.tell(vanishing_gradients(self.last_steps))
        self.tell(
            exploding_gradients(self.first_steps, self.last_steps, len(self.classes), self.settings)
        )
        self.seconds += time.perf_counter() - started

    def before_judging(self, state: State, train_loss: float) -> None:
        """The loop gives a run up whose loss is no number; say so first."""
        if not math.isfinite(train_loss):
            step = Step(
                epoch=state.epoch,
                step=state.step,
                loss=train_loss,
                gradient_norm=math.nan,
                largest=math.nan,
                gradients={},
            )
            self.tell(not_a_number(step, self.settings))

    def after_epoch(self, state: State, epoch: LoopEpoch) -> None:
        """Look at the curves and the layers."""
        started = time.perf_counter()
        now = Epoch(
            epoch=epoch.number,
            train_loss=epoch.train_loss,
            valid_loss=epoch.valid.loss,
            valid_accuracy=epoch.valid.accuracy,
            valid_pictures=epoch.valid.pictures,
            seconds=epoch.training_seconds,
            waiting_seconds=epoch.waiting_seconds,
        )
        if (
            epoch.number > self.settings.warmup_epochs
            and len(self.first_epochs) <= EPOCHS_LOOKED_AT
        ):
            self.first_epochs.append(now)
        self.last_epochs = [*self.last_epochs, now][-EPOCHS_LOOKED_AT:]
        if self.best is None or now.valid_loss < self.best.valid_loss:
            self.best = now
        # A run may have thousands of epochs; these few say all that the rules ask.
        known = {e.epoch: e for e in (*self.first_epochs, self.best, *self.last_epochs)}
        epochs = [known[number] for number in sorted(known)]
        classes = len(self.classes)
        self.tell(diverging(epochs, classes, self.settings))
        self.tell(loss_not_decreasing(self.first_epochs, classes, self.settings))
        self.tell(over_fitting(epochs, self.settings))
        self.tell(over_training(epochs))
        self.tell(data_loader_bound(epochs))
        last = epoch.number == self.settings.epochs
        if self.sample_B is not None and (last or epoch.number.bit_count() == 1):
            _, layers = activity(state.network, self.sample_B)
            self.tell(dead_units(layers, epoch.number, self.settings))
        self.seconds += time.perf_counter() - started
