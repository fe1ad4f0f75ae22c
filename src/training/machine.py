"""What machine this is, for people who compare numbers."""

import os
import platform
from pathlib import Path
from typing import Any

import torch

CPU_FILE = Path("/proc/cpuinfo")


def machine() -> dict[str, Any]:
    """Processor, cores, GPU, system and Python."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def in_words(facts: dict[str, Any]) -> str:
    """One line of `machine`."""
    gpus = f", {len(facts['gpus'])} x {facts['gpus'][0]}" if facts["gpus"] else ", no GPU"
    return f"{facts['cores']} cores of {facts['processor']}{gpus}, {facts['system']}"


def processor() -> str:
    """Its model's name."""
    if CPU_FILE.is_file():
        for line in CPU_FILE.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
