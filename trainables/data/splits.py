"""Who gets which images: the private, public, selection and test splits (methods.md §1)."""

import hashlib
import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from trainables.data.source import DataError

Rows = NDArray[np.int64]
SPLIT_NAMES = ("private", "public", "selection", "test")


def share_of(rows: Rows, share: float) -> Rows:
    """A part of a split, sorted; always the same, and of two shares the smaller is in the larger.

    Args:
        rows: The split, sorted.
        share: In (0, 1]; two images at least.
    """
    if share == 1:
        return rows
    order = np.random.default_rng(len(rows)).permutation(rows)
    return np.sort(order[: max(2, math.ceil(share * len(rows)))])


@dataclass(frozen=True)
class Splits:
    """Four disjoint sets of rows that together cover the data, each sorted.

    Attributes:
        private: What the service trains the encoder on (X1).
        public: What the attacker trains on (X2).
        selection: For saturation, model selection and tuning.
        test: Only reported.
    """

    private: Rows
    public: Rows
    selection: Rows
    test: Rows

    @property
    def hash(self) -> str:
        """SHA-256 over the rows of the four splits; equal splits, equal hash."""
        digest = hashlib.sha256()
        for field in fields(self):
            rows = getattr(self, field.name)
            digest.update(f"{field.name}:{len(rows)};".encode())
            digest.update(np.ascontiguousarray(rows, dtype="<i8").tobytes())
        return digest.hexdigest()

    def rows(self, name: str) -> Rows:
        """Rows of one split.

        Raises:
            ValueError: There is no split of that name.
        """
        if name not in SPLIT_NAMES:
            raise ValueError(f"split: {name!r} is unknown; known: {', '.join(SPLIT_NAMES)}")
        rows: Rows = getattr(self, name)
        return rows


def make_splits(
    scheme: str,
    fractions: tuple[float, float, float, float],
    seed: int,
    num_images: int,
    identities: NDArray[np.int64],
    partition: NDArray[np.int8] | None = None,
) -> Splits:
    """Splits rows 0 … N-1; a pure function of its arguments.

    Args:
        scheme: `image` (rows shuffled), `identity` (no person in two splits) or `official` (the
            partition's training part is shared between private and public in the proportion of
            their fractions, its validation part is selection, its test part is test; if it has a
            test part and no validation part, training is shared between private, public and
            selection).
        fractions: Shares of private, public, selection and test; they sum to 1.
        seed: Seed of the shuffle.
        num_images: N.
        identities: Person on each image, [N]; only `identity` reads it.
        partition: The source's own split, [N] of 0, 1, 2; only `official` reads it.

    Raises:
        DataError: A split would be empty, or `official` is asked for without a partition.
        ValueError: The scheme is unknown.
    """
    if scheme not in _SCHEMES:
        raise ValueError(f"data.split: {scheme!r} is unknown; known: {', '.join(_SCHEMES)}")
    parts = _SCHEMES[scheme](fractions, seed, num_images, identities, partition)
    for name, part in zip(SPLIT_NAMES, parts, strict=True):
        if len(part) == 0:
            raise DataError(
                f"data.split, data.fractions: the {name!r} split would be empty ({num_images} "
                f"images, split {scheme!r}, fractions {list(fractions)}); every split needs at "
                f"least one image"
            )
    return Splits(*(np.sort(part).astype(np.int64) for part in parts))


def _boundaries(fractions: tuple[float, ...], total: int) -> list[int]:
    """Where to cut `total` items so that the parts have the given shares."""
    shares = np.cumsum(np.asarray(fractions, dtype=np.float64))
    return [round(total * float(share / shares[-1])) for share in shares[:-1]]


def _by_image(
    fractions: tuple[float, float, float, float],
    seed: int,
    num_images: int,
    identities: NDArray[np.int64],
    partition: NDArray[np.int8] | None,
) -> list[Rows]:
    order = np.random.default_rng(seed).permutation(num_images)
    return list(np.split(order, _boundaries(fractions, num_images)))


def _by_identity(
    fractions: tuple[float, float, float, float],
    seed: int,
    num_images: int,
    identities: NDArray[np.int64],
    partition: NDArray[np.int8] | None,
) -> list[Rows]:
    """Shuffles the people and cuts where the running number of images is nearest the share."""
    people, person = np.unique(identities, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(people))
    images_so_far = np.concatenate([[0], np.cumsum(np.bincount(person)[order])])
    cuts = [
        int(np.abs(images_so_far - boundary).argmin())
        for boundary in _boundaries(fractions, num_images)
    ]
    split_of_person = np.empty(len(people), dtype=np.int64)
    for index, group in enumerate(np.split(order, cuts)):
        split_of_person[group] = index
    return [np.flatnonzero(split_of_person[person] == index) for index in range(4)]


def _official(
    fractions: tuple[float, float, float, float],
    seed: int,
    num_images: int,
    identities: NDArray[np.int64],
    partition: NDArray[np.int8] | None,
) -> list[Rows]:
    if partition is None:
        raise DataError(
            "data.split: 'official' needs the source's partition (list_eval_partition.txt of "
            "CelebA, train and test of a folder), which is not there; use 'image' or 'identity'"
        )
    training = np.flatnonzero(partition == 0)
    order = training[np.random.default_rng(seed).permutation(len(training))]
    validation, test = np.flatnonzero(partition == 1), np.flatnonzero(partition == 2)
    if len(test) and not len(validation):
        return [*np.split(order, _boundaries(fractions[:3], len(training))), test]
    return [*np.split(order, _boundaries(fractions[:2], len(training))), validation, test]


_SCHEMES = {"image": _by_image, "identity": _by_identity, "official": _official}
