"""The method `head`: a frozen backbone whose features are computed once.

N = pictures in all, F = features, K = classes.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from contract.hyperparameters import Hyperparameters
from contract.model_card import InputSpec, Metrics
from contract.network import Classifier
from training import processes
from training.answers import answers, one_thread
from training.chance import shuffled
from training.data import Data
from training.loop import Lesson, Watcher, fit, measure
from training.runlog import RunLog
from training.solvers import fold, standard
from training.state import new_state


def train_head(
    classifier: Classifier,
    data: Data,
    spec: InputSpec,
    settings: Hyperparameters,
    log: RunLog,
    watchers: Sequence[Watcher] = (),
) -> tuple[int, Tensor]:
    """Train the head; the backbone sees every picture once and does not change.

    Returns:
        The best epoch, and the logits (N, K) of the validation pictures after it.
    """
    train, valid = data.split("train"), data.split("valid")
    features_NF = answers(classifier.backbone, [*train, *valid], spec, log, "features")
    train_NF, valid_NF = features_NF[: len(train)], features_NF[len(train) :]
    mean_F, std_F = standard(train_NF)
    train_NF, valid_NF = (train_NF - mean_F) / std_F, (valid_NF - mean_F) / std_F
    train_N, valid_N = (torch.tensor(data.numbers(part)) for part in (train, valid))
    head = classifier.head.cpu()

    def batches_of(epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = shuffled(len(train), settings.seed, epoch)
        for start in range(first * settings.batch_size, len(order), settings.batch_size):
            picked = order[start : start + settings.batch_size]
            yield train_NF[picked], train_N[picked]

    @torch.inference_mode()
    def validate() -> Metrics:
        return measure(head(valid_NF), valid_N)

    lesson = Lesson(pictures=len(train), batches_of=batches_of, validate=validate)
    names = [p.path.relative_to(data.root).as_posix() for p in train]
    for watcher in watchers:
        watcher.after_features(names, train_NF, train_N)
    with one_thread(), processes.alone():
        best = fit(head, new_state(head, settings), lesson, settings, log, watchers)
        fold(head, mean_F, std_F)
        with torch.inference_mode():
            return best, head(features_NF[len(train) :])
