"""The embedded data set: procedurally drawn faces with known, independent factors.

An identity fixes a face's geometry; ten binary attributes vary independently of the identity and
of each other; pose, light and background are nuisance. Because the factors are independent, a
private attribute can be hidden completely without any loss of utility: the best possible frontier
is known exactly (full utility at zero leakage of the attribute), which no real data set offers.

`python -m trainables.data.avatars OUT.png` draws the contact sheet of the README.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from trainables.data.avatar_drawing import draw
from trainables.data.avatar_factors import (
    ATTRIBUTES,
    identity_factors,
    image_factors,
    image_identities,
    image_labels,
)

_DRAWING = 1  # raised whenever the drawings change, so that old stores are not taken for new ones
_CHUNK = 256  # images handed out at a time
_PIXELS_AT_ONCE = 1 << 16  # small enough for the layers to stay in the processor's cache


class AvatarsSource:
    """Drawn faces, any number and any size; avatar i depends on (seed, i) alone."""

    attribute_names = ATTRIBUTES

    def __init__(self, num_images: int = 4000, seed: int = 0) -> None:
        """Draws nothing yet.

        Args:
            num_images: How many avatars; about a fifth as many people are on them.
            seed: Seed of people and images, not negative.
        """
        self._num_images, self._seed = num_images, seed

    def __len__(self) -> int:
        """Number of avatars."""
        return self._num_images

    def check(self) -> None:
        """Nothing can be missing."""

    def settings(self) -> dict[str, Any]:
        """Seed, number and version of the drawings."""
        return {
            "name": "avatars",
            "drawing": _DRAWING,
            "num_images": self._num_images,
            "seed": self._seed,
        }

    def labels(self) -> NDArray[np.uint8]:
        """Attributes, [N, A] in {0, 1}, each 1 with probability 1/2."""
        return image_labels(self._seed, 0, self._num_images)

    def identities(self) -> NDArray[np.int64]:
        """Person on each avatar, [N]."""
        return image_identities(self._seed, 0, self._num_images)

    def partition(self) -> None:
        """Avatars come without a split of their own."""

    def images(
        self, height: int, width: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Draws all avatars; see `Source.images`."""
        for start in range(0, self._num_images, _CHUNK):
            stop = min(start + _CHUNK, self._num_images)
            yield self.draw(start, stop, height, width), np.arange(start, stop, dtype=np.int64)

    def draw(self, start: int, stop: int, height: int, width: int) -> NDArray[np.uint8]:
        """Draws avatars `start` to `stop`, [stop - start, height, width, 3]."""
        step = max(1, _PIXELS_AT_ONCE // (height * width))
        parts = []
        for first in range(start, stop, step):
            last = min(first + step, stop)
            people = image_identities(self._seed, first, last)
            image = image_factors(self._seed, first, last)
            parts.append(draw(image, identity_factors(self._seed, people), height, width))
        return np.concatenate(parts)


def contact_sheet(
    path: Path, rows: int = 6, columns: int = 8, size: int = 96, seed: int = 0
) -> None:
    """Writes a PNG: a row per attribute, the same faces without (left) and with it (right).

    Each pair of neighbours differs in that attribute alone; rows beyond the number of attributes
    show avatars as they come.

    Args:
        path: The file to write.
        rows: Number of rows.
        columns: Number of avatars per row, even.
        size: Pixels per avatar.
        seed: Seed of the avatars.

    Raises:
        ValueError: The number of columns is odd or not positive.
    """
    if columns < 2 or columns % 2:
        raise ValueError(f"columns: must be even and at least 2, got {columns}")
    caption = 16
    sheet = Image.new("RGB", (columns * size, rows * (size + caption)), "white")
    pen = ImageDraw.Draw(sheet)
    for row in range(rows):
        first = row * columns
        image = image_factors(seed, first, first + columns)
        people = image_identities(seed, first, first + columns)
        title = "as they come"
        if row < len(ATTRIBUTES):
            for name in image:
                image[name] = np.repeat(image[name][::2], 2)
            people = np.repeat(people[::2], 2)
            image[ATTRIBUTES[row]] = np.tile(np.array([0.75, 0.25], dtype=np.float32), columns // 2)
            title = f"{ATTRIBUTES[row]}: without, with"
        faces = draw(image, identity_factors(seed, people), size, size)
        top = row * (size + caption)
        pen.text((4, top + 2), title, fill="black")
        for index, pixels in enumerate(faces):
            sheet.paste(Image.fromarray(pixels), (index * size, top + caption))
    sheet.save(path)


def main() -> None:
    """Writes the contact sheet named on the command line."""
    parser = argparse.ArgumentParser(description="Draw a contact sheet of the avatars.")
    parser.add_argument("output", type=Path, help="the PNG to write")
    parser.add_argument("--rows", type=int, default=len(ATTRIBUTES) + 2)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    contact_sheet(given.output, given.rows, given.columns, given.size, given.seed)


if __name__ == "__main__":
    main()
