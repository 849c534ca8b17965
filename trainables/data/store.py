"""One Arrow file of images per (source, size), built once per node and mapped by every process.

The file holds a single record batch, so all images are one contiguous block of bytes that is
mapped and never copied. It is written under a lock to a temporary name and then renamed: a reader
sees a whole file or none. Reading it runs no code.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from filelock import FileLock
from numpy.typing import NDArray

from trainables.data.source import DataError, Source

Progress = Callable[[int, int], None]

_FORMAT = 1
_METADATA_KEY = b"cutpoint"


@dataclass(frozen=True)
class ImageStore:
    """Images and labels of one source at one size, mapped read-only.

    Attributes:
        path: The file.
        content_hash: SHA-256 over images, labels, identities and partition.
        images: uint8 [N, H, W, 3], mapped.
        labels: uint8 [N, A], each 0 or 1.
        identities: int64 [N].
        partition: int8 [N] of 0 (training), 1 (validation), 2 (test), or None.
        attribute_names: Names of the A columns of `labels`.
        settings: What the store was made from: the source's settings and the size.
        num_skipped: Images of the source that could not be read and are not here.
    """

    path: Path
    content_hash: str
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    identities: NDArray[np.int64]
    partition: NDArray[np.int8] | None
    attribute_names: tuple[str, ...]
    settings: dict[str, Any]
    num_skipped: int

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)


def default_cache_dir() -> Path:
    """`$CUTPOINT_CACHE`, else `$XDG_CACHE_HOME/cutpoint`, else `~/.cache/cutpoint`."""
    if own := os.environ.get("CUTPOINT_CACHE"):
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "cutpoint"


def store_settings(source: Source, height: int, width: int) -> dict[str, Any]:
    """Everything that decides a store's bytes, JSON-able."""
    settings = {"format": _FORMAT, "source": source.settings(), "height": height, "width": width}
    normalised: dict[str, Any] = json.loads(json.dumps(settings))
    return normalised


def store_path(settings: dict[str, Any], cache_dir: Path) -> Path:
    """Where the store with these settings lies: named by a hash of them."""
    name = settings["source"].get("name", "images")
    size = f"{settings['height']}x{settings['width']}"
    return cache_dir / f"{name}-{size}-{store_key(settings)}.arrow"


