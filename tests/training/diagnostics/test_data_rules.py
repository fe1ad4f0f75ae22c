"""Rules on the pictures."""

from typing import Any

import pytest
import torch
from torch import Tensor

from training.diagnostics.crossed import out_of_sample
from training.diagnostics.data_rules import (
    class_imbalance,
    corrupt_files,
    doubtful_labels,
    leaks,
    mislabelled_folders,
    rare_labels,
)

CLASSES = ("cat", "dog", "fox")


def report(few: int = 10, **facts: Any) -> dict[str, Any]:
    return {
        "imbalance": 50 / few,
        "pictures_by_label": {"train": {"cat": 50, "dog": 30, "fox": few}},
        "left_out": [],
        "leaks": [],
        "doubtful_labels": [],
        **facts,
    }


def test_fifty_to_one_is_named_with_its_remedy_unless_it_is_made_up_for() -> None:
    finding = class_imbalance(report(few=1), balanced=False)

    assert finding is not None
    assert "50 to 1" in finding.evidence
    assert "balanced" in finding.remedy
    assert class_imbalance(report(few=1), balanced=True) is None
    assert class_imbalance(report(few=40), balanced=False) is None


def test_pictures_in_two_splits_are_a_leak() -> None:
    finding = leaks(report(leaks=[{"file": "train/cat/1.jpg", "why": "near copy"}]))

    assert finding is not None
    assert "train/cat/1.jpg" in finding.evidence
    assert leaks(report()) is None


def test_unreadable_files_are_named_and_copies_are_not_among_them() -> None:
    left = [{"file": "a/1.jpg", "why": "unreadable"}, {"file": "a/2.jpg", "why": "near copy"}]

    finding = corrupt_files(report(left_out=left))

    assert finding is not None
    assert finding.facts["files"] == ["a/1.jpg"]
    assert corrupt_files(report(left_out=left[1:])) is None


def test_a_picture_under_two_labels_is_named_twice() -> None:
    pair = {"why": "same content", "files": [{"file": "a/1.jpg"}, {"file": "b/2.jpg"}]}

    finding = doubtful_labels(report(doubtful_labels=[pair]))

    assert finding is not None
    assert "a/1.jpg and b/2.jpg" in finding.evidence
    assert doubtful_labels(report()) is None


def folders(said: dict[str, list[int]]) -> tuple[list[str], Tensor, Tensor]:
    """Ten pictures of each class in valid, and what a model says to each of a folder's."""
    files, labels, answers = [], [], []
    for number, label in enumerate(CLASSES):
        for index, answer in enumerate(said.get(label, [number] * 10)):
            files.append(f"valid/{label}/{index}.jpg")
            labels.append(number)
            answers.append(answer)
    return files, torch.tensor(labels), torch.tensor(answers)


def test_a_folder_that_looks_like_another_label_is_mislabelled() -> None:
    findings = mislabelled_folders(*folders({"cat": [1] * 9 + [0]}), CLASSES)

    assert [finding.facts["folder"] for finding in findings] == ["valid/cat"]
    assert "9 of 10" in findings[0].evidence
    assert findings[0].facts["looks_like"] == "dog"


@pytest.mark.parametrize("cat", [[1] * 5 + [0] * 5, [1] * 3 + [2] * 3 + [0] * 4, [1]])
def test_a_hard_or_a_small_folder_is_not_mislabelled(cat: list[int]) -> None:
    assert mislabelled_folders(*folders({"cat": cat}), CLASSES) == []


def test_a_label_that_is_rare_in_training_is_not_called_mislabelled() -> None:
    assert mislabelled_folders(*folders({"cat": [1] * 10}), CLASSES, rare={"cat"}) == []
    assert rare_labels(report(few=1)) == {"fox"}


def test_a_model_that_errs_everywhere_accuses_no_folder() -> None:
    files, labels, _ = folders({})
    answers = torch.full_like(labels, 1)

    assert mislabelled_folders(files, labels, answers, CLASSES) == []


@pytest.mark.parametrize("features", [8, 700])
def test_out_of_sample_answers_see_through_wrong_labels(features: int) -> None:
    torch.manual_seed(0)
    true = torch.arange(300) % 3
    features_NF = 4 * torch.randn(3, features)[true] + torch.randn(300, features)
    labels = true.clone()
    labels[:30] = (true[:30] + 1) % 3

    answers = out_of_sample(features_NF, labels, [f"{x}" for x in labels.tolist()], 3, seed=7)

    assert (answers == true).float().mean() > 0.97


def test_a_small_folder_does_not_speak_for_itself() -> None:
    # Ten pictures of class 1 in a folder of class 0; class 1 has nine in its own.
    true = torch.tensor([0] * 11 + [1] * 19)
    labels = torch.tensor([0] * 11 + [0] * 10 + [1] * 9)
    homes = ["a"] * 11 + ["b"] * 10 + ["c"] * 9
    features_NF = torch.nn.functional.one_hot(true, 2).double()

    answers = out_of_sample(features_NF, labels, homes, 2, seed=7)

    assert answers[11:21].tolist() == [1] * 10
