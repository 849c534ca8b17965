"""The random factors of an avatar: which uniform number decides what.

Counter-based random numbers make every avatar a pure function of (seed, row): it is the same
however many are drawn and however they are chunked, and no state is carried along.
"""

import numpy as np
from numpy.typing import NDArray

ATTRIBUTES: tuple[str, ...] = (
    "Smiling",
    "Eyeglasses",
    "Hat",
    "Beard",
    "Dark_Hair",
    "Mouth_Open",
    "Pale_Skin",
    "Round_Face",
    "Bushy_Eyebrows",
    "Earrings",
)
"""Attributes of an image: each present with probability 1/2, independent of all else."""

NUISANCE: tuple[str, ...] = (
    "pick",  # which of its block's people the image shows
    "shift_x", "shift_y", "rotation", "scale",
    "light_angle", "light_strength", "exposure",
    "background_hue", "background_value", "background_hue_end", "background_value_end",
    "background_angle", "clothes_hue", "clothes_value", "hat_hue", "hat_value", "frame_hue",
    "expression", "gaze",
)  # fmt: skip
"""What varies from image to image and means nothing."""

GEOMETRY: tuple[str, ...] = (
    "head_width", "head_height", "jaw", "eye_distance", "eye_height", "eye_size", "eye_tilt",
    "eye_colour", "brow_height", "brow_tilt", "nose_length", "nose_width", "mouth_height",
    "mouth_width", "lip_fullness", "hair_line", "hair_part", "hair_volume", "hair_length",
    "hair_tone", "skin_tone", "ear_size", "neck_width", "beard_length",
)  # fmt: skip
"""What an identity fixes: the shape of the face and the tones within each attribute's range."""

_IMAGE_STREAM, _IDENTITY_STREAM = 1, 2
_COLUMNS = 64  # numbers drawn per row: room for new factors without changing the old ones
_BLOCK = 50  # images that share a group of people
_PEOPLE = 10  # people per block: five images each on average

Factors = dict[str, NDArray[np.float32]]


def _uniforms(seed: int, stream: int, start: int, stop: int) -> NDArray[np.float32]:
    """Rows `start` to `stop` of an endless table of uniform numbers, [stop - start, 64]."""
    generator = np.random.Philox(key=[seed, stream])
    generator.advance(start * _COLUMNS // 4)  # Philox makes four numbers per step
    numbers = np.random.Generator(generator).random((stop - start, _COLUMNS))
    return numbers.astype(np.float32)


def image_factors(seed: int, start: int, stop: int) -> Factors:
    """Attributes and nuisance of images `start` to `stop`, each [n] uniform in [0, 1]."""
    table = _uniforms(seed, _IMAGE_STREAM, start, stop)
    # Nuisance from the far end, so that an attribute more changes none of the others.
    named = {name: table[:, index] for index, name in enumerate(ATTRIBUTES)}
    named.update({name: table[:, _COLUMNS - 1 - index] for index, name in enumerate(NUISANCE)})
    return named


def image_labels(seed: int, start: int, stop: int) -> NDArray[np.uint8]:
    """Attributes of images `start` to `stop`, [n, A] in {0, 1}, columns as `ATTRIBUTES`."""
    table = _uniforms(seed, _IMAGE_STREAM, start, stop)
    return (table[:, : len(ATTRIBUTES)] < 0.5).astype(np.uint8)


def image_identities(seed: int, start: int, stop: int) -> NDArray[np.int64]:
    """Numbers of the people on images `start` to `stop`, [n].

    Each block of 50 images shows people of its own group of ten, picked at random: about one
    person per five images, with unequal numbers of images, whatever the number of images.
    """
    pick = image_factors(seed, start, stop)["pick"]
    block = np.arange(start, stop, dtype=np.int64) // _BLOCK
    return block * _PEOPLE + np.minimum((pick * _PEOPLE).astype(np.int64), _PEOPLE - 1)


def identity_factors(seed: int, identities: NDArray[np.int64]) -> Factors:
    """Geometry of the given people, each [n] uniform in [0, 1]; a function of (seed, person)."""
    first = int(identities.min())
    table = _uniforms(seed, _IDENTITY_STREAM, first, int(identities.max()) + 1)
    rows = table[identities - first]
    return {name: rows[:, index] for index, name in enumerate(GEOMETRY)}
