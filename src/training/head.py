"""The method `head`: a frozen backbone whose features are computed once.

N = pictures in all, F = features, K = classes, B = pictures in a batch, C = 3 channels (RGB),
S = side of the network's input in pixels.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from contract.hyperparameters import Hyperparameters
from contract.model_card import InputSpec, Metrics
from contract.network import Classifier
from training import processes
from training.answers import BATCH, one_thread
from training.chance import shuffled
from training.data import Data
from training.data.store import Store, open_store
from training.faster import Speed
from training.features import Source, Tally, View, features
from training.identity import weights_sha256
from training.loop import Epoch, Lesson, Watcher, fit, measure, tell_epoch
from training.probe import Work
from training.runlog import RunLog
from training.solvers import class_weights, closed_form_head, fold, standard
from training.speed import choose_speed
from training.state import new_state


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadFeatures:
    """All that a head learns from and is judged by."""

    views_NF: tuple[Tensor, ...]
    """Features of the training pictures, float32, one for each view."""
    train_N: Tensor
    """Their class numbers."""
    valid_NF: Tensor
    """Features of the plain validation pictures, computed as serving computes them: in fp32."""
    valid_N: Tensor


def train_head(
    classifier: Classifier,
    data: Data,
    spec: InputSpec,
    settings: Hyperparameters,
    log: RunLog,
    watchers: Sequence[Watcher] = (),
    *,
    cache_dir: Path,
) -> tuple[int, Tensor]:
    """Train the head; the backbone sees every view of a picture once and does not change.

    Returns:
        The best epoch, and the logits (N, K) of the validation pictures after it.
    """
    seen = head_features(classifier, data, spec, settings, log, cache_dir=cache_dir)
    mean_F, std_F = standard(*seen.views_NF)
    names = [p.path.relative_to(data.root).as_posix() for p in data.split("train")]
    for watcher in watchers:
        watcher.after_features(names, (seen.views_NF[0] - mean_F) / std_F, seen.train_N)
    if settings.solver == "adam":
        return fit_by_steps(classifier, seen, settings, log, watchers)
    return fit_at_once(classifier, seen, settings, log)


def fit_by_steps(
    classifier: Classifier,
    seen: HeadFeatures,
    settings: Hyperparameters,
    log: RunLog,
    watchers: Sequence[Watcher] = (),
) -> tuple[int, Tensor]:
    """Train the head epoch by epoch; an epoch sees the next view, and after the last the first.

    Returns:
        The best epoch, and the logits (N, K) of the validation pictures after it.
    """
    mean_F, std_F = standard(*seen.views_NF)
    views_NF = [(view_NF - mean_F) / std_F for view_NF in seen.views_NF]
    valid_NF = (seen.valid_NF - mean_F) / std_F
    head = classifier.head.cpu()
    classes = [layer for layer in head.modules() if isinstance(layer, nn.Linear)][-1].out_features

    def batches_of(epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        view_NF = views_NF[(epoch - 1) % len(views_NF)]
        order = shuffled(len(view_NF), settings.seed, epoch)
        for start in range(first * settings.batch_size, len(order), settings.batch_size):
            picked = order[start : start + settings.batch_size]
            yield view_NF[picked], seen.train_N[picked]

    @torch.inference_mode()
    def validate() -> Metrics:
        return measure(head(valid_NF), seen.valid_N)

    lesson = Lesson(
        pictures=len(seen.train_N),
        batches_of=batches_of,
        validate=validate,
        weight_K=class_weights(seen.train_N, classes) if settings.balanced else None,
    )
    with one_thread(), processes.alone():
        best = fit(head, new_state(head, settings), lesson, settings, log, watchers)
        fold(head, mean_F, std_F)
        with torch.inference_mode():
            return best, head(seen.valid_NF)


def fit_at_once(
    classifier: Classifier, seen: HeadFeatures, settings: Hyperparameters, log: RunLog
) -> tuple[int, Tensor]:
    """Fit a linear head by a closed form or L-BFGS, on all views together.

    Tuners are told of it as of one epoch.

    Returns:
        Epoch 1, and the logits (N, K) of the validation pictures.
    """
    started = time.monotonic()
    fitted = closed_form_head(
        torch.cat(seen.views_NF),
        seen.train_N.repeat(len(seen.views_NF)),
        seen.valid_NF,
        seen.valid_N,
        classifier.head.out_features,  # type: ignore[arg-type]  # a linear head's
        solver="ridge" if settings.solver == "ridge" else "lbfgs",
        balanced=settings.balanced,
        label_smoothing=settings.label_smoothing,
    )
    head = classifier.head = fitted.head
    with one_thread(), torch.inference_mode():
        logits_NK = head(seen.valid_NF)
        train_loss = measure(head(seen.views_NF[0]), seen.train_N).loss
    log.event(
        "solver",
        f"{settings.solver}: strength {fitted.strength:.3g} of {len(fitted.losses)} tried",
        solver=settings.solver,
        strength=fitted.strength,
        losses={f"{strength:.3g}": loss for strength, loss in fitted.losses.items()},
    )
    valid = measure(logits_NK, seen.valid_N)
    seconds = time.monotonic() - started
    epoch = Epoch(
        number=1,
        train_loss=train_loss,
        valid=valid,
        seconds=seconds,
        training_seconds=seconds,
        waiting_seconds=0.0,
    )
    tell_epoch(log, epoch, 1, valid.loss)
    return 1, logits_NK


def head_features(
    classifier: Classifier,
    data: Data,
    spec: InputSpec,
    settings: Hyperparameters,
    log: RunLog,
    *,
    cache_dir: Path,
) -> HeadFeatures:
    """What the backbone says to the pictures, from the cache where it is there.

    Args:
        classifier: its backbone, on its device, is put into eval mode.
        data: training and validation pictures.
        spec: what the network expects.
        settings: `views`: 1 is the plain one; of more, each is random, as in an epoch of its
            number. `precision` and `compiled` concern training pictures only.
        log: is told how many features were there and how many were computed.
        cache_dir: of features and of figures on speed.
    """
    train, valid = data.split("train"), data.split("valid")
    plain = View()
    views = [plain] if settings.views == 1 else [
        View(number=number, seed=settings.seed, augmentation=settings.augmentation)
        for number in range(1, settings.views + 1)
    ]  # fmt: skip
    backbone = classifier.backbone.eval()
    exact = Source(
        backbone=backbone,
        name=settings.backbone,
        weights=weights_sha256(backbone),
        store=Store(spec, None, log.warn),
        speed=Speed(),
    )
    store = open_store(train, len(views), spec, cache_dir, log)

    def examples() -> tuple[Tensor, Tensor]:
        pixels = [views[0].pixels(picture, i, store) for i, picture in enumerate(train[:BATCH])]
        images_BCSS = torch.from_numpy(np.stack(pixels))
        device = next(backbone.parameters()).device
        labels_B = torch.tensor(data.numbers(train[:BATCH]), device=device)
        return images_BCSS.to(device, memory_format=torch.channels_last), labels_B

    work = Work(
        kind="forward",
        network=backbone,
        pictures=len(train) * len(views),
        size_px=spec.size_px,
        examples=examples,
        batch=BATCH,
        weights=exact.weights,
    )
    with one_thread():
        swift = replace(exact, store=store, speed=choose_speed(work, settings, cache_dir, log))
    tally = Tally()
    seen = HeadFeatures(
        views_NF=tuple(features(swift, train, view, cache_dir, log, tally) for view in views),
        train_N=torch.tensor(data.numbers(train)),
        valid_NF=features(exact, valid, plain, cache_dir, log, tally),
        valid_N=torch.tensor(data.numbers(valid)),
    )
    counts = processes.summed(torch.tensor([tally.cached, tally.computed]))
    cached, computed = (int(count) for count in counts)
    log.event(
        "features",
        f"features: {cached} from the cache, {computed} computed",
        cached=cached,
        computed=computed,
        views=len(views),
        width=seen.valid_NF.shape[1],
    )
    return seen
