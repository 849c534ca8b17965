"""The study's data as the trials see it: a store, its splits, and the part of each attribute."""

import difflib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.config import DataConfig
from trainables.data.extra import make_extra_source, refuse_shared
from trainables.data.source import DataError
from trainables.data.sources import make_source
from trainables.data.splits import SPLIT_NAMES, Splits, make_splits
from trainables.data.store import ImageStore, Progress, prepare_store
from trainables.data.tasks import is_categorical


@dataclass(frozen=True)
class Dataset:
    """Images, splits and attributes of one `DataConfig`.

    Attributes:
        config: What it was made from.
        store: The images and all labels.
        splits: Rows of private, public, selection and test.
        attribute_names: All attributes of the source, in the order of the label columns.
        utility_names: The attributes the service predicts.
        private_names: The attributes that are to stay private; may be none.
        extra: Images without attributes that the attacker holds beside the public split, of the
            same size as those of `store`; None without `data.extra_public`.
    """

    config: DataConfig
    store: ImageStore
    splits: Splits
    attribute_names: tuple[str, ...]
    utility_names: tuple[str, ...]
    private_names: tuple[str, ...]
    extra: ImageStore | None = None

    @property
    def utility_columns(self) -> list[int]:
        """Label columns of `utility_names`."""
        return [self.attribute_names.index(name) for name in self.utility_names]

    @property
    def private_columns(self) -> list[int]:
        """Label columns of `private_names`."""
        return [self.attribute_names.index(name) for name in self.private_names]

    @property
    def exclusive(self) -> bool:
        """Whether no image that encoders are trained on has two of the utility attributes."""
        labels = self.store.labels[self.rows("private")][:, self.utility_columns]
        return bool((labels.sum(axis=1, dtype=np.int64) <= 1).all())

    @property
    def categorical(self) -> bool:
        """Whether the attributes are categories: every image has exactly one of them."""
        return is_categorical(self.store.labels)

    @property
    def num_categories(self) -> int:
        """Number of categories where the attributes are such, else 0."""
        return len(self.attribute_names) if self.categorical else 0

    @property
    def content_hash(self) -> str:
        """SHA-256 of the store's content (images, labels, identities, partition)."""
        return self.store.content_hash

    def rows(self, split: str) -> NDArray[np.int64]:
        """Sorted rows of `private`, `public`, `selection` or `test`."""
        return self.splits.rows(split)

    def describe(self) -> dict[str, Any]:
        """What a report says of the data, JSON-able.

        Returns:
            Source, sizes, numbers of images per split and of identities, the two hashes, skipped
            images, and per attribute of the test split its rate and its majority-class rate. With
            extra public images also how many of them there are and were skipped, and their hash.
        """
        test_labels = self.store.labels[self.rows("test")].astype(np.float64)
        positive = test_labels.mean(axis=0)
        return {
            "source": self.config.source,
            "height": self.config.height,
            "width": self.config.width,
            "num_images": len(self.store),
            "num_identities": len(np.unique(self.store.identities)),
            "num_skipped": self.store.num_skipped,
            "split": self.config.split,
            "seed": self.config.seed,
            "split_sizes": {name: len(self.rows(name)) for name in SPLIT_NAMES},
            "split_identities": {
                name: len(np.unique(self.store.identities[self.rows(name)])) for name in SPLIT_NAMES
            },
            "utility": list(self.utility_names),
            "private": list(self.private_names),
            "attributes": {
                name: {"positive_rate": float(rate), "majority_rate": float(max(rate, 1 - rate))}
                for name, rate in zip(self.attribute_names, positive, strict=True)
            },
            "content_hash": self.content_hash,
            "splits_hash": self.splits.hash,
            **self._describe_extra(),
        }

    def _describe_extra(self) -> dict[str, Any]:
        """Nothing without extra images: studies that have none must not seem to be others."""
        if self.extra is None:
            return {}
        return {
            "num_extra_public": len(self.extra),
            "num_extra_skipped": self.extra.num_skipped,
            "extra_hash": self.extra.content_hash,
        }


