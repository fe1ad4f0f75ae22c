"""What is wrong with the pictures: pure functions of the data report and of answers to pictures.

N = pictures, K = classes.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from statistics import median
from typing import Any

from torch import Tensor

from training.diagnostics.finding import Finding

IMBALANCE = 5.0
"""Pictures of the largest class for one of the smallest."""
SHOWN = 5
MOSTLY = 0.6
"""Of a folder's pictures that say the same other label."""
HARDLY = 0.2
"""Of them that say their own."""
CHANCE = 0.001
"""Of a folder looking so though its labels are right, over all folders."""
USUAL_ERROR = 0.1
"""What is assumed where there is no third label to learn it from."""


def class_imbalance(report: dict[str, Any], *, balanced: bool) -> Finding | None:
    """Some class has many times the training pictures of another, and no weights make up for it."""
    if balanced or report["imbalance"] < IMBALANCE:
        return None
    counts = report["pictures_by_label"]["train"]
    few, many = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    return Finding(
        rule="class_imbalance",
        severity="warning",
        evidence=f"{many} has {counts[many]} training pictures and {few} has {counts[few]}: "
        f"{report['imbalance']:.0f} to 1.",
        remedy=f"Set balanced to true, or add pictures of {few}.",
        facts={"imbalance": report["imbalance"], "smallest": few, "largest": many},
    )


def rare_labels(report: dict[str, Any]) -> set[str]:
    """Labels that have far fewer training pictures than the largest."""
    counts = report["pictures_by_label"]["train"]
    return {label for label, count in counts.items() if count * IMBALANCE <= max(counts.values())}


def leaks(report: dict[str, Any]) -> Finding | None:
    """The same picture, or a near copy of it, is in two splits."""
    across = report["leaks"]
    if not across:
        return None
    return Finding(
        rule="leak",
        severity="notice",
        evidence=f"In two splits: {_listed(across)}. Each picture is used once: in test, else in "
        "valid.",
        remedy="Remove the copies, and look where they came from: copies that no check sees may "
        "have come with them.",
        facts={"files": [left["file"] for left in across]},
    )


def corrupt_files(report: dict[str, Any]) -> Finding | None:
    """Files that cannot be read."""
    broken = [left for left in report["left_out"] if left["why"] == "unreadable"]
    if not broken:
        return None
    return Finding(
        rule="corrupt_files",
        severity="notice",
        evidence=f"Left out, because they cannot be read: {_listed(broken)}.",
        remedy="Copy them again from where they came, or remove them.",
        facts={"files": [left["file"] for left in broken]},
    )


def doubtful_labels(report: dict[str, Any]) -> Finding | None:
    """The same picture has two labels."""
    doubts = report["doubtful_labels"]
    if not doubts:
        return None
    more = f" and {len(doubts) - SHOWN} more pairs" if len(doubts) > SHOWN else ""
    pairs = [[file["file"] for file in doubt["files"]] for doubt in doubts]
    shown = "; ".join(" and ".join(pair) for pair in pairs[:SHOWN])
    return Finding(
        rule="doubtful_labels",
        severity="warning",
        evidence=f"The same picture under two labels: {shown}{more}.",
        remedy="Remove the one of each pair that lies in the wrong folder.",
        facts={"pairs": pairs},
    )


def mislabelled_folders(
    files: Sequence[str],
    labels_N: Tensor,
    answers_N: Tensor,
    classes: Sequence[str],
    rare: Collection[str] = (),
) -> list[Finding]:
    """Folders whose pictures mostly say the same other label.

    Args:
        files: relative to the data folder.
        labels_N: what their folders say.
        answers_N: what a model says that did not learn from them.
        classes: label of each number.
        rare: labels that a model has seen too little of to be believed about.
    """
    homes: dict[str, list[int]] = {}
    for index, file in enumerate(files):
        homes.setdefault(str(PurePosixPath(file).parent), []).append(index)
    labels, said = labels_N.tolist(), answers_N.tolist()
    findings = []
    for home, indices in sorted(homes.items()):
        label = labels[indices[0]]
        other, votes = Counter(said[i] for i in indices).most_common(1)[0]
        own = sum(said[i] == label for i in indices)
        if (
            other == label
            or classes[label] in rare
            or votes < MOSTLY * len(indices)
            or own > HARDLY * len(indices)
        ):
            continue
        errors = [
            (sum(said[i] != labels[i] for i in inside) + 1) / (len(inside) + 2)
            for inside in homes.values()
            if labels[inside[0]] not in (label, other)
        ]
        # The usual folder's errors: one that is hard, or wrong itself, must not excuse this one.
        usual = median(errors) if errors else USUAL_ERROR
        if at_least(votes, len(indices), usual) * len(homes) > CHANCE:
            continue
        findings.append(
            Finding(
                rule="mislabelled_folder",
                severity="warning",
                evidence=f"{votes} of {len(indices)} pictures in {home} look like "
                f"{classes[other]}, {own} like {classes[label]}.",
                remedy=f"Look at {home}: either it holds pictures of {classes[other]}, or the "
                f"training folder of one of the two holds pictures of the other.",
                facts={
                    "folder": home,
                    "label": classes[label],
                    "looks_like": classes[other],
                    "pictures": len(indices),
                    "votes": votes,
                },
            )
        )
    return findings


def at_least(votes: int, pictures: int, share: float) -> float:
    """The chance that of so many pictures at least so many agree, each with the given chance."""
    return sum(
        math.comb(pictures, k) * share**k * (1 - share) ** (pictures - k)
        for k in range(votes, pictures + 1)
    )


def _listed(left_out: Sequence[dict[str, Any]]) -> str:
    more = f" and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    return ", ".join(left["file"] for left in left_out[:SHOWN]) + more
