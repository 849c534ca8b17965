"""Images in a folder per category, such as Places-365: the categories are the attributes."""

import dataclasses
import difflib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.decode import Crop, decode_images
from trainables.data.source import DataError

CENTRE = Crop(centre_x=0.5, centre_y=0.5, side=1.0)
"""The largest centred crop of the wanted aspect: the middle square for a square."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""Names of image files end in one of these, in small or capital letters."""

PARTS: Mapping[str, int] = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}
"""Folders that are a part of the data, not a category: 0 training, 1 validation, 2 test."""

_Steps = tuple[str, ...]  # the folders on the way from the root
_Folders = dict[tuple[int, str], tuple[_Steps, list[str]]]  # (part, category) to its images


class FolderSource:
    """Photographs sorted into a folder per category; the labels are one-hot.

    The folders are `ROOT/CATEGORY/`, or `ROOT/train/CATEGORY/` with `val` (`valid`, `validation`)
    and `test` beside `train`. A category is any folder that holds images, named by its path with
    `_` between the steps; a first step of one letter is dropped, so that Places-365 reads as it is
    distributed (`a/apartment_building/outdoor/` is `apartment_building_outdoor`). Hidden files and
    folders are passed over.

    Images are ordered such that the first n hold the same number of each category, as far as there
    are enough, and of each category's parts in proportion.
    """

    def __init__(
        self, root: Path, num_images: int | None = None, categories: Sequence[str] = ()
    ) -> None:
        """Lists the folders; opens no image.

        Args:
            root: The folder of the categories' folders, or of the parts'.
            num_images: Use the first ones only; None means all.
            categories: Use the images of these only, at least two; none means all.

        Raises:
            DataError: A folder cannot be read or belongs to no category, there are fewer than two
                categories, one that is asked for is unknown, or there are fewer images than asked
                for.
        """
        if not root.is_dir():
            raise DataError(
                f"data.root: {root} is no folder; give the one that holds a folder per category"
            )
        folders = _categorise(root, dict(_scan(root, (), frozenset())))
        known = tuple(sorted({category for _, category in folders}))
        if len(known) < 2:
            what = f"a single category ({known[0]!r})" if known else "no images"
            raise DataError(
                f"{root}: holds {what}; images ({', '.join(SUFFIXES)}) of at least two categories "
                "are needed, in a folder per category"
            )
        self._root = root
        self.attribute_names = _chosen(tuple(categories), known)
        self._names, self._categories, self._parts = _interleave(folders, self.attribute_names)
        if num_images is not None and num_images > len(self._names):
            raise DataError(
                f"data.num_images: {root} holds {len(self._names)} images"
                f"{' of data.categories' if categories else ''}, got {num_images}"
            )
        self._names = self._names[:num_images]
        self._categories, self._parts = self._categories[:num_images], self._parts[:num_images]

    def __len__(self) -> int:
        """Number of images used."""
        return len(self._names)

    def check(self) -> None:
        """Looks for every image; decodes none.

        Raises:
            DataError: An image cannot be read.
        """
        self.settings()

    def settings(self) -> dict[str, Any]:
        """The categories, a hash of the images' names and sizes, and the crop.

        Raises:
            DataError: An image cannot be read.
        """
        return {
            "name": "folder",
            "num_images": len(self),
            "categories": list(self.attribute_names),
            "images": self._sizes_hash,
            "crop": dataclasses.asdict(CENTRE),
        }

    @cached_property
    def _sizes_hash(self) -> str:
        digest = hashlib.sha256()
        for name in self._names:
            path = self._root / name
            try:
                size = path.stat().st_size
            except OSError as error:
                raise DataError(f"{path}: cannot be read: {error.strerror}") from error
            digest.update(f"{name}:{size}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def labels(self) -> NDArray[np.uint8]:
        """Categories, one-hot [N, A] in {0, 1}."""
        labels = np.zeros((len(self), len(self.attribute_names)), dtype=np.uint8)
        labels[np.arange(len(self)), self._categories] = 1
        return labels

    def identities(self) -> NDArray[np.int64]:
        """Every image is of its own, [N], as images of unknown people are."""
        return -1 - np.arange(len(self), dtype=np.int64)

    def partition(self) -> NDArray[np.int8] | None:
        """The part each image lies in, [N]: 0 training, 1 validation, 2 test; None without any."""
        return None if (self._parts < 0).any() else self._parts

    def images(
        self, height: int, width: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Decodes the middle of each image, grey ones to three equal channels; see `Source.images`.

        Raises:
            DataError: More than 1% of the images are unreadable.
        """
        return decode_images([self._root / name for name in self._names], CENTRE, height, width)


def _scan(
    folder: Path, steps: _Steps, above: frozenset[tuple[int, int]]
) -> Iterator[tuple[_Steps, list[str]]]:
    """Goes through a folder and those in it, through links too.

    Yields:
        The way to each folder that holds images, and the sorted names of these.
    """
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise DataError(f"{folder}: is a link to a folder that it lies in")
    entries = [entry for entry in entries if not entry.name.startswith(".")]
    inner = [entry.name for entry in entries if entry.is_dir()]
    # A broken link counts: an image that is missing is to be missed.
    names = [
        entry.name
        for entry in entries
        if entry.name.lower().endswith(SUFFIXES) and not entry.is_dir()
    ]
    if names:
        yield steps, names
    for name in inner:
        yield from _scan(folder / name, (*steps, name), above | {here})


def _categorise(root: Path, found: dict[_Steps, list[str]]) -> _Folders:
    """Sorts folders into parts (-1 where there are none) and categories."""
    # A part holds folders and no images; a category may well be called `train`.
    parts = {steps[0] for steps in found if len(steps) > 1 and steps[:1] not in found}
    parted = not PARTS.keys().isdisjoint(map(str.lower, parts))
    folders: _Folders = {}
    for steps, names in found.items():
        path = root.joinpath(*steps)
        part, inside = -1, steps
        if parted and steps:
            part, inside = PARTS.get(steps[0].lower(), -1), steps[1:]
            if part < 0:
                raise DataError(
                    f"{path}: is in none of the parts ({', '.join(PARTS)}); where there is one, "
                    "all images must lie in them"
                )
        if not inside:
            raise DataError(
                f"{path / names[0]}: lies in no category's folder; data.root must hold a folder "
                "per category, or parts such as train and test that do"
            )
        key = (part, _category(inside))
        if key in folders:
            raise DataError(
                f"{path}: would be category {key[1]!r}, as {root.joinpath(*folders[key][0])} is"
            )
        folders[key] = (steps, names)
    return folders


def _category(steps: _Steps) -> str:
    """Name of a category; what cannot stand in the name of a metric becomes `_`."""
    kept = steps[1:] if len(steps) > 1 and len(steps[0]) == 1 else steps
    return re.sub(r"[^\w.\- ]", "_", "_".join(kept))


def _chosen(wanted: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """The categories asked for, sorted; all if none is."""
    for name in wanted:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise DataError(
                f"data.categories: {name!r} is unknown; {hint}known: {', '.join(known)}"
            )
    if len(set(wanted)) == 1:
        raise DataError(f"data.categories: at least two are needed, got {wanted[0]!r} alone")
    return tuple(sorted(set(wanted))) or known


def _interleave(
    folders: _Folders, categories: tuple[str, ...]
) -> tuple[list[str], NDArray[np.int64], NDArray[np.int8]]:
    """Orders the images: the first of each category, then the second of each, and so on.

    Returns:
        Path of each image below the root, its category [N] and its part [N].
    """
    names: list[str] = []
    columns, parts, turns = [], [], []
    for column, category in enumerate(categories):
        shares = []
        for part in sorted({part for part, name in folders if name == category}):
            steps, files = folders[part, category]
            names += [str(PurePosixPath(*steps, file)) for file in files]
            parts += [part] * len(files)
            # Each part is spread evenly over its category, or the last would be in no prefix.
            shares.append((np.arange(len(files)) + 0.5) / len(files))
        # The rank of each image by its share is its turn among the images of its category.
        turn = np.argsort(np.argsort(np.concatenate(shares), kind="stable"), kind="stable")
        turns.append(turn)
        columns += [column] * len(turn)
    # The images lie category by category, so a stable sort by turn keeps the categories in order.
    order = np.argsort(np.concatenate(turns), kind="stable")
    return (
        [names[index] for index in order],
        np.asarray(columns, dtype=np.int64)[order],
        np.asarray(parts, dtype=np.int8)[order],
    )
