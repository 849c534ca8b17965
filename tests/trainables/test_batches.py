"""Batches: right values, right layout, and the same again after a resume."""

import numpy as np
import pytest
import torch

from trainables.data.batches import RandomBatches, gather, sequential

NUM_IMAGES, NUM_ATTRIBUTES = 23, 3
IMAGES = np.random.default_rng(0).integers(0, 256, (NUM_IMAGES, 4, 6, 3), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 2, (NUM_IMAGES, NUM_ATTRIBUTES), dtype=np.uint8)
ROWS = np.arange(0, NUM_IMAGES, 2)


def _batches(batch_size: int = 5, seed: int = 0) -> RandomBatches:
    return RandomBatches(IMAGES, LABELS, ROWS, batch_size, seed)


def test_gather_scales_to_one_and_keeps_the_order() -> None:
    batch = gather(IMAGES, LABELS, np.array([4, 1]))
    assert batch.images.shape == (2, 3, 4, 6)
    assert batch.images.dtype == torch.float32
    assert batch.images[0, 2, 3, 5].item() == pytest.approx(IMAGES[4, 3, 5, 2] / 255)
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.labels.tolist() == LABELS[[4, 1]].astype(float).tolist()
    assert batch.labels.dtype == torch.float32
    assert batch.rows.tolist() == [4, 1]


def test_gather_covers_the_whole_range() -> None:
    ends = np.array([0, 255], dtype=np.uint8).repeat(12).reshape(2, 2, 2, 3)
    batch = gather(ends, LABELS[:2], np.array([0, 1]))
    assert batch.images.min() == 0
    assert batch.images.max() == 1


def test_gather_leaves_the_store_alone() -> None:
    before = IMAGES.copy()
    gather(IMAGES, LABELS, np.array([0, 1])).images.zero_()
    assert np.array_equal(IMAGES, before)


def test_an_epoch_shows_every_row_at_most_once_and_epochs_differ() -> None:
    batches = _batches()
    assert batches.batches_per_epoch == 2
    epochs = [[*batches.next().rows.tolist(), *batches.next().rows.tolist()] for _ in range(3)]
    for epoch in epochs:
        assert len(set(epoch)) == 10
        assert set(epoch) <= set(ROWS.tolist())
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("num_before", [0, 1, 2, 5])
def test_a_resumed_run_sees_the_same_batches(num_before: int) -> None:
    first = _batches()
    for _ in range(num_before):
        first.next()
    state = first.state_dict()
    assert state == {"num_drawn": num_before}
    resumed = _batches()
    resumed.load_state_dict(state)
    for _ in range(4):
        assert resumed.next().rows.tolist() == first.next().rows.tolist()


def test_going_back_in_time_repeats_the_batches() -> None:
    batches = _batches()
    state = batches.state_dict()
    seen = [batches.next().rows.tolist() for _ in range(5)]
    batches.load_state_dict(state)
    assert [batches.next().rows.tolist() for _ in range(5)] == seen


def test_the_seed_decides_the_order() -> None:
    assert _batches(seed=0).next().rows.tolist() == _batches(seed=0).next().rows.tolist()
    assert _batches(seed=0).next().rows.tolist() != _batches(seed=1).next().rows.tolist()


@pytest.mark.parametrize("batch_size", [0, 13])
def test_a_batch_size_beyond_the_split_is_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match=rf"batch_size.*12 images, got {batch_size}"):
        _batches(batch_size)


def test_sequential_goes_once_in_order_with_a_smaller_rest() -> None:
    batches = list(sequential(IMAGES, LABELS, ROWS, 5))
    assert [len(batch.rows) for batch in batches] == [5, 5, 2]
    assert torch.cat([batch.rows for batch in batches]).tolist() == ROWS.tolist()
    with pytest.raises(ValueError, match="batch_size.*got 0"):
        next(sequential(IMAGES, LABELS, ROWS, 0))
