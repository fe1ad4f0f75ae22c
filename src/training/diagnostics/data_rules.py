"""What is wrong with the pictures: pure functions of the data report and of answers to pictures.

N = pictures, K = classes.
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from torch import Tensor

from training.data import SPLITS
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
LEAST_ERROR = 0.02
"""What is assumed of a model that made no mistake elsewhere."""


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


def leaks(report: dict[str, Any]) -> Finding | None:
    """The same picture is in two splits."""
    across = [left for left in report["left_out"] if _crosses(left)]
    if not across:
        return None
    return Finding(
        rule="leak",
        severity="notice",
        evidence=f"In two splits: {_listed(across)}. Each picture is used once: in test, else in "
        "valid.",
        remedy="Remove the copies, and look where they came from: near copies that no check sees "
        "may have come with them.",
        facts={"files": [left["file"] for left in across]},
    )


def _crosses(left: dict[str, Any]) -> bool:
    """Whether a file was left out for being, or looking like, one of another split."""
    home = PurePosixPath(left["file"]).parts[0]
    words = left["reason"].split()
    others = {PurePosixPath(word.strip(",.;'\"")).parts[0] for word in words if "/" in word}
    return home in SPLITS and bool((others & set(SPLITS)) - {home})


def corrupt_files(report: dict[str, Any]) -> Finding | None:
    """Files that cannot be read."""
    broken = [left for left in report["left_out"] if left["reason"].startswith("unreadable")]
    if not broken:
        return None
    return Finding(
        rule="corrupt_files",
        severity="notice",
        evidence=f"Left out, because they cannot be read: {_listed(broken)}.",
        remedy="Copy them again from where they came, or remove them.",
        facts={"files": [left["file"] for left in broken]},
    )


def mislabelled_folders(
    files: Sequence[str], labels_N: Tensor, answers_N: Tensor, classes: Sequence[str]
) -> list[Finding]:
    """Folders whose pictures mostly say the same other label.

    Args:
        files: relative to the data folder.
        labels_N: what their folders say.
        answers_N: what a model says that did not learn from them.
        classes: label of each number.
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
        if other == label or votes < MOSTLY * len(indices) or own > HARDLY * len(indices):
            continue
        elsewhere = [i for i in range(len(files)) if labels[i] not in (label, other)]
        wrong = sum(said[i] != labels[i] for i in elsewhere)
        error = max(LEAST_ERROR, (wrong + 1) / (len(elsewhere) + 2)) if elsewhere else LEAST_ERROR
        if at_least(votes, len(indices), error) * len(homes) > CHANCE:
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
