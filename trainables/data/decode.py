"""Image files to pixels of one size: cropped, anti-aliased, in a thread pool."""

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.data.source import DataError

MAX_UNREADABLE = 0.01
"""Share of unreadable images above which a data set is taken to be broken."""

_CHUNK = 256
# Pillow raises these for files that are cut short, no images, malformed, or absurdly large.
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Crop:
    """Where to cut, in shares of the image on disk, so that any resolution gives the same view.

    Attributes:
        centre_x: Middle of the crop, share of the width.
        centre_y: Middle of the crop, share of the height.
        side: Shorter side of the crop, share of the width. The other side follows from the
            target's aspect; where that does not fit into the image the whole crop shrinks.
    """

    centre_x: float
    centre_y: float
    side: float

    def box(
        self, image_width: int, image_height: int, height: int, width: int
    ) -> tuple[float, float, float, float]:
        """The crop of an image for a target size: left, top, right, bottom in pixels."""
        side = self.side * image_width
        across, down = side * max(1.0, width / height), side * max(1.0, height / width)
        shrink = min(1.0, image_width / across, image_height / down)
        across, down = across * shrink, down * shrink
        left = min(max(self.centre_x * image_width - across / 2, 0.0), image_width - across)
        top = min(max(self.centre_y * image_height - down / 2, 0.0), image_height - down)
        # Rounding must not push the far edge beyond the image: Pillow refuses such a box.
        return left, top, min(left + across, image_width), min(top + down, image_height)


def decode_image(path: Path, crop: Crop, height: int, width: int) -> Pixels:
    """Reads one image file, crops and resizes it.

    Returns:
        uint8 [height, width, 3].

    Raises:
        OSError, SyntaxError, ValueError: The file is missing, cut short or no image.
    """
    with Image.open(path) as image:
        left, top, right, bottom = crop.box(*image.size, height, width)
        # A JPEG can be decoded at half or quarter size, as long as the crop keeps enough pixels.
        enlarge = max(width / (right - left), height / (bottom - top))
        if enlarge < 1:
            wanted = tuple(math.ceil(side * enlarge) for side in image.size)
            image.draft("RGB", (wanted[0], wanted[1]))
        pixels = _to_rgb(image)
        box = crop.box(*pixels.size, height, width)
        # Pillow widens the filter when it shrinks: that is the anti-aliasing.
        return np.asarray(pixels.resize((width, height), Image.Resampling.BILINEAR, box=box))


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any image to three channels of eight bits."""
    if image.mode.startswith("I"):
        # Pillow would clip sixteen bits to eight, which turns most of such an image white.
        image = Image.fromarray((np.asarray(image) // 256).astype(np.uint8))
    return image.convert("RGB")


def decode_images(
    paths: Sequence[Path], crop: Crop, height: int, width: int
) -> Iterator[tuple[Pixels, NDArray[np.int64]]]:
    """Reads image files in order, several at a time.

    An unreadable file is left out, with a warning that names it.

    Yields:
        uint8 [n, height, width, 3] and the positions [n] in `paths` they belong to.

    Raises:
        DataError: More than 1% of the files are unreadable; names the first few.
    """
    unreadable: list[str] = []

    def decode(path: Path) -> Pixels | str:
        try:
            return decode_image(path, crop, height, width)
        except _UNREADABLE as error:
            return f"{path}: {error}"

    with ThreadPoolExecutor(max_workers=num_usable_cores()) as pool:
        for start in range(0, len(paths), _CHUNK):
            pixels, rows = [], []
            for row, result in enumerate(pool.map(decode, paths[start : start + _CHUNK]), start):
                if isinstance(result, str):
                    unreadable.append(result)
                    warnings.warn(f"unreadable image left out: {result}", stacklevel=2)
                else:
                    pixels.append(result)
                    rows.append(row)
            if len(unreadable) > MAX_UNREADABLE * len(paths):
                raise DataError(
                    f"{len(unreadable)} of the first {min(start + _CHUNK, len(paths))} images "
                    f"are unreadable, more than {MAX_UNREADABLE:.0%} of all {len(paths)}; "
                    f"the first: {'; '.join(unreadable[:3])}"
                )
            if pixels:
                yield np.stack(pixels), np.asarray(rows, dtype=np.int64)


def num_usable_cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
