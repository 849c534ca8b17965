"""Strips of images, small enough for a page that holds hundreds of them."""

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from analysis.drawing import data_uri

STRIP_HEIGHT = 64
"""Pixels of a strip in the page; smaller ones stay as they are."""
TILE_HEIGHT, NUM_TILES = 40, 4
"""Pixels and number of the images on an encoder's card."""
STRIP_QUALITY, TILE_QUALITY = 82, 70
"""Of WebP, of 100; the files in MLflow are lossless."""


def strip(path: Path, height: int | None = STRIP_HEIGHT) -> str:
    """A whole strip as a data URI, at most so high; empty if it is no readable image."""
    image = _read(path)
    if image is None:
        return ""
    return _encode(image if height is None else _shrink(image, height), STRIP_QUALITY)


def tiles(path: Path, ratio: float = 1.0) -> str:
    """The first images of a strip as a data URI; empty if it is no readable image.

    Args:
        path: The strip.
        ratio: Width of one of its images over its height.
    """
    image = _read(path)
    if image is None:
        return ""
    width = min(image.width, round(NUM_TILES * ratio * image.height))
    return _encode(_shrink(image.crop((0, 0, width, image.height)), TILE_HEIGHT), TILE_QUALITY)


def _read(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError):
        return None


def _shrink(image: Image.Image, height: int) -> Image.Image:
    if image.height <= height:
        return image
    return image.resize((round(image.width * height / image.height), height), Image.Resampling.BOX)


def _encode(image: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=4)
    return data_uri(buffer.getvalue(), "webp")
