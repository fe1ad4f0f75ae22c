"""Reads safetensors files, so that a serving image needs to install nothing when it starts.

The format is eight bytes of length, a JSON header that names each tensor's type, shape and
place, and the raw numbers.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch

from contract.strict import ContractError, require

_TYPES = {
    "BF16": torch.bfloat16,
    "BOOL": torch.bool,
    "F16": torch.float16,
    "F32": torch.float32,
    "F64": torch.float64,
    "I32": torch.int32,
    "I64": torch.int64,
    "U8": torch.uint8,
}


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read every tensor of a safetensors file.

    Raises:
        ContractError: the file is not safetensors, or its header points outside of it.
    """
    data = bytearray(path.read_bytes())
    require(len(data) >= 8, f"{path.name} is not safetensors: it has only {len(data)} bytes.")
    start = 8 + int.from_bytes(data[:8], "little")
    require(start <= len(data), f"{path.name} is not safetensors: its header is cut short.")
    try:
        header = json.loads(data[8:start])
        header.pop("__metadata__", None)
        return {name: _tensor(name, entry, data, start) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, ContractError):
            raise
        raise ContractError(f"{path.name} is not safetensors: {error!r}.") from None


def _tensor(name: str, entry: dict[str, Any], data: bytearray, start: int) -> torch.Tensor:
    kind, shape, (begin, end) = _TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    count = math.prod(shape)
    require(
        0 <= begin <= end <= len(data) - start and end - begin == count * kind.itemsize,
        f"tensor {name!r} does not fit the file.",
    )
    if count == 0:
        return torch.empty(shape, dtype=kind)
    flat = torch.frombuffer(data, dtype=torch.uint8, offset=start + begin, count=end - begin)
    # A copy, because a tensor's numbers must lie at a multiple of their size.
    return flat.clone().view(kind).reshape(shape)
