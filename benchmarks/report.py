"""Figures as Markdown, in the form of RECORDS.md, and the machine that they come from."""

import platform
from collections.abc import Sequence
from pathlib import Path

import torch

RECORDS = Path(__file__).parent / "RECORDS.md"


def keep(text: str) -> None:
    """Append a measurement to RECORDS.md."""
    with RECORDS.open("a", encoding="utf-8") as file:
        file.write("\n" + text)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join(lines) + "\n"


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
