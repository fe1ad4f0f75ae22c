"""The head that fine-tuning starts from: fitted to the backbone's features as they are.

A random head would send random gradients into weights that are good already (Kumar et al.,
Fine-Tuning can Distort Pretrained Features, 2022).

N = training pictures, V = validation pictures, F = features, K = classes.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from contract.hyperparameters import Hyperparameters
from contract.model_card import Metrics
from contract.network import Classifier, build_head
from training import processes
from training.answers import one_thread
from training.chance import shuffled
from training.head import HeadFeatures
from training.loop import Lesson, fit, measure
from training.probe import untouched
from training.runlog import RunLog
from training.solvers import class_weights, closed_form_head, fold, standard
from training.state import new_state

EPOCHS, BATCH_SIZE, LEARNING_RATE = 10, 64, 0.003
"""Of a head with a hidden layer; a few seconds."""


class _Unheard(RunLog):
    """Tells nobody: these epochs are not the run's."""

    def __init__(self) -> None:
        """Without a file."""

    def event(self, event: str, text: str, **facts: object) -> None:
        """Nothing."""


@torch.no_grad()
def begin_head(
    classifier: Classifier,
    seen: HeadFeatures,
    images_BCSS: Tensor,
    labels_B: Tensor,
    settings: Hyperparameters,
    log: RunLog,
) -> None:
    """Give the classifier a fitted head, if that is better than the untrained one that it has.

    It may be worse where BatchNorm follows the batches and had no statistics before: in training
    the features are then others than those that the head was fitted to.

    Args:
        classifier: in the mode in which it will learn.
        seen: features of the plain pictures.
        images_BCSS: a few training pictures.
        labels_B: their class numbers.
        settings: of the head.
        log: is told.
    """
    untrained = {name: value.clone() for name, value in classifier.head.state_dict().items()}
    with torch.enable_grad():
        fitted = start_head(seen, settings)
    losses = []
    for weights in (untrained, fitted.state_dict()):
        classifier.head.load_state_dict(weights)
        with untouched(classifier):
            torch.manual_seed(settings.seed)
            losses.append(cross_entropy(classifier(images_BCSS), labels_B).item())
    before, after = losses
    better = after < before
    if not better:
        classifier.head.load_state_dict(untrained)
    log.event(
        "start_head",
        f"a fitted head has a training loss of {after:.3f}, an untrained one of {before:.3f}: "
        f"fine-tuning starts from the {'fitted' if better else 'untrained'} one",
        fitted_loss=after,
        untrained_loss=before,
        fitted=better,
    )


def start_head(seen: HeadFeatures, settings: Hyperparameters) -> nn.Module:
    """Fit a head: a linear one in closed form, one with a hidden layer by a few quick epochs.

    Args:
        seen: features of the plain pictures, and their class numbers.
        settings: `hidden_units`, `balanced`, `label_smoothing` and `seed`.

    Returns:
        In main memory, for features as they come from the backbone.
    """
    train_NF, train_N = seen.views_NF[0], seen.train_N
    valid_VF, valid_V = seen.valid_NF, seen.valid_N
    classes = int(train_N.max()) + 1  # each class is in every split
    if settings.hidden_units == 0:
        return closed_form_head(
            train_NF, train_N, valid_VF, valid_V, classes, balanced=settings.balanced
        ).head
    quick = Hyperparameters(
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        schedule="cosine",
        label_smoothing=settings.label_smoothing,
        seed=settings.seed,
    )
    head = build_head(train_NF.shape[1], settings.hidden_units, classes)
    mean_F, std_F = standard(train_NF)
    train_NF, valid_VF = (train_NF - mean_F) / std_F, (valid_VF - mean_F) / std_F

    def batches_of(epoch: int, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.tensor(shuffled(len(train_N), quick.seed, epoch))
        for picked in order.split(quick.batch_size)[first:]:  # type: ignore[no-untyped-call]
            yield train_NF[picked], train_N[picked]

    @torch.inference_mode()
    def validate() -> Metrics:
        return measure(head(valid_VF), valid_V)

    lesson = Lesson(
        pictures=len(train_N),
        batches_of=batches_of,
        validate=validate,
        weight_K=class_weights(train_N, classes) if settings.balanced else None,
    )
    with one_thread(), processes.alone():
        fit(head, new_state(head, quick), lesson, quick, _Unheard())
    fold(head, mean_F, std_F)
    return head
