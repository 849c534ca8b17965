"""CelebA from its own files, at any size on disk."""

import dataclasses
import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.celeba_files import (
    AttributeFile,
    find,
    read_attribute_file,
    read_numbers,
    require,
)
from trainables.data.decode import Crop, decode_images
from trainables.data.source import DataError
from trainables.seeding import file_hash

FACE = Crop(centre_x=0.5, centre_y=0.52, side=0.8)
"""The face in an aligned CelebA image: whole head with hair and chin, little background."""

_ATTRIBUTES, _IDENTITIES = "list_attr_celeba.txt", "identity_CelebA.txt"
_PARTITION, _IMAGES = "list_eval_partition.txt", "img_align_celeba"


class CelebaSource:
    """CelebA's aligned images with attributes, identities and partition.

    The files may lie flat in the folder or as they are distributed (`Anno/`, `Eval/`, `Img/`).
    The identity and partition files may be missing: then each image is a person of its own, and
    there is no official split.
    """

    def __init__(self, root: Path, num_images: int | None = None) -> None:
        """Opens the folder and reads the list of images; decodes none.

        Args:
            root: The folder that holds CelebA's files.
            num_images: Use the first ones only; None means all.

        Raises:
            DataError: A file is missing or malformed, or there are fewer images than asked for.
        """
        self._file: AttributeFile = read_attribute_file(require(root, _ATTRIBUTES))
        self._folder = require(root, _IMAGES)
        self._identity_path, self._partition_path = find(root, _IDENTITIES), find(root, _PARTITION)
        listed = len(self._file.image_names)
        if num_images is not None and num_images > listed:
            raise DataError(
                f"data.num_images: {self._file.path} lists {listed} images, got {num_images}"
            )
        self._names = self._file.image_names[:num_images]

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of the attributes, as the attribute file orders them."""
        return self._file.attribute_names

    def __len__(self) -> int:
        """Number of images used."""
        return len(self._names)

    def check(self) -> None:
        """Reads all text files in full and looks for every image; decodes none.

        Raises:
            DataError: A file is malformed or an image is missing or empty.
        """
        self.labels()
        self.identities()
        self.partition()
        self.settings()

    def settings(self) -> dict[str, Any]:
        """Hashes of the text files and of the images' names and sizes, and the crop.

        Raises:
            DataError: An image that is listed is missing.
        """
        return {
            "name": "celeba",
            "num_images": len(self),
            "attributes": self._file.sha256,
            "identities": file_hash(self._identity_path) if self._identity_path else None,
            "partition": file_hash(self._partition_path) if self._partition_path else None,
            "images": self._sizes_hash,
            "crop": dataclasses.asdict(FACE),
        }

    @cached_property
    def _sizes_hash(self) -> str:
        digest = hashlib.sha256()
        for name in self._names:
            path = self._folder / name
            try:
                size = path.stat().st_size
            except OSError as error:
                raise DataError(f"{path}: missing, but {self._file.path.name} lists it") from error
            digest.update(f"{name}:{size}\n".encode())
        return digest.hexdigest()

    def labels(self) -> NDArray[np.uint8]:
        """Attributes, [N, A] in {0, 1} (the file's −1 is 0)."""
        return self._file.labels(len(self))

    def identities(self) -> NDArray[np.int64]:
        """Person on each image, [N]; an image without a known person is a person of its own."""
        own = -1 - np.arange(len(self), dtype=np.int64)
        if self._identity_path is None:
            return own
        people = read_numbers(self._identity_path, self._names)
        return np.where(people < 0, own, people)

    def partition(self) -> NDArray[np.int8] | None:
        """CelebA's split, [N]: 0 training, 1 validation, 2 test; None without its file."""
        if self._partition_path is None:
            return None
        return read_numbers(self._partition_path, self._names, allowed=(0, 1, 2)).astype(np.int8)

    def images(
        self, height: int, width: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Decodes the images around the face; see `Source.images`.

        Raises:
            DataError: More than 1% of the images are unreadable.
        """
        return decode_images([self._folder / name for name in self._names], FACE, height, width)
