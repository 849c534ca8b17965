"""The image store: built once, whole or not at all, and rebuilt when damaged."""

import multiprocessing
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from tests.trainables.celeba_fixture import image_name, write_celeba
from trainables.data.avatars import AvatarsSource
from trainables.data.celeba import CelebaSource
from trainables.data.source import DataError
from trainables.data.store import default_cache_dir, open_store, prepare_store

SIZE = 16


class CountingSource(AvatarsSource):
    """Avatars that note in a file how often they are drawn."""

    def __init__(self, log: Path) -> None:
        super().__init__(300, seed=0)
        self._log = log

    def images(
        self, height: int, width: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        with open(self._log, "a") as file:
            file.write("built\n")
        yield from super().images(height, width)


class HalvedSource(AvatarsSource):
    """Avatars of which every second cannot be read, and which know their own split."""

    def images(
        self, height: int, width: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        for pixels, rows in super().images(height, width):
            yield pixels[1::2], rows[1::2]

    def partition(self) -> NDArray[np.int8]:  # type: ignore[override]
        return (np.arange(len(self)) % 3).astype(np.int8)


class StoppedSource(AvatarsSource):
    """Avatars whose drawing fails in the middle."""

    def images(
        self, height: int, width: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        yield next(super().images(height, width))
        raise DataError("stopped in the middle")


def test_holds_what_the_source_gave(tmp_path: Path) -> None:
    source = AvatarsSource(300, seed=0)
    seen: list[tuple[int, int]] = []
    store = prepare_store(
        source, SIZE, 24, tmp_path, lambda done, total: seen.append((done, total))
    )
    assert len(store) == 300
    assert np.array_equal(store.images, source.draw(0, 300, SIZE, 24))
    assert np.array_equal(store.labels, source.labels())
    assert np.array_equal(store.identities, source.identities())
    assert store.partition is None
    assert store.attribute_names == source.attribute_names
    assert store.num_skipped == 0
    assert store.settings["source"] == source.settings()
    assert (store.settings["height"], store.settings["width"]) == (SIZE, 24)
    assert seen == [(256, 300), (300, 300)]


def test_is_mapped_read_only_and_in_one_piece(tmp_path: Path) -> None:
    store = prepare_store(AvatarsSource(300), SIZE, SIZE, tmp_path)
    assert not store.images.flags.writeable
    assert not store.images.flags.owndata
    assert store.images.flags.c_contiguous
    with pa.memory_map(str(store.path)) as file:
        reader = pa.ipc.open_file(file)
        assert reader.num_record_batches == 1
        assert reader.schema.names == ["image", "labels", "identity", "partition"]
        assert reader.schema.field("image").type == pa.binary(SIZE * SIZE * 3)
    before = pa.total_allocated_bytes()
    again = open_store(store.path)
    assert pa.total_allocated_bytes() - before < again.images.nbytes / 10


def test_opened_again_without_building(tmp_path: Path) -> None:
    source = CountingSource(tmp_path / "log")
    first = prepare_store(source, SIZE, SIZE, tmp_path)
    again = prepare_store(source, SIZE, SIZE, tmp_path)
    assert again.content_hash == first.content_hash
    assert (tmp_path / "log").read_text().splitlines() == ["built"]
    assert [path.suffix for path in tmp_path.iterdir() if path.is_dir()] == []


def test_another_size_or_source_is_another_file(tmp_path: Path) -> None:
    stores = [
        prepare_store(AvatarsSource(40, seed), SIZE, width, tmp_path)
        for seed, width in ((0, 16), (0, 20), (1, 16))
    ]
    assert len({store.path for store in stores}) == 3
    assert len({store.content_hash for store in stores}) == 3


def test_unreadable_images_are_left_out_of_every_column(tmp_path: Path) -> None:
    source = HalvedSource(300, seed=0)
    store = prepare_store(source, SIZE, SIZE, tmp_path)
    assert len(store) == 150
    assert store.num_skipped == 150
    assert np.array_equal(store.images, source.draw(0, 300, SIZE, SIZE)[1::2])
    assert np.array_equal(store.labels, source.labels()[1::2])
    assert np.array_equal(store.identities, source.identities()[1::2])
    assert store.partition is not None
    assert store.partition.tolist() == source.partition()[1::2].tolist()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3000])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _rubbish(path: Path) -> None:
    path.write_bytes(b"ARROW1\0\0" + bytes(5000) + b"ARROW1")


def _pickle(path: Path) -> None:
    path.write_bytes(b"\x80\x04cos\nsystem\n.")


@pytest.mark.parametrize("damage", [_truncate, _empty, _flip, _rubbish, _pickle])
def test_a_damaged_store_is_rebuilt_and_said_so(tmp_path: Path, damage: Any) -> None:
    source = CountingSource(tmp_path / "log")
    good = prepare_store(source, SIZE, SIZE, tmp_path)
    content, good_hash = good.path.read_bytes(), good.content_hash
    path = good.path
    del good
    damage(path)
    with pytest.warns(UserWarning, match=f"the image store is rebuilt: .*{path.name}"):
        again = prepare_store(source, SIZE, SIZE, tmp_path)
    assert again.content_hash == good_hash
    assert path.read_bytes() == content
    assert (tmp_path / "log").read_text().splitlines() == ["built"] * 2


def test_opening_names_the_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "x.arrow"
    with pytest.raises(DataError, match="x.arrow: not a readable image store"):
        open_store(path)
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="x.arrow: not a readable image store"):
        open_store(path)


