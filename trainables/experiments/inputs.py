"""Which files an encoder's results come from, wherever they lie."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainables.data.config import DataConfig
from trainables.data.extra import make_extra_source
from trainables.data.source import Source
from trainables.data.sources import make_source
from trainables.data.store import store_key, store_settings
from trainables.experiments.config import PlannedEncoder
from trainables.seeding import file_hash


def inputs(encoders: Sequence[PlannedEncoder]) -> dict[str, dict[str, str | None]]:
    """Images and weights of each encoder by hashes, wherever they lie; None for what is not used.

    The images' is of their names, sizes and labels: none is decoded.

    Returns:
        Encoder → `images`, `extra_images`, `identity_weights`, `perceptual_weights`.

    Raises:
        DataError: If files of the data are missing or malformed.
    """
    # Not for longer than this call: what lies in a folder may change.
    images = functools.cache(_images)
    return {
        encoder.name: {
            **images(_any_task(encoder.data)),
            "identity_weights": weights_hash(encoder.attack.identity_weights),
            "perceptual_weights": weights_hash(encoder.model.perceptual_weights),
        }
        for encoder in encoders
    }


def known_images(config: DataConfig) -> Mapping[str, str | None]:
    """The images of `inputs`, as this process saw them first: where results lie depends on them.

    Raises:
        DataError: If files of the data are missing or malformed.
    """
    return _known_images(_any_task(config))


def _any_task(config: DataConfig) -> DataConfig:
    return config.model_copy(update={"utility": "all", "private": ()})


@functools.lru_cache
def weights_hash(path: Path | None) -> str | None:
    """Of a file of weights; it is read once."""
    return None if path is None else file_hash(path)


def _images(config: DataConfig) -> dict[str, str | None]:
    extra = make_extra_source(config)

    def key(source: Source) -> str:
        return store_key(store_settings(source, config.height, config.width))

    return {
        "images": key(make_source(config)),
        "extra_images": None if extra is None else key(extra),
    }


_known_images = functools.lru_cache(_images)
