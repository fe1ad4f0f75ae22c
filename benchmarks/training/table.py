"""Figures as Markdown, in the form of benchmarks/RECORDS.md."""

import argparse
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median

import torch
from benchmarks.report import markdown, processor
from benchmarks.training.rows import Outcome, Row


def heading(given: argparse.Namespace, argv: Sequence[str]) -> str:
    """Command, machine, date and what the pictures are."""
    note = f" {given.note}" if given.note else ""
    return (
        f"## Training, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n\n"
        f"`python -m benchmarks.training {' '.join(argv)}` on {processor()}, "
        f"{given.threads} core(s) for each side, torch {torch.__version__}, "
        f"Python {platform.python_version()}. {given.pictures} training pictures and a quarter as "
        f"many for validation, drawn by code, {given.classes} classes, JPEG of about 570 pixels; "
        f"{given.backbone} at {given.size} pixels with random weights whose BatchNorm statistics "
        f"are those of the pictures and whose residual branches are quiet. Sides take turns, "
        f"{given.rounds} rounds; wall-clock seconds.{note}\n"
    )


def table(row: Row, found: dict[str, list[Outcome]]) -> str:
    """One row's sides, with the ratio of medians to those they are compared with."""
    middle = {name: median(o.seconds for o in outcomes) for name, outcomes in found.items()}
    facts = list(dict.fromkeys(f for outs in found.values() for o in outs for f in o.facts))
    columns = ["side", "minimum", "median", "maximum", *(f"times {name}" for name in row.against)]
    headings = [*columns, *(fact.replace("_", " ") for fact in facts)]
    rows = []
    for name, outcomes in found.items():
        seconds = [o.seconds for o in outcomes]
        cells = [name, *(f"{value:.4g}" for value in (min(seconds), middle[name], max(seconds)))]
        cells += [f"{middle[other] / middle[name]:.1f}" for other in row.against]
        for fact in facts:
            values = [o.facts[fact] for o in outcomes if fact in o.facts]
            cells.append(f"{median(values):.4g}" if values else "")
        rows.append(cells)
    return f"\n### {row.title}\n\n{row.note}\n\n{markdown(headings, rows)}"