def store_key(settings: dict[str, Any]) -> str:
    """What tells these images from others before one is decoded; no folder is part of it."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prepare_store(
    source: Source,
    height: int,
    width: int,
    cache_dir: Path,
    progress: Progress | None = None,
    verify: bool = True,
) -> ImageStore:
    """Opens the store of a source at a size, building it first if need be.

    Processes that ask for the same store at once wait for the one that builds it. A store that is
    damaged is rebuilt, with a warning.

    Args:
        source: Where the images come from.
        height: Pixels.
        width: Pixels.
        cache_dir: Folder of the stores; made if missing.
        progress: Called with (images done, images in all) while building.
        verify: Whether to hash the whole file; otherwise only structure and sizes are checked.

    Raises:
        DataError: The source's files cannot be used.
    """
    settings = store_settings(source, height, width)
    path = store_path(settings, cache_dir)
    # A store appears whole, by a rename, so that opening one needs no lock: building does.
    if path.exists():
        with contextlib.suppress(DataError):
            return _open_checked(path, settings, verify)
    cache_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            try:
                return _open_checked(path, settings, verify)
            except DataError as error:
                warnings.warn(f"the image store is rebuilt: {error}", stacklevel=2)
        _build(source, settings, path, progress)
        return _open_checked(path, settings, verify=False)


def _open_checked(path: Path, settings: dict[str, Any], verify: bool) -> ImageStore:
    store = open_store(path)
    if store.settings != settings:
        raise DataError(f"{path}: was made with other settings: {store.settings}")
    if verify and (found := _content_hash(store)) != store.content_hash:
        raise DataError(
            f"{path}: damaged: its content has SHA-256 {found}, its header says "
            f"{store.content_hash}"
        )
    return store


def open_store(path: Path) -> ImageStore:
    """Maps a store, checking structure and sizes but not every byte.

    Raises:
        DataError: The file is missing, truncated, or not a store.
    """
    try:
        # The buffers keep the map alive after the file object is gone.
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        if reader.num_record_batches != 1:
            raise DataError(
                f"{path}: a store has one record batch, got {reader.num_record_batches}"
            )
        batch = reader.get_batch(0)
        batch.validate(full=True)
        about = json.loads(reader.schema.metadata[_METADATA_KEY])
        height, width = about["settings"]["height"], about["settings"]["width"]
        names = tuple(about["attribute_names"])
        return ImageStore(
            path=path,
            content_hash=about["content_hash"],
            images=_column(batch, "image", np.uint8, (height, width, 3)),
            labels=_column(batch, "labels", np.uint8, (len(names),)),
            identities=_column(batch, "identity", np.int64, ()),
            partition=_column(batch, "partition", np.int8, ()) if about["partition"] else None,
            attribute_names=names,
            settings=about["settings"],
            num_skipped=about["num_skipped"],
        )
    except DataError:
        raise
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not a readable image store: {error}") from error


def _column(batch: pa.RecordBatch, name: str, dtype: type, shape: tuple[int, ...]) -> NDArray[Any]:
    """A view of one column of a batch, [N, *shape]; ValueError if it has another size."""
    array = batch.column(name)
    if array.null_count or array.offset:
        raise ValueError(f"column {name!r} must be whole and without nulls")
    flat: NDArray[Any] = np.frombuffer(array.buffers()[-1], dtype=dtype)
    size = len(array) * int(np.prod(shape, dtype=np.int64))
    if len(flat) < size:
        raise ValueError(f"column {name!r} must hold {size} values, got {len(flat)}")
    return flat[:size].reshape(len(array), *shape)


def _content_hash(store: ImageStore) -> str:
    return _hash_arrays(store.images, store.labels, store.identities, store.partition)


def _hash_arrays(*arrays: NDArray[Any] | None) -> str:
    """SHA-256 over shapes, types and bytes; None stands for an absent array."""
    digest = hashlib.sha256()
    for array in arrays:
        if array is None:
            digest.update(b"none;")
            continue
        digest.update(f"{array.dtype.str}{list(array.shape)};".encode())
        if array.size:
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _build(source: Source, settings: dict[str, Any], path: Path, progress: Progress | None) -> None:
    """Decodes all images into a temporary file, then writes the store and renames it."""
    height, width, total = settings["height"], settings["width"], len(source)
    # What a killed process left behind is nobody's now: this one holds the lock.
    prefix = f".{path.stem}-building-"
    for leftover in path.parent.glob(f"{prefix}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=prefix) as folder:
        # A mapped file, not an array: the whole of CelebA at 218 pixels is larger than memory.
        pixels: NDArray[np.uint8] = np.memmap(
            Path(folder) / "pixels", dtype=np.uint8, mode="w+", shape=(total, height, width, 3)
        )
        rows: list[NDArray[np.int64]] = []
        done = 0
        for chunk, chunk_rows in source.images(height, width):
            pixels[done : done + len(chunk)] = chunk
            rows.append(chunk_rows)
            done += len(chunk)
            if progress is not None:
                # Unreadable images count as done: the last one kept says how far it has come.
                progress(int(chunk_rows[-1]) + 1 if len(chunk_rows) else done, total)
        kept = np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)
        if done == 0:
            raise DataError(f"source {settings['source'].get('name')!r}: no readable image")
        partition = source.partition()
        _write(
            path,
            temporary=Path(folder) / "store",
            images=pixels[:done],
            labels=source.labels()[kept],
            identities=source.identities()[kept],
            partition=None if partition is None else partition[kept],
            about={
                "settings": settings,
                "attribute_names": list(source.attribute_names),
                "num_skipped": total - done,
            },
        )
        del pixels


def _write(
    path: Path,
    temporary: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    identities: NDArray[np.int64],
    partition: NDArray[np.int8] | None,
    about: dict[str, Any],
) -> None:
    num_images = len(images)
    about = about | {
        "partition": partition is not None,
        "content_hash": _hash_arrays(images, labels, identities, partition),
    }
    stored_partition = np.full(num_images, -1, np.int8) if partition is None else partition
    columns = {
        "image": _fixed_size_binary(images),
        "labels": _fixed_size_binary(labels),
        "identity": pa.array(np.ascontiguousarray(identities, dtype=np.int64)),
        "partition": pa.array(np.ascontiguousarray(stored_partition, dtype=np.int8)),
    }
    batch = pa.RecordBatch.from_pydict(columns).replace_schema_metadata(
        {_METADATA_KEY: json.dumps(about, sort_keys=True).encode()}
    )
    with open(temporary, "wb") as file:
        with pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _fixed_size_binary(array: NDArray[np.uint8]) -> pa.FixedSizeBinaryArray:
    """[N, …] bytes as N binary values that share the array's memory."""
    size = int(np.prod(array.shape[1:], dtype=np.int64))
    flat = np.ascontiguousarray(array).reshape(-1)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(size), len(array), [None, pa.py_buffer(flat)]
    )
