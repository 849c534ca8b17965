"""Images of another data set that the attacker holds beside the public split (Xiao, Table 1).

They have no labels: attackers that learn to rebuild images use them, those that learn attributes
cannot. No encoder is trained on them and nothing is measured on them.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.data.celeba import FACE as CELEBA_FACE
from trainables.data.config import DataConfig
from trainables.data.decode import Crop, decode_images
from trainables.data.folder import CENTRE, SUFFIXES
from trainables.data.lfw import CENTRAL, FACE, FOLDERS, face_crop, list_people, people_folder, scan
from trainables.data.source import DataError
from trainables.data.splits import Splits
from trainables.data.store import ImageStore

_ALLOWED = (
    f"give a folder of images ({', '.join(SUFFIXES)}), or one in LFW's layout: a folder of images "
    f"per person, which may lie together in {' or '.join(FOLDERS)}"
)


class ExtraSource:
    """Images without labels, in LFW's layout or all in one folder.

    In LFW's layout every folder is a person; images of LFW's own sizes are cut around the face as
    CelebA's are. In one folder every image is a person of its own, and they come in the order of
    their names. Images of any size but LFW's, and those in one folder, are cut as the study's own
    are: they are taken to be framed like these. Which it is, is told by the first readable image.
    """

    attribute_names: tuple[str, ...] = ()

    def __init__(self, root: Path, num_images: int | None = None, crop: Crop = CENTRE) -> None:
        """Lists the images; opens none.

        Args:
            root: The folder; in LFW's layout people's folders or what holds them.
            num_images: Use the first ones only; None means all. In LFW's layout the first images
                are of different people, as far as there are enough.
            crop: How the study's own images are cut.

        Raises:
            DataError: There is no such folder, it cannot be read, holds no images or both images
                and folders of images, or there are fewer than asked for.
        """
        if not root.is_dir():
            raise DataError(f"data.extra_public: {root} is no folder; {_ALLOWED}")
        self._folder = people_folder(root)
        names, people = list_people(self._folder)
        flat, _ = scan(self._folder)
        if flat and names:
            raise DataError(
                f"data.extra_public: {self._folder} holds images ({flat[0]}) beside folders of "
                f"images ({names[0]}); {_ALLOWED}"
            )
        if not flat and not names:
            raise DataError(f"data.extra_public: {root} holds no images; {_ALLOWED}")
        self.layout: Literal["flat", "lfw"] = "flat" if flat else "lfw"
        self._all_names = flat or names
        if num_images is not None and num_images > len(self._all_names):
            raise DataError(
                f"data.extra_images: {root} holds {len(self._all_names)} images, got {num_images}"
            )
        self._names = self._all_names[:num_images]
        own = -1 - np.arange(len(self._names), dtype=np.int64)
        self._people = own if flat else people[:num_images]
        self._own_crop = crop

    def __len__(self) -> int:
        """Number of images used, unreadable ones included."""
        return len(self._names)

    def check(self) -> None:
        """Looks for every image; decodes none.

        Raises:
            DataError: An image cannot be read.
        """
        self.settings()

    def settings(self) -> dict[str, Any]:
        """The layout, a hash of the images' names and sizes, and the crop.

        Raises:
            DataError: An image cannot be read.
        """
        side = self._lfw_side
        crop = self._own_crop if side is None else FACE
        return {
            "name": "extra",
            "layout": self.layout,
            "num_images": len(self),
            "images": self._sizes_hash,
            "crop": dataclasses.asdict(crop),
            "lfw_side": side,
        }

    @cached_property
    def _sizes_hash(self) -> str:
        digest = hashlib.sha256()
        for name in self._names:
            path = self._folder / name
            try:
                size = path.stat().st_size
            except OSError as error:
                raise DataError(
                    f"data.extra_public: {path}: cannot be read: {error.strerror}"
                ) from error
            digest.update(f"{name}:{size}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    @cached_property
    def _lfw_side(self) -> int | None:
        """Side in pixels of images that are LFW's; None for any others."""
        if self.layout == "flat":
            return None
        for name in self._all_names:
            try:
                # Reads the header alone.
                with Image.open(self._folder / name) as image:
                    width, height = image.size
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                continue
            return width if width == height and width in CENTRAL else None
        return None

    def labels(self) -> NDArray[np.uint8]:
        """No attributes, [N, 0]."""
        return np.zeros((len(self), 0), dtype=np.uint8)

    def identities(self) -> NDArray[np.int64]:
        """Person on each image, [N]; images in one folder are each of a person of its own."""
        return self._people

    def partition(self) -> None:
        """There is none: all images are the attacker's."""
        return None

    def images(
        self, height: int, width: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Decodes the images; see `Source.images`.

        Raises:
            DataError: More than 1% of the images are unreadable.
        """
        side = self._lfw_side
        crop = self._own_crop if side is None else face_crop(side, height, width)
        try:
            yield from decode_images(
                [self._folder / name for name in self._names], crop, height, width
            )
        except DataError as error:
            raise DataError(f"data.extra_public: {error}") from error


def make_extra_source(config: DataConfig) -> ExtraSource | None:
    """Builds the source of the attacker's extra images; None if the configuration has none.

    Raises:
        DataError: `data.extra_public` holds no images, or not those asked for.
    """
    if config.extra_public is None:
        return None
    crop = CELEBA_FACE if config.source == "celeba" else CENTRE
    return ExtraSource(config.extra_public, config.extra_images, crop)


def refuse_shared(extra: ImageStore, store: ImageStore, splits: Splits) -> None:
    """Refuses extra images that are the study's own, save public ones, byte for byte as stored.

    An attacker that holds the images it is measured on would leak them from any encoder.

    Raises:
        DataError: Naming how many there are of which split.
    """
    held = set(_digests(extra.images))
    for split in ("private", "selection", "test"):
        rows = splits.rows(split)
        shared = sum(digest in held for digest in _digests(store.images[row] for row in rows))
        if shared:
            raise DataError(
                f"data.extra_public: {shared} of the {len(rows)} images of the {split!r} split are "
                "among its images; the attacker's must be others than those it is measured on"
            )


def _digests(images: Iterable[NDArray[np.uint8]]) -> Iterator[bytes]:
    for image in images:
        yield hashlib.blake2b(image.tobytes(), digest_size=16).digest()
