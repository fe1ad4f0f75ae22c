"""Figures as Markdown, in the form of benchmarks/RECORDS.md."""

import argparse
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import torch
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
        f"are those of the pictures and whose residual branches are quiet. "
        f"Sides take turns, {given.rounds} rounds; wall-clock seconds.{note}\n"
    )


def processor() -> str:
    """The processor's name and what of its instructions matters here."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    names = [line.split(":")[1].strip() for line in text.splitlines() if "model name" in line]
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    kinds = [
        f"{'with' if flag in flags else 'no'} {title}"
        for flag, title in (("avx512f", "AVX-512"), ("avx512_bf16", "AVX-512 bf16"),
                            ("amx_bf16", "AMX"))
    ]  # fmt: skip
    return f"{names[0] if names else platform.machine()} ({', '.join(kinds)})"


def table(row: Row, found: dict[str, list[Outcome]]) -> str:
    """One row's sides, with the ratio of medians to those they are compared with."""
    middle = {name: median(o.seconds for o in outcomes) for name, outcomes in found.items()}
    facts = list(dict.fromkeys(f for outs in found.values() for o in outs for f in o.facts))
    columns = ["side", "minimum", "median", "maximum", *(f"times {name}" for name in row.against)]
    lines = [
        f"\n### {row.title}\n",
        f"{row.note}\n",
        f"| {' | '.join([*columns, *(fact.replace('_', ' ') for fact in facts)])} |",
        f"|{'---|' * (len(columns) + len(facts))}",
    ]
    for name, outcomes in found.items():
        seconds = [o.seconds for o in outcomes]
        cells = [name, *(f"{value:.4g}" for value in (min(seconds), middle[name], max(seconds)))]
        cells += [f"{middle[other] / middle[name]:.1f}" for other in row.against]
        for fact in facts:
            values = [o.facts[fact] for o in outcomes if fact in o.facts]
            cells.append(f"{median(values):.4g}" if values else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
