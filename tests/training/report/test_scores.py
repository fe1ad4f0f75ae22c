"""Scores of classes and pictures, beside scikit-learn's."""

import pytest
import torch

from training.predictions import Answers
from training.report.charts import ticks
from training.report.scores import (
    by_similarity,
    class_scores,
    confused_pairs,
    confusion,
    least_sure,
    most_wrong,
    shown,
)

CLASSES = ("ape", "bee", "cat", "dog")


def answers(pictures: int = 60) -> Answers:
    torch.manual_seed(0)
    labels_N = torch.arange(pictures) % 4
    logits_NK = 1.5 * torch.nn.functional.one_hot(labels_N, 4).float() + torch.randn(pictures, 4)
    files = tuple(f"test/{CLASSES[n]}/{i}.jpg" for i, n in enumerate(labels_N.tolist()))
    return Answers(files=files, logits_NK=logits_NK, labels_N=labels_N)


def test_precision_recall_and_f1_are_scikit_learn_s() -> None:
    from sklearn.metrics import (
        confusion_matrix,
        precision_recall_fscore_support,
    )

    given = answers()
    said = given.logits_NK.argmax(1)
    wanted = precision_recall_fscore_support(given.labels_N, said, zero_division=0)

    counts = confusion(given, 4)
    scores = class_scores(counts, CLASSES)

    assert counts.tolist() == confusion_matrix(given.labels_N, said).tolist()
    for index, score in enumerate(scores):
        found = (score.precision, score.recall, score.f1, score.pictures)
        assert found == pytest.approx([column[index] for column in wanted])


def test_a_class_that_is_never_answered_has_zeros() -> None:
    scores = class_scores(torch.tensor([[3, 0], [2, 0]]), ("a", "b"))

    assert (scores[1].precision, scores[1].recall, scores[1].f1) == (0, 0, 0)
    assert scores[1].mostly_said == "a"


def test_classes_that_are_taken_for_each_other_are_neighbours() -> None:
    twins = {0: 3, 3: 0, 1: 4, 4: 1, 2: 5, 5: 2}
    labels_N = torch.arange(6).repeat(10)
    logits_NK = 4.0 * torch.nn.functional.one_hot(labels_N, 6).float()
    for row, label in enumerate(labels_N.tolist()):
        logits_NK[row, twins[label]] += 3.5
    given = Answers(files=("x",) * 60, logits_NK=logits_NK, labels_N=labels_N)

    order = by_similarity(given, 6, 1.0)

    assert sorted(order) == list(range(6))
    place = {number: index for index, number in enumerate(order)}
    assert all(abs(place[a] - place[b]) == 1 for a, b in twins.items())


def test_the_most_confused_pair_comes_first() -> None:
    counts = torch.tensor([[5, 1, 0], [4, 6, 0], [0, 0, 9]])

    pairs = confused_pairs(counts, ("a", "b", "c"), 5)

    assert [(p.label, p.said, p.count, p.pictures) for p in pairs] == [
        ("b", "a", 4, 10), ("a", "b", 1, 6)
    ]  # fmt: skip


def test_the_most_wrong_are_wrong_and_the_least_sure_hardly_sure() -> None:
    pictures = shown(answers(), CLASSES, 1.0)

    wrong, unsure = most_wrong(pictures, 3), least_sure(pictures, 3)

    assert all(p.said != p.label for p in wrong)
    assert wrong[0].right_probability == min(p.right_probability for p in pictures)
    assert unsure[0].probability == min(p.probability for p in pictures)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0003, 0.0003), (-2.0, 71.0), (0.0, 1e5)])
def test_ticks_are_few_and_reach_over_the_values(low: float, high: float) -> None:
    marks = ticks(low, high)

    assert 2 <= len(marks) <= 8
    assert marks[0] <= low
    assert marks[-1] >= high
