"""Strips of test images and their reconstructions, the raw material of the report's grids."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainables.checkpoint import write_text
from trainables.data.batches import gather
from trainables.encodings import Encodings
from trainables.quiz import another_image

NUM_PICTURES = 8
"""Test images shown per encoder, always the first ones of the split."""
ORIGINALS, OTHERS = "originals.png", "others.png"
"""Strips of these images and, in the same places, of another image of the same person, black where
there is none; without the second where nobody has one."""
PEOPLE = "people.json"
"""Beside them: `people`, who is on each, numbered as they appear, and `others`, whether there is
another image of that person."""


def keep_pictures(
    encodings: Encodings,
    num_images: int,
    name: str,
    reconstruct: Callable[[Tensor], Tensor],
    folder: Path,
) -> str | None:
    """Keeps what an attacker made of the first test images, beside these.

    Args:
        encodings: The encoder's codes.
        num_images: Of the first batch; with 0 nothing is kept.
        name: The attacker's.
        reconstruct: Standardised codes to images.
        folder: Where to; made if missing.

    Returns:
        The strip of reconstructions; None if nothing is kept.
    """
    if not num_images:
        return None
    batch = next(iter(encodings.split_batches("test")))
    save_strip(batch.images[:num_images], folder / ORIGINALS)
    _keep_others(encodings, len(batch.images[:num_images]), folder)
    path = folder / f"{name}.png"
    save_strip(reconstruct(batch.codes[:num_images]), path)
    return str(path)


def _keep_others(encodings: Encodings, num_images: int, folder: Path) -> None:
    """Another image of each person shown, which is what a quiz asks to find."""
    who, store = encodings.people("test"), encodings.dataset.store
    another = another_image(who, num_images)
    has_other = another >= 0
    if bool(has_other.any()):
        rows = encodings.dataset.rows("test")[another.clamp_min(0).numpy()]
        images = gather(store.images, store.labels, rows, torch.device("cpu")).images
        save_strip(images * has_other.view(-1, 1, 1, 1), folder / OTHERS)
    numbers: dict[int, int] = {}
    people = [numbers.setdefault(int(person), len(numbers)) for person in who[:num_images]]
    text = json.dumps({"people": people, "others": has_other.tolist()})
    write_text(text, folder / PEOPLE)


def save_strip(images: Tensor, path: Path) -> None:
    """Writes images [N, 3, H, W] in [0, 1] side by side as one PNG of N·W by H pixels."""
    pixels = (images.clamp(0, 1) * 255).round().byte().permute(2, 0, 3, 1).cpu().numpy()
    height, count, width, _ = pixels.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels.reshape(height, count * width, 3))).save(path)
