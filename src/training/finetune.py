"""The method `finetune`: layers of the backbone learn too, on new views in each epoch.

N = pictures in all, K = classes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from contract.hyperparameters import Hyperparameters
from contract.model_card import InputSpec, Metrics
from contract.network import Classifier
from training import processes
from training.answers import answers
from training.batches import Views, train_batches
from training.data import Data
from training.data.store import open_store
from training.loop import Lesson, Watcher, fit, measure
from training.runlog import RunLog
from training.state import new_state


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
    """Train every layer, on new random views of the pictures in each epoch.

    Returns:
        The best epoch, and the logits (N, K) of the validation pictures after it.
    """
    train, valid = data.split("train"), data.split("valid")
    numbers, valid_N = data.numbers(train), torch.tensor(data.numbers(valid))
    device = next(classifier.parameters()).device
    store = open_store([*train, *valid], settings.epochs, spec, cache_dir, log)
    views = Views(
        pictures=train, store=store, augmentation=settings.augmentation, seed=settings.seed
    )

    def batches_of(epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        batches = train_batches(
            views, numbers, batch_size=settings.batch_size, epoch=epoch, first=first
        )
        for images_BCSS, labels_B in batches:  # this process's share of them
            yield (
                images_BCSS.to(device, memory_format=torch.channels_last),
                labels_B.to(device),
            )

    def validate() -> Metrics:
        return measure(answers(classifier, valid, spec, log, "validation", store.plain), valid_N)

    lesson = Lesson(pictures=len(train), batches_of=batches_of, validate=validate)
    state, network = new_state(classifier, settings), processes.parallel(classifier)
    best = fit(network, state, lesson, settings, log, watchers)
    return best, answers(classifier, valid, spec, log, "validation", store.plain)
