"""What a network and a machine are, by content."""

import hashlib

import torch
from torch import nn

from training.machine import processor


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
    return f"{processor()} {torch.backends.cpu.get_cpu_capability()}"
