"""A small CelebA drawn from avatars: the same files in the same layout."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.data.avatars import AvatarsSource

NAMES = ("Smiling", "Male", "Hat")
NUM_IMAGES = 60


def image_name(row: int) -> str:
    """`000001.jpg` for row 0."""
    return f"{row + 1:06d}.jpg"


def labels(num_images: int = NUM_IMAGES) -> NDArray[np.uint8]:
    """What the attribute file says, [num_images, 3] in {0, 1}."""
    return AvatarsSource(num_images, seed=5).labels()[:, :3]


def write_celeba(
    root: Path, height: int = 109, width: int = 89, num_images: int = NUM_IMAGES
) -> Path:
    """Writes 60 images with attributes, identities (two images each) and partition."""
    (root / "img_align_celeba").mkdir(parents=True)
    pixels = AvatarsSource(num_images, seed=5).draw(0, num_images, height, width)
    rows, people, parts = [], [], []
    for row, values in enumerate(labels(num_images)):
        name = image_name(row)
        Image.fromarray(pixels[row]).save(root / "img_align_celeba" / name, quality=92)
        rows.append(f"{name} " + " ".join(f"{2 * int(value) - 1:2d}" for value in values))
        people.append(f"{name} {100 + row // 2}")
        parts.append(f"{name} {0 if row < 40 else 1 if row < 50 else 2}")
    attributes = [str(num_images), " ".join(NAMES) + " ", *rows]
    (root / "list_attr_celeba.txt").write_text("\n".join(attributes) + "\n")
    (root / "identity_CelebA.txt").write_text("\n".join(people) + "\n")
    (root / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    return root
