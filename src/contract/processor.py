"""What this processor computes fast: training measures by it, serving chooses by it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CPU_FILE = Path("/proc/cpuinfo")
Level = Literal["amx", "avx512", "avx2", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Processor:
    """What matters of it here."""

    level: Level
    """Its widest arithmetic of this kind; none is also every processor that is not an x86."""

    bf16: bool
    """Whether it multiplies bfloat16 natively."""

    int8: bool
    """Whether it multiplies 8-bit integers natively."""


def find_processor(capabilities: Callable[[], Iterable[str]]) -> Processor:
    """What Linux says of the processor; elsewhere, what OpenVINO says.

    Args:
        capabilities: OpenVINO's OPTIMIZATION_CAPABILITIES of its CPU device. They name BF16 also
            where it is only imitated, so they are asked last.
    """
    flags = cpu_flags(CPU_FILE)
    if flags:
        return from_flags(flags)
    said = set(capabilities())
    return Processor(level="none", bf16="BF16" in said, int8=False)


def cpu_flags(path: Path) -> frozenset[str]:
    """The first processor's flags; none where there is no such file or line, as on macOS or ARM."""
    if not path.is_file():
        return frozenset()
    text = path.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return frozenset(found[1].split()) if found else frozenset()


def from_flags(flags: frozenset[str]) -> Processor:
    """A processor by the flags of /proc/cpuinfo."""
    level: Level = "none"
    if {"amx_tile", "amx_int8"} <= flags or {"amx_tile", "amx_bf16"} <= flags:
        level = "amx"
    elif {"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= flags:
        level = "avx512"
    elif "avx2" in flags:
        level = "avx2"
    return Processor(
        level=level,
        bf16=bool(flags & {"amx_bf16", "avx512_bf16"}),
        int8=bool(flags & {"amx_int8", "avx512_vnni", "avx_vnni"}),
    )
