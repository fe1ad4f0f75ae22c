"""The training loop: the same for a head on cached features and for a whole network.

B = pictures in a batch, N = pictures in all, K = classes.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from contract.hyperparameters import Hyperparameters
from contract.model_card import Metrics
from contract.strict import require
from training import processes
from training.chance import DROPOUT, chance
from training.runlog import RunLog
from training.schedule import rate_factor, set_rates
from training.stages import Waiting, stage
from training.state import State, put

Batches = Iterable[tuple[Tensor, Tensor]]
"""Inputs, and for each a label (int64) or a distribution over the classes (float32)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lesson:
    """What a model learns from, and how it is judged."""

    pictures: int
    """In each epoch."""
    batches_of: Callable[[int, int], Batches]
    """An epoch (1, 2, ...) and the batch to begin with (0, 1, ...) to the batches from there."""
    validate: Callable[[], Metrics]
    """Judges the model as it is now; the loss decides."""
    weight_K: Tensor | None = None
    """Each class's weight in the loss, one on average over the pictures; by default all one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Epoch:
    """How an epoch went."""

    number: int
    train_loss: float
    """Mean per picture."""
    valid: Metrics
    seconds: float
    training_seconds: float
    """Of these, before validation."""
    waiting_seconds: float
    """Of these, spent on waiting for the next batch."""


class Watcher:
    """Is told how a run goes; override what you want to hear."""

    def after_features(self, names: Sequence[str], features_NF: Tensor, labels_N: Tensor) -> None:
        """What a backbone that learnt nothing here says of each training picture.

        Args:
            names: of the files, relative to the data folder.
            features_NF: of the plain views or, of several, of the first; standardised.
            labels_N: what their folders say.
        """

    def begin(self, state: State) -> None:
        """Before the first step; may load an earlier state."""

    def after_begin(self, state: State, lesson: Lesson) -> None:
        """An earlier state is loaded, if there is one; the first step comes next."""

    def after_step(self, state: State, loss: Tensor) -> None:
        """The weights have moved, by the gradients that they still have.

        Args:
            state: of the run.
            loss: mean per picture of the step, on the model's device.
        """

    def before_judging(self, state: State, train_loss: float) -> None:
        """The steps of an epoch are made; a loss that is no number ends the run now."""

    def judging(self) -> AbstractContextManager[None]:
        """While the model is judged; the state does not change."""
        return nullcontext()

    def after_epoch(self, state: State, epoch: Epoch) -> None:
        """An epoch was judged and told; the state stands at the start of the next one."""


def fit(
    network: nn.Module,
    state: State,
    lesson: Lesson,
    settings: Hyperparameters,
    log: RunLog,
    watchers: Sequence[Watcher] = (),
) -> int:
    """Train from where the state is to the last epoch; leave the model as after its best one.

    Args:
        network: inputs to logits, through the layers of `state.model`.
        state: where the run is.
        lesson: what is learnt.
        settings: epochs, rates, seed.
        log: is told every epoch.
        watchers: are told every step and epoch.

    Returns:
        The best epoch.

    Raises:
        ContractError: the loss is no longer a number.
    """
    steps = steps_by_epoch(lesson.pictures, settings)
    for watcher in watchers:
        watcher.begin(state)
    for watcher in watchers:
        watcher.after_begin(state, lesson)
    while state.epoch <= settings.epochs:
        started = time.monotonic()
        set_training(state.model, settings, state.frozen)
        batches = Waiting(lesson.batches_of(state.epoch, state.step * settings.accumulate))
        while state.step < steps:
            done = (state.epoch - 1) * steps + state.step
            pictures = pictures_in_step(state.step, lesson.pictures, settings)
            set_rates(state.optimizer, settings.learning_rate * rate_factor(done, steps, settings))
            torch.manual_seed(
                dropout_seed(settings.seed, state.epoch, state.step) + processes.number()
            )
            state.optimizer.zero_grad()
            total = torch.zeros_like(state.total)
            parts = math.ceil(pictures / settings.batch_size)
            for part, (inputs_B, targets_B) in enumerate(islice(batches, parts), 1):
                with processes.summing(network, last=part == parts):
                    with stage("forward"):
                        logits_BK = network(inputs_B).float()
                        loss = loss_sum(logits_BK, targets_B, lesson, settings)
                    with stage("backward"):
                        # Processes average their gradients; here they are parts of one sum.
                        (loss * processes.count() / pictures).backward()  # type: ignore[no-untyped-call]  # torch's stub
                total += loss.detach()
            total = processes.summed(total)
            if settings.clip_norm:
                nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip_norm)
            with stage("optimizer"):
                state.optimizer.step()
                if state.average is not None:
                    state.average.update(state.model, done + 1)
            state.total, state.seen, state.step = (
                state.total + total, state.seen + pictures, state.step + 1
            )  # fmt: skip
            for watcher in watchers:
                watcher.after_step(state, total / pictures)
        judge_epoch(state, lesson, settings, log, watchers, started, batches.seconds)
    put(state.model, state.best)
    return state.best_epoch


def judge_epoch(
    state: State,
    lesson: Lesson,
    settings: Hyperparameters,
    log: RunLog,
    watchers: Sequence[Watcher],
    started: float,
    waiting_seconds: float,
) -> None:
    """Validate after an epoch, keep the best weights, tell, and go to the next epoch."""
    state.model.eval()
    train_loss = state.total.item() / state.seen
    training_seconds = time.monotonic() - started
    for watcher in watchers:
        watcher.before_judging(state, train_loss)
    with state.judged(), stage("evaluation"):
        with ExitStack() as judging:
            for watcher in watchers:
                judging.enter_context(watcher.judging())
            valid = lesson.validate()
        require(
            math.isfinite(train_loss) and math.isfinite(valid.loss),
            f"training diverged in epoch {state.epoch}: the loss is no longer a number. "
            f"Lower learning_rate, which is {settings.learning_rate}.",
        )
        state.keep_best(valid.loss)
    epoch = Epoch(
        number=state.epoch,
        train_loss=train_loss,
        valid=valid,
        seconds=time.monotonic() - started,
        training_seconds=training_seconds,
        waiting_seconds=waiting_seconds,
    )
    tell_epoch(log, epoch, settings.epochs, state.best_loss)
    state.next_epoch()
    for watcher in watchers:
        watcher.after_epoch(state, epoch)


def loss_sum(
    logits_BK: Tensor, targets_B: Tensor, lesson: Lesson, settings: Hyperparameters
) -> Tensor:
    """The training loss of a batch, summed over its pictures: batches of a step add up."""
    return cross_entropy(
        logits_BK,
        targets_B,
        weight=lesson.weight_K,
        label_smoothing=settings.label_smoothing,
        reduction="sum",
    )


def steps_by_epoch(pictures: int, settings: Hyperparameters) -> int:
    """Of all batches; the last step may be smaller."""
    return math.ceil(pictures / (settings.batch_size * settings.accumulate))


def pictures_in_step(step: int, pictures: int, settings: Hyperparameters) -> int:
    """How many pictures a step of an epoch sees, in all its batches."""
    full = settings.batch_size * settings.accumulate
    return min(full, pictures - step * full)


def dropout_seed(seed: int, epoch: int, step: int) -> int:
    """Of the randomness inside the network, for one step."""
    return int(chance(seed, epoch, step, DROPOUT).integers(2**63))


def set_training(
    model: nn.Module, settings: Hyperparameters, frozen: Iterable[nn.Module] = ()
) -> None:
    """Dropout on, but not in frozen parts; BatchNorm follows the batches only if it is adaptive."""
    model.train()
    for part in frozen:
        part.eval()
    if settings.batch_norm == "frozen":
        for layer in model.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eval()


def tell_epoch(log: RunLog, epoch: Epoch, epochs: int, best_valid_loss: float) -> None:
    """The one line that people and tuners read."""
    log.event(
        "epoch",
        f"epoch {epoch.number:{len(str(epochs))}} of {epochs}: "
        f"train loss {epoch.train_loss:.4f}, valid loss {epoch.valid.loss:.4f}, "
        f"valid accuracy {epoch.valid.accuracy:.1%}",
        epoch=epoch.number,
        epochs=epochs,
        train_loss=epoch.train_loss,
        valid_loss=epoch.valid.loss,
        valid_accuracy=epoch.valid.accuracy,
        best_valid_loss=best_valid_loss,
        seconds=round(epoch.seconds, 3),
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
