"""Images in the memory of a device: the same batches, whether they fit there or not."""

import numpy as np
import pytest
import torch

from trainables.data import resident
from trainables.data.batches import gather, sequential
from trainables.data.resident import copied_to, on_device, read_rows
from trainables.data.tasks import TaskBatches

CPU, GPU = torch.device("cpu"), torch.device("cuda")
IMAGES = np.random.default_rng(0).integers(0, 256, (23, 4, 6, 3), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 2, (23, 3), dtype=np.uint8)
ROWS = np.arange(1, 23, 2)


@pytest.mark.parametrize("chunk", [1, 3 * 72, 1 << 20])
def test_a_copy_in_pieces_is_the_whole(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(resident, "_CHUNK_BYTES", chunk)
    assert np.array_equal(copied_to(IMAGES, CPU).numpy(), IMAGES)


def test_batches_of_a_copy_are_those_of_the_store() -> None:
    copy = copied_to(IMAGES, CPU)
    ours, theirs = (TaskBatches(images, LABELS, ROWS, 4, 0) for images in (IMAGES, copy))
    for _ in range(5):
        for task in ((), (1,)):
            a, b = ours(task), theirs(task)
            assert torch.equal(a.images, b.images)
            assert torch.equal(a.rows, b.rows)
            assert b.images.is_contiguous(memory_format=torch.channels_last)
    pairs = zip(sequential(IMAGES, LABELS, ROWS, 4), sequential(copy, LABELS, ROWS, 4), strict=True)
    assert all(torch.equal(a.images, b.images) for a, b in pairs)


def test_a_batch_of_a_copy_leaves_the_copy_alone() -> None:
    copy = copied_to(IMAGES, CPU)
    gather(copy, LABELS, ROWS).images.zero_()
    read_rows(copy, ROWS, CPU).zero_()
    assert np.array_equal(copy.numpy(), IMAGES)


def test_the_cpu_reads_the_file_itself() -> None:
    assert on_device(IMAGES, CPU) is IMAGES


@pytest.mark.parametrize("free", [4 * IMAGES.nbytes, 4 * IMAGES.nbytes - 1])
def test_a_gpu_gets_a_copy_where_a_quarter_of_its_free_memory_will_do(
    monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10 * free))
    monkeypatch.setattr(resident, "copied_to", lambda images, device: copied_to(images, CPU))
    moved = on_device(IMAGES, GPU)
    assert isinstance(moved, torch.Tensor) == (free >= 4 * IMAGES.nbytes)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_batch_is_the_hosts() -> None:
    moved = on_device(IMAGES, GPU)
    assert isinstance(moved, torch.Tensor)
    for images in (IMAGES, moved):
        batch = gather(images, LABELS, ROWS, GPU)
        assert torch.equal(batch.images.cpu(), gather(IMAGES, LABELS, ROWS).images)