def resolve_attributes(
    config: DataConfig, attribute_names: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Turns the configuration's names into (utility, private), needing no image.

    Raises:
        DataError: A name is unknown or given twice, or no utility attribute is left.
    """
    private = _known("private", config.private, attribute_names)
    if config.utility == "all":
        utility = tuple(name for name in attribute_names if name not in private)
        if not utility:
            raise DataError("data.utility: 'all' leaves nothing: every attribute is private")
        return utility, private
    return _known("utility", config.utility, attribute_names), private


def _known(field: str, names: tuple[str, ...], attribute_names: tuple[str, ...]) -> tuple[str, ...]:
    for index, name in enumerate(names):
        if name not in attribute_names:
            close = difflib.get_close_matches(name, attribute_names, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise DataError(
                f"data.{field}: attribute {name!r} is unknown; {hint}"
                f"known: {', '.join(attribute_names)}"
            )
        if name in names[:index]:
            raise DataError(f"data.{field}: attribute {name!r} is given twice")
    return names


@dataclass(frozen=True)
class Outline:
    """What is known of the data before an image is decoded.

    Attributes:
        attribute_names: The source's attributes.
        utility_names: The attributes the service predicts.
        private_names: The attributes that are to stay private.
        labels: All labels, [N, A].
        splits: Rows of each split, unreadable images included.
    """

    attribute_names: tuple[str, ...]
    utility_names: tuple[str, ...]
    private_names: tuple[str, ...]
    labels: NDArray[np.uint8]
    splits: Splits

    @property
    def split_sizes(self) -> dict[str, int]:
        """Images per split."""
        return {name: len(self.splits.rows(name)) for name in SPLIT_NAMES}

    def columns(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Label columns of some attributes."""
        return tuple(self.attribute_names.index(name) for name in names)


def check_source(config: DataConfig) -> Outline:
    """Checks everything about the data that can be checked without decoding an image.

    Files are there and parse, those of `data.extra_public` too, attributes are known, no split is
    empty, and the private attributes have both values where attackers learn and are measured.

    Raises:
        DataError: Naming the path or field and what is allowed.
    """
    source = make_source(config)
    source.check()
    if (extra := make_extra_source(config)) is not None:
        extra.check()
    utility, private = resolve_attributes(config, source.attribute_names)
    splits = make_splits(
        config.split,
        config.fractions,
        config.seed,
        len(source),
        source.identities(),
        source.partition(),
    )
    labels = source.labels()
    _refuse_constant(labels, splits, source.attribute_names, private)
    return Outline(source.attribute_names, utility, private, labels, splits)


def load_dataset(
    config: DataConfig,
    cache_dir: Path,
    verify: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Opens the data of a study, building its image store first if it is not there.

    Args:
        config: Which images, at what size, split how.
        cache_dir: Folder of the image stores.
        verify: Whether to hash the whole stores rather than check structure and sizes alone, and
            to compare the extra images with the study's own.
        progress: Called with (images done, images in all) while a store is built.

    Raises:
        DataError: The source's files, the extra images, an attribute name or a split cannot be
            used.
    """
    source = make_source(config)
    utility, private = resolve_attributes(config, source.attribute_names)
    size = config.height, config.width
    extra_source = make_extra_source(config)  # before images are decoded for nothing
    store = prepare_store(source, *size, cache_dir, progress, verify)
    splits = make_splits(
        config.split,
        config.fractions,
        config.seed,
        len(store),
        store.identities,
        store.partition,
    )
    _refuse_constant(store.labels, splits, store.attribute_names, private)
    _warn_if_constant(store, splits, utility + private)
    extra = None
    if extra_source is not None:
        extra = prepare_store(extra_source, *size, cache_dir, progress, verify)
        if verify:
            refuse_shared(extra, store, splits)
    return Dataset(config, store, splits, store.attribute_names, utility, private, extra)


def _refuse_constant(
    labels: NDArray[np.uint8],
    splits: Splits,
    attribute_names: tuple[str, ...],
    private: tuple[str, ...],
) -> None:
    """An attribute is neither learned nor measured on images that all have it, or all lack it."""
    uses = {
        "public": "from which attackers learn it",
        "selection": "by which attackers are chosen",
        "test": "on which they are measured",
    }
    for split, use in uses.items():
        for name in private:
            column = labels[splits.rows(split)][:, attribute_names.index(name)]
            if column.min() == column.max():
                raise DataError(
                    f"data.private: attribute {name!r} has a single value ({int(column[0])}) in "
                    f"the {split!r} split ({len(column)} images), {use}; both values are needed"
                )


def _warn_if_constant(store: ImageStore, splits: Splits, names: tuple[str, ...]) -> None:
    """An attribute with one value in a split has an MCC of 0 there, whatever is predicted."""
    for split in SPLIT_NAMES:
        labels = store.labels[splits.rows(split)]
        varies = labels.min(axis=0) != labels.max(axis=0)
        flat = [name for name in names if not varies[store.attribute_names.index(name)]]
        if flat:
            warnings.warn(
                f"attributes with a single value in the {split!r} split ({len(labels)} images): "
                f"{', '.join(flat)}",
                stacklevel=3,
            )
