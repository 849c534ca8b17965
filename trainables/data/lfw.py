"""LFW's layout and framing: a folder per person, faces cut as CelebA's are.

LFW comes without attributes, so that a service could predict nothing from it: it is no
`data.source`, but what an attacker may hold beside the public split (`data.extra_public`, see
`trainables.data.extra`), as in Xiao's Table 1, rows 5 and 6.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.data.decode import Crop
from trainables.data.folder import SUFFIXES
from trainables.data.source import DataError

FOLDERS = ("lfw-deepfunneled", "lfw_funneled", "lfw-funneled", "lfw")
"""Folders that hold the people's folders, as LFW's archives unpack; the first that is there."""

CENTRAL: Mapping[int, float] = {250: 0.6, 96: 1.0}
"""Side of the central part as a share of the image's side, by that side in pixels.

LFW's images are 250 pixels wide and high, their central 150 pixels hold the head. Reduced copies
are of that part alone, at 96 pixels. What is cut lies within it: both copies show the same.
"""

FACE = Crop(centre_x=0.5, centre_y=0.45, side=0.9)
"""The face in the central part, framed as CelebA's `FACE` frames it.

Faces lie higher in LFW: the crop touches the upper edge of the central part. At this side the eyes
and mouth of LFW's mean face are closest to those of CelebA's: 3% of the side away, the eyes above
and the mouth below.
"""

Pairs = list[tuple[str, int]]  # an image's path below the folder, and its person's number


def face_crop(image_side: int, height: int, width: int) -> Crop:
    """The crop around the face in images of one of LFW's sizes.

    Args:
        image_side: Width and height of the image files in pixels, a key of `CENTRAL`.
        height: Of the wanted pixels; what is cut has their aspect.
        width: Of the wanted pixels.

    Returns:
        In shares of the image file; all of it within the central part.
    """
    share = CENTRAL[image_side]
    left, top, right, bottom = FACE.box(1, 1, height, width)
    margin = (1 - share) / 2
    return Crop(
        centre_x=margin + share * (left + right) / 2,
        centre_y=margin + share * (top + bottom) / 2,
        side=share * min(right - left, bottom - top),
    )


def people_folder(root: Path) -> Path:
    """Goes from the folder a user names to the one whose folders are people.

    Raises:
        DataError: A folder cannot be read.
    """
    folder = root
    while True:
        # A folder of that name that holds images itself is a person's (or a category's).
        inside = (folder / name for name in FOLDERS if (folder / name).is_dir())
        inner = next((path for path in inside if not scan(path)[0]), None)
        if inner is None:
            return folder
        folder = inner


def list_people(folder: Path) -> tuple[list[str], NDArray[np.int64]]:
    """Lists the images of a folder per person, opening none.

    The first images of all people come first, then all second ones, and so on, each time in the
    order of the people's names: the first n images show as many people as n images can.

    Args:
        folder: What `people_folder` found.

    Returns:
        Path of each image below the folder, `/` between the steps, and the number of its person
        [N], from 0 in the order of the names of those who have images.

    Raises:
        DataError: A folder cannot be read.
    """
    people = [(name, scan(folder / name)[0]) for name in scan(folder)[1]]
    known = [(name, images) for name, images in people if images]
    turns: list[Pairs] = [[] for _ in range(max((len(images) for _, images in known), default=0))]
    for person, (name, images) in enumerate(known):
        for turn, image in enumerate(images):
            turns[turn].append((f"{name}/{image}", person))
    pairs = [pair for turn in turns for pair in turn]
    return [name for name, _ in pairs], np.array([person for _, person in pairs], dtype=np.int64)


def scan(folder: Path) -> tuple[list[str], list[str]]:
    """Lists the images and the folders in a folder, sorted; hidden ones are passed over.

    Raises:
        DataError: The folder cannot be read.
    """
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"data.extra_public: {folder}: cannot be read: {error.strerror}") from error
    folders = sorted(entry.name for entry in entries if entry.is_dir())
    images = sorted(
        entry.name
        for entry in entries
        # A broken link counts: an image that is missing is to be missed.
        if entry.name.lower().endswith(SUFFIXES) and not entry.is_dir()
    )
    return images, folders
