"""Images into the store and out of it, beside a DataLoader over an image folder.

    python benchmarks/ingest_and_read.py                       20,000 drawn faces of CelebA's size
    python benchmarks/ingest_and_read.py --root SCENES         a folder per category of your own

Reading is measured in turns (A-B-A-B): random batches as float32 tensors [B, 3, H, W], ours in one
process and one thread, the loader's with one worker per core. The last table is what a second
process that has drawn every image holds in memory of its own, beside the pages that all share.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.machine import show_and_keep
from benchmarks.plain import QUALITY
from benchmarks.tables import markdown
from trainables.data.avatars import AvatarsSource
from trainables.data.batches import RandomBatches
from trainables.data.config import DataConfig
from trainables.data.sources import make_source
from trainables.data.store import ImageStore, open_store, prepare_store

SOURCE_SIZE = (218, 178)
NUM_IMAGES = 20_000
CATEGORIES = ("without", "with")
SECONDS = 3.0
"""Each turn of reading lasts as long as this, or one batch."""


def draw_folder(root: Path, count: int) -> None:
    """Writes drawn faces as JPEG files, a folder for each of two categories."""
    source = AvatarsSource(count)
    labels = source.labels()[:, 0]
    for name in CATEGORIES:
        (root / name).mkdir(parents=True)
    for start in range(0, count, 500):
        drawn = source.draw(start, min(count, start + 500), *SOURCE_SIZE)
        for index, pixels in enumerate(drawn, start):
            path = root / CATEGORIES[int(labels[index])] / f"{index:06d}.jpg"
            Image.fromarray(pixels).save(path, quality=QUALITY)


def ingest(root: Path, size: int, cache: Path) -> tuple[ImageStore, float]:
    """Builds the store; seconds it took."""
    config = DataConfig(source="folder", root=root, image_size=size)
    start = time.perf_counter()
    store = prepare_store(make_source(config), size, size, cache)
    return store, time.perf_counter() - start


def loader(root: Path, size: int, batch: int, workers: int) -> DataLoader[Any]:
    """A paper's repository's."""
    steps = [transforms.Resize((size, size)), transforms.ToTensor()]
    files = ImageFolder(str(root), transforms.Compose(steps))
    return DataLoader(files, batch, shuffle=True, num_workers=workers, drop_last=True,
                      persistent_workers=True)  # fmt: skip


def endless(batches: DataLoader[Any]) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from batches


def rate(draw: Callable[[], object], batch: int) -> float:
    """Images per second."""
    start, drawn = time.perf_counter(), 0
    while not drawn or time.perf_counter() - start < SECONDS:
        draw()
        drawn += batch
    return drawn / (time.perf_counter() - start)


def memory() -> dict[str, int]:
    """This process's resident bytes: its own, and those it shares with others."""
    fields = dict.fromkeys(("Private", "Shared"), 0)
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]:
        name, value = line.split()[:2]
        kind = name.split("_")[0]
        if kind in fields:
            fields[kind] += int(value) * 1024
    return fields


def second_process(path: str, batch: int, queue: Any) -> None:
    """Opens the store and draws every image once; what that added to its memory."""
    torch.set_num_threads(1)
    warm = RandomBatches(np.zeros((batch, 8, 8, 3), np.uint8), np.zeros((batch, 1), np.uint8),
                         np.arange(batch), batch, 0)  # fmt: skip
    warm.next()
    before = memory()
    store = open_store(Path(path))
    batches = RandomBatches(store.images, store.labels, np.arange(len(store)), batch, 0)
    for _ in range(batches.batches_per_epoch):
        batches.next()
    queue.put({name: value - before[name] for name, value in memory().items()})


def main() -> int:
    """Prints and keeps the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--root", type=Path, help="a folder per category; drawn faces without it")
    parser.add_argument("--image-size", type=int, default=64, help="pixels (64)")
    parser.add_argument("--batch-size", type=int, default=64, help="images (64)")
    parser.add_argument("--workers", type=int, default=cores, help="of the loader (one per core)")
    parser.add_argument("--repetitions", type=int, default=5, help="turns (5)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = options.root or Path(folder) / "faces"
        if options.root is None:
            draw_folder(root, NUM_IMAGES)
        text = _measure(root, Path(folder) / "cache", options)
    name = "ingest-and-read" + ("" if options.root is None else f"-{options.root.name}")
    show_and_keep(name, text, {options.root: "FOLDER"})
    return 0


def _measure(root: Path, cache: Path, options: argparse.Namespace) -> str:
    size, batch = options.image_size, options.batch_size
    store, seconds = ingest(root, size, cache)
    theirs = endless(loader(root, size, batch, options.workers))
    batches = RandomBatches(store.images, store.labels, np.arange(len(store)), batch, 0)
    next(theirs)
    batches.next()
    turns = [
        (rate(lambda: next(theirs), batch), rate(batches.next, batch))
        for _ in range(options.repetitions)
    ]
    ratios = [own / plain for plain, own in turns]
    plain, own = (statistics.median(column) for column in zip(*turns, strict=True))
    rows = [
        ["into the store (once)", "", f"{len(store) / seconds:,.0f}", ""],
        ["random batches out", f"{plain:,.0f}", f"{own:,.0f}",
         f"{statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})"],
    ]  # fmt: skip
    heads = ["images per second", f"image folder, {options.workers} workers", "ours", "ratio"]
    return f"{markdown(heads, rows)}\n\n{_memory_table(store, batch)}"


def _memory_table(store: ImageStore, batch: int) -> str:
    """Beside this process, which holds every page of the store as well."""
    touched = sum(int(chunk.sum(dtype=np.int64)) for chunk in store.images)
    assert touched >= 0
    spawn = multiprocessing.get_context("spawn")
    queue: Any = spawn.Queue()
    process = spawn.Process(target=second_process, args=(str(store.path), batch, queue))
    process.start()
    added = queue.get()
    process.join()
    whole = store.images.nbytes
    rows = [[
        f"{len(store):,} images of {'x'.join(map(str, store.images.shape[1:3]))}",
        *(f"{value / 2**20:.1f} MiB" for value in (whole, added["Private"], added["Shared"])),
        f"{added['Private'] / whole:.1%}",
    ]]  # fmt: skip
    heads = ["store", "size", "a second process: its own", "shared", "own, of the store"]
    return markdown(heads, rows)


if __name__ == "__main__":
    sys.exit(main())