def test_a_foreign_arrow_file_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "x.arrow"
    table = pa.table({"image": [1, 2]})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(DataError, match="not a readable image store"):
        open_store(path)


def test_a_build_that_fails_leaves_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="stopped in the middle"):
        prepare_store(StoppedSource(300), SIZE, SIZE, tmp_path)
    assert [path for path in tmp_path.iterdir() if path.suffix != ".lock"] == []
    assert len(prepare_store(AvatarsSource(300), SIZE, SIZE, tmp_path)) == 300


def test_what_a_killed_build_left_is_cleared_away(tmp_path: Path) -> None:
    path = prepare_store(AvatarsSource(40), SIZE, SIZE, tmp_path).path
    path.unlink()
    leftover = tmp_path / f".{path.stem}-building-abc"
    leftover.mkdir()
    (leftover / "pixels").write_bytes(bytes(100))
    prepare_store(AvatarsSource(40), SIZE, SIZE, tmp_path)
    assert not leftover.exists()


def _prepare(cache: Path, log: Path, results: "multiprocessing.Queue[str]") -> None:
    results.put(prepare_store(CountingSource(log), 32, 32, cache).content_hash)


def test_two_processes_at_once_build_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[str] = context.Queue()
    processes = [
        context.Process(target=_prepare, args=(tmp_path / "cache", tmp_path / "log", results))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    hashes = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert len(hashes) == 1
    assert (tmp_path / "log").read_text().splitlines() == ["built"]


def test_celeba_with_an_unreadable_image_counts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_celeba(tmp_path / "celeba")
    (root / "img_align_celeba" / image_name(9)).write_bytes(b"no image")
    monkeypatch.setattr("trainables.data.decode.MAX_UNREADABLE", 0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = prepare_store(CelebaSource(root), SIZE, SIZE, tmp_path / "cache")
    assert store.num_skipped == 1
    assert len(store) == 59
    assert np.array_equal(store.labels, np.delete(CelebaSource(root).labels(), 9, axis=0))


def test_cache_folder_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUTPOINT_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_dir() == tmp_path / "own"
    monkeypatch.delenv("CUTPOINT_CACHE")
    assert default_cache_dir() == tmp_path / "xdg" / "cutpoint"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache" / "cutpoint"
