"""Which images an attacker learns from: public ones, and others while the rate is high."""

from types import SimpleNamespace

import numpy as np

from trainables.attack_batches import AttackBatches

PUBLIC = np.arange(100, 140)
EXTRA = np.arange(200, 500)


def batches_of(extra=EXTRA, size=16, public=PUBLIC, seed=3):
    images, labels = np.zeros((200, 1, 1, 3), np.uint8), np.zeros((200, 2), np.uint8)
    labels[::2, 0] = 1
    store = SimpleNamespace(images=images, labels=labels)
    return AttackBatches(store, public, extra, size, seed)


def test_another_source_is_half_of_a_batch_however_many_images_it_has():
    batches = batches_of()
    assert batches.num_images == 340
    for _ in range(10):
        rows = batches.next_rows((), settling=False)
        assert len(rows) == 16
        assert np.isin(rows, PUBLIC).sum() == np.isin(rows, EXTRA).sum() == 8
        assert len(set(rows.tolist())) == 16


def test_it_has_no_part_once_the_rate_has_fallen():
    batches = batches_of()
    rows = np.concatenate([batches.next_rows((), settling=True) for _ in range(4)])
    assert np.isin(rows, PUBLIC).all()


def test_without_another_source_all_is_public_and_tasks_are_balanced():
    batches = batches_of(extra=np.empty(0, np.int64))
    assert batches.num_images == 40
    for settling in (False, True):
        rows = batches.next_rows((0,), settling)
        assert np.isin(rows, PUBLIC).all()
        assert (rows % 2 == 0).sum() == 8


def test_few_images_of_either_kind_fill_smaller_batches():
    few = batches_of(extra=EXTRA[:3]).next_rows((), settling=False)
    assert np.isin(few, EXTRA).sum() == 3
    assert len(few) == 16
    assert len(batches_of(public=PUBLIC[:5]).next_rows((), settling=False)) == 5
    alone = batches_of(public=PUBLIC[:1]).next_rows((), settling=False)
    assert alone.tolist() == [100]


def test_a_resumed_attack_goes_on_with_the_batches_that_would_have_followed():
    first = batches_of()
    for _ in range(5):
        first.next_rows((), settling=False)
    first.next_rows((), settling=True)
    second = batches_of()
    second.load_state_dict(first.state_dict())
    for settling in (False, True, False):
        expected = first.next_rows((), settling)
        assert np.array_equal(second.next_rows((), settling), expected)
