"""Reading safetensors files: eight bytes of length, a JSON header, then the tensors' bytes.

The library of that name is not among this project's dependencies; the format is small and fixed.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
}
"""The types that weights come in, by their names in the header."""


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Reads every tensor of a file, onto the CPU.

    Raises:
        ValueError: Naming the file and what is wrong with it.
    """
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise ValueError(f"{path} is no safetensors file: it is shorter than its header says")
    try:
        header: dict[str, Any] = json.loads(content[8 : 8 + length])
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        data = memoryview(content)[8 + length :]
        return {name: _tensor(name, entry, data) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no readable safetensors file: {error}") from error


def _tensor(name: str, entry: dict[str, Any], data: memoryview) -> Tensor:
    """One tensor, copied out of the file's bytes."""
    if entry["dtype"] not in DTYPES:
        known = ", ".join(DTYPES)
        raise ValueError(f"tensor {name!r} is of type {entry['dtype']}; known: {known}")
    dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
    start, stop = entry["data_offsets"]
    wanted = math.prod(shape) * dtype.itemsize
    if not 0 <= start <= stop <= len(data) or stop - start != wanted:
        raise ValueError(
            f"tensor {name!r} of shape {shape} needs {wanted} bytes, the header gives it bytes "
            f"{start} to {stop} of {len(data)}"
        )
    if not wanted:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data[start:stop]), dtype=dtype).reshape(shape)
