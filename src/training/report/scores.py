"""How good the answers are, class by class and picture by picture.

N = pictures, K = classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.predictions import Answers


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScore:
    """One class."""

    label: str
    pictures: int
    precision: float
    """Share of the pictures answered so that are so; 0 where none is."""
    recall: float
    """Share of its pictures that are answered so."""
    f1: float
    """Harmonic mean of both."""
    mostly_said: str
    """The label that its wrong answers give most often, or nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Pictures of one class that were answered as another."""

    label: str
    said: str
    count: int
    pictures: int
    """Of the class."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One picture and its answer."""

    file: str
    label: str
    said: str
    probability: float
    """Of the answer."""
    right_probability: float
    """Of the label."""


def confusion(answers: Answers, classes: int) -> Tensor:
    """How often each class (row) was answered as each (column): int64 of shape (K, K)."""
    said_N = answers.logits_NK.argmax(1)
    return torch.bincount(answers.labels_N * classes + said_N, minlength=classes**2).reshape(
        classes, classes
    )


def class_scores(confusion_KK: Tensor, classes: tuple[str, ...]) -> list[ClassScore]:
    """Precision, recall and F1 of every class."""
    scores = []
    for number, label in enumerate(classes):
        row_K = confusion_KK[number].clone()
        right, pictures = int(row_K[number]), int(row_K.sum())
        said = int(confusion_KK[:, number].sum())
        row_K[number] = 0
        scores.append(
            ClassScore(
                label=label,
                pictures=pictures,
                precision=right / said if said else 0.0,
                recall=right / pictures if pictures else 0.0,
                f1=2 * right / (said + pictures) if said + pictures else 0.0,
                mostly_said=classes[int(row_K.argmax())] if int(row_K.sum()) else "",
            )
        )
    return scores


def by_similarity(answers: Answers, classes: int, temperature: float) -> list[int]:
    """An order of the classes in which those that are taken for each other are neighbours.

    The order of the Fiedler vector of the graph whose edges are the mean probability that one
    class is given for the other's pictures (spectral seriation; Atkins, Boman and Hendrickson,
    1998).
    """
    said_NK = (answers.logits_NK.double() / temperature).softmax(1)
    mean_KK = torch.zeros(classes, classes, dtype=torch.float64)
    mean_KK.index_add_(0, answers.labels_N, said_NK)
    mean_KK /= torch.bincount(answers.labels_N, minlength=classes).clamp(min=1)[:, None]
    edges_KK = (mean_KK + mean_KK.T).fill_diagonal_(0) + 1e-6
    root_K = edges_KK.sum(1).rsqrt()
    laplacian_KK = torch.eye(classes) - root_K[:, None] * edges_KK * root_K[None]
    _, vectors_KK = torch.linalg.eigh(laplacian_KK)
    place_K = vectors_KK[:, 1] * root_K
    order: list[int] = place_K.argsort(stable=True).tolist()
    return order if order[0] <= order[-1] else order[::-1]  # an eigenvector's sign is arbitrary


def confused_pairs(confusion_KK: Tensor, classes: tuple[str, ...], most: int) -> list[Pair]:
    """The mistakes that are made most often."""
    wrong_KK = confusion_KK.clone().fill_diagonal_(0)
    places = [(int(n), i, j) for (i, j) in wrong_KK.nonzero().tolist() for n in [wrong_KK[i, j]]]
    places.sort(key=lambda place: (-place[0], classes[place[1]], classes[place[2]]))
    return [
        Pair(label=classes[i], said=classes[j], count=n, pictures=int(confusion_KK[i].sum()))
        for n, i, j in places[:most]
    ]


def shown(answers: Answers, classes: tuple[str, ...], temperature: float) -> list[Shown]:
    """Every picture with its answer, in the order of the answers."""
    said_NK = (answers.logits_NK.double() / temperature).softmax(1)
    sure_N, first_N = said_NK.max(1)
    right_N = said_NK.gather(1, answers.labels_N[:, None])[:, 0]
    return [
        Shown(
            file=file,
            label=classes[label],
            said=classes[said],
            probability=sure,
            right_probability=right,
        )
        for file, label, said, sure, right in zip(
            answers.files,
            answers.labels_N.tolist(),
            first_N.tolist(),
            sure_N.tolist(),
            right_N.tolist(),
            strict=True,
        )
    ]


def most_wrong(pictures: list[Shown], most: int) -> list[Shown]:
    """Wrong answers that the model was surest of."""
    wrong = [p for p in pictures if p.said != p.label]
    return sorted(wrong, key=lambda p: (p.right_probability, -p.probability, p.file))[:most]


def least_sure(pictures: list[Shown], most: int) -> list[Shown]:
    """Answers that the model hardly preferred to others."""
    return sorted(pictures, key=lambda p: (p.probability, p.file))[:most]
