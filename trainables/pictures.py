"""Strips of test images and their reconstructions, the raw material of the report's grids."""

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

NUM_PICTURES = 8
"""Test images shown per encoder, always the first ones of the split."""


def save_strip(images: Tensor, path: Path) -> None:
    """Writes images [N, 3, H, W] in [0, 1] side by side as one PNG of N·W by H pixels."""
    pixels = (images.clamp(0, 1) * 255).round().byte().permute(2, 0, 3, 1).cpu().numpy()
    height, count, width, _ = pixels.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels.reshape(height, count * width, 3))).save(path)
