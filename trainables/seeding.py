"""Identities and seeds derived from named parts.

A job is identified by a hash of its arguments, so that running it again does only what is missing,
and every seed is a hash of the parts it depends on, so that adding a parameter elsewhere does not
reshuffle the rest (after DomainBed's `seed_hash`).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

HASH_LENGTH = 12
"""Hexadecimal digits of an identity: 48 bits, far more than a study's trials need."""


def canonical_json(value: Any) -> str:
    """Writes a JSON-able value in one way only: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def config_hash(config: Mapping[str, Any]) -> str:
    """Returns the identity of a configuration, 12 hexadecimal digits."""
    return hashlib.sha256(canonical_json(dict(config)).encode()).hexdigest()[:HASH_LENGTH]


def derive_seed(*parts: Any) -> int:
    """Returns a seed in [0, 2**31) that depends on every part and on their order."""
    digest = hashlib.sha256(canonical_json(list(parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def seed_draws(seed: int, device: torch.device) -> None:
    """Seeds what is drawn next on the CPU and on one other device.

    `torch.manual_seed` prepares for every device there could be, at every call: without a GPU that
    takes 0.4 ms, a good part of a small attacker's step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def state_hash(state: Mapping[str, torch.Tensor]) -> str:
    """Returns the hash of a state dict's names and exact bytes, 16 hexadecimal digits.

    Logged before and after every attack: a frozen encoder must not have moved.
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
