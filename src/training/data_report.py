"""What a person should know of the pictures before they trust a model trained on them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from training.data import SPLITS, Data
from training.runlog import RunLog

REPORT_FILE = "data_report.json"
WORTH_SAYING_IMBALANCE = 3.0
SHOWN_FILES = 20


def data_report(data: Data) -> dict[str, Any]:
    """Counts, kinds, and every file that was left out with its reason."""
    by_split = {
        split: Counter(p.label for p in data.split(split)) for split in SPLITS if data.split(split)
    }
    train = by_split["train"].values()
    return {
        "folder": str(data.root),
        "data_sha256": data.sha256,
        "classes": list(data.classes),
        "pictures": {split: counts.total() for split, counts in by_split.items()},
        "pictures_by_label": {
            split: {label: counts[label] for label in data.classes}
            for split, counts in by_split.items()
        },
        "imbalance": max(train) / min(train),
        "kinds": dict(sorted(Counter(p.kind for p in data.pictures).items())),
        "left_out": [
            {"file": str(left.path.relative_to(data.root)), "reason": left.reason}
            for left in data.left_out
        ],
    }


def read_data_report(folder: Path) -> dict[str, Any]:
    """What `write_data_report` wrote."""
    report: dict[str, Any] = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    return report


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
        imbalance=report["imbalance"],
    )
    for left in report["left_out"][:SHOWN_FILES]:
        log.event("left_out", f"left out {left['file']}: {left['reason']}", **left)
    if report["imbalance"] >= WORTH_SAYING_IMBALANCE:
        log.warn(
            f"the largest class has {report['imbalance']:.1f} times the training pictures of the "
            f"smallest; {REPORT_FILE} counts them."
        )
