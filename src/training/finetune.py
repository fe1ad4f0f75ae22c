"""The method `finetune`: the backbone learns, too; all of it or its last stages.

B = pictures in a batch, N = pictures in all, C = 3 channels (RGB), S = side of the network's
input in pixels, K = classes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from contract.hyperparameters import Hyperparameters
from contract.model_card import InputSpec, Metrics
from contract.network import Classifier
from training import processes
from training.answers import BATCH, answers
from training.batches import Views, train_batches
from training.chance import shuffled
from training.data import Data
from training.data.store import Store, open_store
from training.data.workers import side_by_side
from training.faster import Speed, Swift
from training.features import View
from training.freezing import follow_batches, freeze
from training.head import head_features
from training.identity import weights_sha256
from training.loop import Batches, Lesson, Watcher, fit, measure, set_training
from training.maps import Maps
from training.mixing import mixed
from training.probe import Work
from training.runlog import RunLog
from training.solvers import class_weights
from training.speed import choose_speed
from training.start import begin_head
from training.state import new_state
from training.trunk import cut, first_learning, stages_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What is fine-tuned, on what."""

    classifier: Classifier
    data: Data
    store: Store
    """Reads pictures, for the network's input."""
    settings: Hyperparameters
    log: RunLog
    cache_dir: Path

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.classifier.parameters()).device


