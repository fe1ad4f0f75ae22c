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

MAX_HEADER_BYTES = 16 * 2**20
MAX_DIMENSIONS = 8
MAX_SIDE = 2**31

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
        ContractError: the file is not safetensors, its header points outside of it, or its
            tensors do not fill it one after another.
    """
    data = bytearray(path.read_bytes())
    require(len(data) >= 8, f"{path.name} is not safetensors: it has only {len(data)} bytes.")
    length = int.from_bytes(data[:8], "little")
    require(
        length <= MAX_HEADER_BYTES,
        f"{path.name} is not safetensors: it claims a header of {length:,} bytes.",
    )
    start = 8 + length
    require(start <= len(data), f"{path.name} is not safetensors: its header is cut short.")
    try:
        header = json.loads(data[8:start])
        header.pop("__metadata__", None)
        _check_places(header, len(data) - start)
        return {name: _tensor(name, entry, data, start) for name, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, RuntimeError) as error:
        if isinstance(error, ContractError):
            raise
        raise ContractError(f"{path.name} is not safetensors: {str(error)[:200]!r}.") from None


def _check_places(header: dict[str, Any], length: int) -> None:
    """Tensors in one place would take the memory of many, and what lies between them hides."""
    place = 0
    entries = sorted(header.items(), key=lambda item: (item[1]["data_offsets"], item[0]))
    for name, entry in entries:
        begin, end = entry["data_offsets"]
        require(
            begin == place and begin <= end,
            f"tensor {name[:200]!r} of the safetensors file does not follow the one before it.",
        )
        place = end
    require(
        place == length,
        f"the tensors do not fill the safetensors file: they end at {place:,} of {length:,} bytes.",
    )


def _tensor(name: str, entry: dict[str, Any], data: bytearray, start: int) -> torch.Tensor:
    kind, shape, (begin, end) = _TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    require(
        len(shape) <= MAX_DIMENSIONS
        and all(type(side) is int and 0 <= side < MAX_SIDE for side in shape)
        and math.prod(shape) * kind.itemsize == end - begin,
        f"tensor {name[:200]!r} does not fit the file.",
    )
    if begin == end:
        return torch.empty(shape, dtype=kind)
    flat = torch.frombuffer(data, dtype=torch.uint8, offset=start + begin, count=end - begin)
    # A copy, because a tensor's numbers must lie at a multiple of their size.
    return flat.clone().view(kind).reshape(shape)
