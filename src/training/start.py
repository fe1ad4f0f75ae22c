"""The head that fine-tuning starts from: fitted to the backbone's features as they are.

A random head would send random gradients into weights that are good already (Kumar et al.,
Fine-Tuning can Distort Pretrained Features, 2022).

N = training pictures, V = validation pictures, F = features, K = classes.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from contract.hyperparameters import Hyperparameters
from contract.model_card import Metrics
from contract.network import build_head
from training import processes
from training.answers import one_thread
from training.chance import shuffled
from training.loop import Lesson, fit, measure
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


def start_head(
    train_NF: Tensor,
    train_N: Tensor,
    valid_VF: Tensor,
    valid_V: Tensor,
    classes: int,
    settings: Hyperparameters,
) -> nn.Module:
    """Fit a head: a linear one in closed form, one with a hidden layer by a few quick epochs.

    Args:
        train_NF: float32 features in main memory.
        train_N: their class numbers.
        valid_VF: features of the validation pictures.
        valid_V: their class numbers.
        classes: K.
        settings: `hidden_units`, `balanced`, `label_smoothing` and `seed`.

    Returns:
        In main memory, for features as they come from the backbone.
    """
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
