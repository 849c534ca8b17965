"""What a source of images must offer, and the error every bad file ends in."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class DataError(ValueError):
    """Data that cannot be used; the message names the path (or field) and the rule it breaks."""


class Source(Protocol):
    """Where images and their attributes come from; knows nothing of stores or splits.

    A source is cheap to build: it reads its label files when asked for them and decodes images
    only in `images`.
    """

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of the binary attributes, in the order of the columns of `labels`."""
        ...

    def __len__(self) -> int:
        """Number of images, unreadable ones included."""
        ...

    def check(self) -> None:
        """Reads whatever is cheap to read and raises `DataError` if the source cannot be used."""
        ...

    def settings(self) -> dict[str, Any]:
        """Everything that decides the store's bytes, JSON-able; where the files lie does not."""
        ...

    def labels(self) -> NDArray[np.uint8]:
        """Attributes, [N, A], each 0 or 1."""
        ...

    def identities(self) -> NDArray[np.int64]:
        """Number of the person on each image, [N]."""
        ...

    def partition(self) -> NDArray[np.int8] | None:
        """The source's own split, [N]: 0 training, 1 validation, 2 test; None if it has none."""
        ...

    def images(
        self, height: int, width: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Decodes the images in chunks.

        Args:
            height: Pixels.
            width: Pixels.

        Yields:
            Pixels [n, height, width, 3] and the rows [n] they belong to, rows ascending; rows of
            unreadable images are left out.
        """
        ...
