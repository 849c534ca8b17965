"""Codes as a study keeps them, made up."""

import io
from typing import Any

import numpy as np

NUM_IMAGES = 80


def kept_arrays(seed: int = 0, apart: float = 8.0, num: int = NUM_IMAGES) -> dict[str, Any]:
    """The arrays of `codes.npz`: Hat moves a code by so many deviations, the rest is noise.

    Of `num` images half have Hat, a quarter Smiling, one Beard; Round is on all of them.
    """
    draw = np.random.default_rng(seed)
    codes = draw.normal(size=(num, 6))
    order = np.arange(num)
    hat, smiling, beard = order % 2 == 1, order // 2 % 4 == 0, order == 0
    codes[hat, 0] += apart
    labels = np.stack([beard, smiling, np.ones(num, dtype=bool), hat], axis=1).astype(np.uint8)
    return {
        "codes": (codes / np.abs(codes).max()).astype(np.float16), "labels": labels,
        "utility": np.array(["Beard", "Smiling", "Round"]), "private": np.array(["Hat"]),
        "share": np.float64(0.9), "num_values": np.int64(512),
    }  # fmt: skip


def packed(arrays: dict[str, Any]) -> bytes:
    """`codes.npz` of them."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