def finetune(
    classifier: Classifier,
    data: Data,
    spec: InputSpec,
    settings: Hyperparameters,
    log: RunLog,
    watchers: Sequence[Watcher] = (),
    *,
    cache_dir: Path,
) -> tuple[int, Tensor]:
    """Fit a head, then train it together with the last stages of the backbone, or all of them.

    Returns:
        The best epoch, and the logits (N, K) of the validation pictures after it.

    Raises:
        ContractError: the backbone has not so many stages, or the settings do not go together.
    """
    valid = data.split("valid")
    read = [*data.split("train"), *valid]
    store = open_store(read, settings.epochs, spec, cache_dir, log)
    subject = Subject(
        classifier=classifier, data=data, store=store, settings=settings, log=log,
        cache_dir=cache_dir,
    )  # fmt: skip
    backbone = classifier.backbone
    stages = stages_of(backbone)
    begin = first_learning(stages, settings.stages, settings.backbone)
    seen = head_features(
        classifier, data, spec, replace(settings, views=1), log, cache_dir=cache_dir
    )
    names = [p.path.relative_to(data.root).as_posix() for p in data.split("train")]
    for watcher in watchers:
        watcher.after_features(names, seen.views_NF[0], seen.train_N)
    freeze(stages[:begin])
    if settings.batch_norm == "adaptive":
        follow_batches(classifier)
    still = [backbone.get_submodule(path) for stage in stages[:begin] for path in stage.paths]
    set_training(classifier, settings, still)
    few = shuffled(len(names), settings.seed, 0)[: settings.batch_size]
    begin_head(classifier, seen, *examples(subject, few), settings, log)
    speed = training_speed(subject)
    if begin > 0 and (settings.augmentation == "none" or settings.views > 1):
        lower, upper = cut(backbone.eval(), stages, begin)
        network: nn.Module = nn.Sequential(upper, classifier.head)
        lesson = on_maps(subject, Maps(lower, speed, store, cache_dir, log), network)
    else:
        network, lesson = classifier, on_pictures(subject)
    set_training(classifier, settings, still)
    state = new_state(classifier, settings, stages[begin:], still, network)
    swift = Swift(network, speed, settings.batch_size // processes.count())
    best = fit(processes.parallel(swift), state, lesson, settings, log, watchers)
    return best, answers(classifier, valid, spec, log, "validation", store.plain)


def on_pictures(subject: Subject) -> Lesson:
    """Learn from views of the pictures, made anew in each epoch."""
    settings, data, store = subject.settings, subject.data, subject.store
    train, valid = data.split("train"), data.split("valid")
    numbers, valid_N = data.numbers(train), torch.tensor(data.numbers(valid))
    views = Views(
        pictures=train, store=store, augmentation=settings.augmentation, seed=settings.seed
    )

    def batches_of(epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        batches = train_batches(
            views, numbers, batch_size=settings.batch_size, epoch=epoch, first=first
        )
        yield from prepared(subject, batches, epoch, first)

    def validate() -> Metrics:
        network, log = subject.classifier, subject.log
        logits_NK = answers(network, valid, store.spec, log, "validation", store.plain)
        return measure(logits_NK, valid_N)

    return lesson_of(subject, batches_of, validate)


def on_maps(subject: Subject, maps: Maps, network: nn.Module) -> Lesson:
    """Learn from what the frozen stages said of the pictures: of plain views, or of several.

    Args:
        subject: what is fine-tuned.
        maps: of the frozen stages.
        network: maps to logits, by the stages that learn.
    """
    settings, data = subject.settings, subject.data
    train, valid = data.split("train"), data.split("valid")
    train_N, valid_N = torch.tensor(data.numbers(train)), torch.tensor(data.numbers(valid))
    plain = View(seed=settings.seed)
    views = [plain] if settings.views == 1 else [
        View(number=number, seed=settings.seed, augmentation=settings.augmentation)
        for number in range(1, settings.views + 1)
    ]  # fmt: skip
    train_maps = [maps.of(train, view) for view in views]
    valid_maps_N = maps.of(valid, plain)

    def batches_of(epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        maps_N = train_maps[(epoch - 1) % len(train_maps)]
        order = torch.tensor(shuffled(len(train), settings.seed, epoch))
        batches = order.split(settings.batch_size)[first:]  # type: ignore[no-untyped-call]  # torch's stub

        def make(batch: Tensor) -> tuple[Tensor, Tensor]:
            picked = torch.tensor(processes.share(batch.tolist()), dtype=torch.int64)
            return maps_N[picked], train_N[picked]

        yield from prepared(subject, side_by_side(make, batches, 1), epoch, first)

    @torch.inference_mode()
    def validate() -> Metrics:
        parts = [
            network(moved(part, subject.device).float()).float().cpu()
            for part in valid_maps_N.split(BATCH)  # type: ignore[no-untyped-call]  # torch's stub
        ]
        return measure(torch.cat(parts), valid_N)

    return lesson_of(subject, batches_of, validate)


def prepared(
    subject: Subject, batches: Iterator[tuple[Tensor, Tensor]], epoch: int, first: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """This process's share of batches on the network's device, mixed if that was asked for."""
    settings, pictures = subject.settings, len(subject.data.split("train"))
    for number, (inputs_B, labels_B) in enumerate(batches, first):
        inputs_B, labels_B = moved(inputs_B, subject.device), moved(labels_B, subject.device)
        if not settings.mixup:
            yield inputs_B, labels_B
            continue
        start = number * settings.batch_size
        yield mixed(
            inputs_B,
            labels_B,
            processes.share(range(start, min(start + settings.batch_size, pictures))),
            classes=len(subject.data.classes),
            alpha=settings.mixup,
            seed=settings.seed,
            epoch=epoch,
        )


def moved(values: Tensor, device: torch.device) -> Tensor:
    """Values on a device, pictures with their channels last; a GPU goes on working meanwhile."""
    if values.dim() == 4:
        values = values.contiguous(memory_format=torch.channels_last)
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def lesson_of(
    subject: Subject, batches_of: Callable[[int, int], Batches], validate: Callable[[], Metrics]
) -> Lesson:
    """A lesson on the training pictures, balanced if that was asked for."""
    labels_N = torch.tensor(subject.data.numbers(subject.data.split("train")))
    weight_K = class_weights(labels_N, len(subject.data.classes)).to(subject.device)
    return Lesson(
        pictures=len(labels_N),
        batches_of=batches_of,
        validate=validate,
        weight_K=weight_K if subject.settings.balanced else None,
    )


def examples(subject: Subject, places: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The plain views of a few training pictures, (B, C, S, S), and their class numbers (B)."""
    train = subject.data.split("train")
    some = [train[place] for place in places]
    views = [View().pixels(picture, 0, subject.store) for picture in some]
    labels_B = torch.tensor(subject.data.numbers(some))
    images_BCSS = torch.from_numpy(np.stack(views))
    return moved(images_BCSS, subject.device), moved(labels_B, subject.device)


def training_speed(subject: Subject) -> Speed:
    """How to run forward and backward passes: asked for, or timed if the run is worth it."""
    settings = subject.settings
    train = range(len(subject.data.split("train")))
    work = Work(
        kind="train",
        network=subject.classifier,
        pictures=len(train) * settings.epochs,
        size_px=subject.store.spec.size_px,
        examples=lambda: examples(subject, train[: settings.batch_size]),
        batch=settings.batch_size // processes.count(),
        weights=weights_sha256(subject.classifier),
    )
    return choose_speed(work, settings, subject.cache_dir, subject.log)
