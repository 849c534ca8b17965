"""The table of sources: adding one is a line here and a name in `DataConfig`."""

from collections.abc import Callable, Mapping

from trainables.data.avatars import AvatarsSource
from trainables.data.celeba import CelebaSource
from trainables.data.config import DataConfig
from trainables.data.folder import FolderSource
from trainables.data.source import DataError, Source


def _avatars(config: DataConfig) -> Source:
    return AvatarsSource(num_images=config.num_images or 4000, seed=config.seed)


def _celeba(config: DataConfig) -> Source:
    if config.root is None:
        raise DataError("data.root: source 'celeba' reads files; give data.root=FOLDER")
    return CelebaSource(root=config.root, num_images=config.num_images)


def _folder(config: DataConfig) -> Source:
    if config.root is None:
        raise DataError("data.root: source 'folder' reads files; give data.root=FOLDER")
    return FolderSource(config.root, config.num_images, config.categories)


SOURCES: Mapping[str, Callable[[DataConfig], Source]] = {
    "avatars": _avatars,
    "celeba": _celeba,
    "folder": _folder,
}


def make_source(config: DataConfig) -> Source:
    """Builds the source a configuration names; reads no image.

    Raises:
        DataError: The source is unknown or its files are missing or malformed.
    """
    if config.source not in SOURCES:
        raise DataError(f"data.source: {config.source!r} is unknown; known: {', '.join(SOURCES)}")
    return SOURCES[config.source](config)
