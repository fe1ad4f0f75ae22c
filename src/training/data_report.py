"""What a person should know of the pictures before they trust a model trained on them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from training.data import Data, Doubt, LeftOut, Picture
from training.data.pictures import SPLITS
from training.runlog import RunLog

REPORT_FILE = "data_report.json"
WORTH_SAYING_IMBALANCE = 3.0
SHOWN_FILES = 20


def data_report(data: Data) -> dict[str, Any]:
    """What data_report.json holds.

    Returns:
        `pictures` by split, `pictures_by_label` by split and label, `imbalance` (largest class
        over smallest, in training) and its two `extremes`, `kinds`; `left_out`: each file with its
        `why` (`unreadable`, `same content`, `near copy`), a `reason` for people and the `other`
        file that is used; `leaks`: those of them whose other lies in another split; and
        `doubtful_labels`: pairs of files that show the same under two labels.
    """
    by_split = {
        split: Counter(p.label for p in data.split(split)) for split in SPLITS if data.split(split)
    }
    train = by_split["train"]
    return {
        "folder": str(data.root),
        "data_sha256": data.sha256,
        "classes": list(data.classes),
        "pictures": {split: counts.total() for split, counts in by_split.items()},
        "pictures_by_label": {
            split: {label: counts[label] for label in data.classes}
            for split, counts in by_split.items()
        },
        "imbalance": max(train.values()) / min(train.values()),
        "extremes": {
            "largest": max(data.classes, key=lambda label: train[label]),
            "smallest": min(data.classes, key=lambda label: train[label]),
        },
        "kinds": dict(sorted(Counter(p.kind for p in data.pictures).items())),
        "left_out": [_left_out(one, data.root) for one in data.left_out],
        "leaks": [_left_out(one, data.root) for one in data.left_out if _leaks(one)],
        "doubtful_labels": [_doubt(doubt, data.root) for doubt in data.doubts],
    }


def read_data_report(folder: Path) -> dict[str, Any]:
    """What `write_data_report` wrote."""
    report: dict[str, Any] = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    return report


def _left_out(one: LeftOut, root: Path) -> dict[str, Any]:
    return {
        "file": str(one.path.relative_to(root)),
        "reason": one.reason,
        "why": one.why,
        "split": one.split,
        "label": one.label,
        "other": one.other and _file(one.other, root),
    }


def _leaks(one: LeftOut) -> bool:
    return one.other is not None and one.other.split != one.split


def _doubt(doubt: Doubt, root: Path) -> dict[str, Any]:
    return {"why": doubt.why, "files": [_file(p, root) for p in (doubt.first, doubt.second)]}


def _file(picture: Picture, root: Path) -> dict[str, str]:
    file = str(picture.path.relative_to(root))
    return {"file": file, "split": picture.split, "label": picture.label}


def write_data_report(data: Data, folder: Path, log: RunLog) -> None:
    """Write data_report.json and say what it holds."""
    report = data_report(data)
    text = json.dumps(report, indent=2, ensure_ascii=False) + "\n"
    (folder / REPORT_FILE).write_text(text, encoding="utf-8")
    counts = ", ".join(f"{count} {split}" for split, count in report["pictures"].items())
    kinds = ", ".join(f"{count} {kind}" for kind, count in report["kinds"].items())
    log.event(
        "data",
        f"data: {len(data.classes)} classes; {counts}; {kinds}; {len(data.left_out)} left out",
        classes=len(data.classes),
        pictures=report["pictures"],
        kinds=report["kinds"],
        left_out=len(data.left_out),
        left_out_why=dict(Counter(one.why for one in data.left_out)),
        leaks=len(report["leaks"]),
        doubtful_labels=len(data.doubts),
        imbalance=report["imbalance"],
    )
    for left in report["left_out"][:SHOWN_FILES]:
        log.event("left_out", f"left out {left['file']}: {left['reason']}", **left)
    if len(report["left_out"]) > SHOWN_FILES:
        more = len(report["left_out"]) - SHOWN_FILES
        log.warn(f"{more} more files were left out; {REPORT_FILE} names them all.")
    for doubt in report["doubtful_labels"][:SHOWN_FILES]:
        first, second = doubt["files"]
        log.warn(
            f"{first['file']} and {second['file']} show the same ({doubt['why']}) under two "
            f"labels; put one of them right."
        )
    if report["imbalance"] >= WORTH_SAYING_IMBALANCE:
        largest, smallest = report["extremes"].values()
        log.warn(
            f"the largest class ({largest}) has {report['imbalance']:.1f} times the training "
            f"pictures of the smallest ({smallest}); {REPORT_FILE} counts them. `balanced` weighs "
            "them alike."
        )
