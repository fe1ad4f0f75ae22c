"""What a network and a machine are, by content."""

import hashlib
import platform
from pathlib import Path

import torch
from torch import nn


def weights_sha256(network: nn.Module) -> str:
    """Of every parameter and buffer with its name, in order."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(f"{name}\t{value.dtype}\t{tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def machine() -> str:
    """The processor or GPU, by what matters for speed and for the last bits of a result."""
    if torch.cuda.is_available():
        return f"cuda {torch.cuda.get_device_name()}"
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    names = [line.split(":")[1].strip() for line in text.splitlines() if "model name" in line]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name} {torch.backends.cpu.get_cpu_capability()}"
