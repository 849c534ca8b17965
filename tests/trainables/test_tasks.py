"""Batches of tasks: exactly balanced, uniform over categories, and the same after a resume."""

import time
from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from trainables.data.batches import RandomBatches
from trainables.data.tasks import TaskBatches, is_categorical

# Twelve images by hand: columns A, B, C. Rows 0-2 have A alone, 3 has A and B, 4-6 B alone,
# 7 has C alone, 8 has A and C, 9-11 have none.
LABELS = np.array(
    [[1, 0, 0]] * 3 + [[1, 1, 0]] + [[0, 1, 0]] * 3 + [[0, 0, 1], [1, 0, 1]] + [[0, 0, 0]] * 3,
    dtype=np.uint8,
)
# Four categories of 100, 10, 30 and 60 images.
SIZES = (100, 10, 30, 60)
SCENES = np.eye(4, dtype=np.uint8)[np.repeat(np.arange(4), SIZES)]


def _batches(
    labels: NDArray[np.uint8] = LABELS,
    batch_size: int = 4,
    seed: int = 0,
    rows: NDArray[np.int64] | None = None,
) -> TaskBatches:
    images = np.arange(len(labels), dtype=np.uint8).repeat(12).reshape(-1, 2, 2, 3)
    rows = np.arange(len(labels)) if rows is None else rows
    return TaskBatches(images, labels, rows, batch_size, seed)


def test_without_a_column_the_batches_are_those_of_shuffled_epochs() -> None:
    batches = _batches(batch_size=5, seed=3)
    images = np.zeros((12, 2, 2, 3), dtype=np.uint8)
    plain = RandomBatches(images, LABELS, np.arange(12), 5, 3)
    for _ in range(5):
        assert batches().rows.tolist() == plain.next().rows.tolist()


def test_a_batch_shows_its_own_rows() -> None:
    batch = _batches()((1,))
    rows = batch.rows.numpy()
    assert batch.labels.tolist() == LABELS[rows].astype(float).tolist()
    assert (batch.images[:, 0, 0, 0] * 255).round().int().tolist() == rows.tolist()


@pytest.mark.parametrize("batch_size,positives", [(2, 1), (4, 2), (7, 4), (8, 4), (10, 5)])
def test_one_attribute_is_half_of_every_batch(batch_size: int, positives: int) -> None:
    batches = _batches(batch_size=batch_size)
    for _ in range(20):
        rows = batches.next_rows((0,))
        assert len(rows) == len(set(rows.tolist())) == batch_size, "none of them twice"
        assert LABELS[rows, 0].sum() == positives


def test_every_image_of_both_halves_is_drawn_equally_often() -> None:
    batches = _batches(batch_size=4)
    seen = Counter(np.concatenate([batches.next_rows((0,)) for _ in range(1000)]).tolist())
    # Five images with A and seven without share 2,000 places each: 400 and 286, sd below 18.
    for row in range(12):
        expected = 2000 / 5 if LABELS[row, 0] else 2000 / 7
        assert abs(seen[row] - expected) < 5 * 18


@pytest.mark.parametrize("batch_size,sizes", [(4, (1, 1, 1, 1)), (6, (2, 2, 1, 1))])
def test_three_attributes_and_none_of_them_are_equal_parts(
    batch_size: int, sizes: tuple[int, ...]
) -> None:
    parts = ({0, 1, 2}, {4, 5, 6}, {7}, {9, 10, 11})
    batches = _batches(batch_size=batch_size)
    for _ in range(20):
        rows = batches.next_rows((0, 1, 2)).tolist()
        assert tuple(len([row for row in rows if row in part]) for part in parts) == sizes


def test_the_parts_follow_the_order_of_the_columns() -> None:
    rows = _batches(batch_size=5).next_rows((2, 0, 1))
    assert (rows == 7).sum() == 2, "the first named gets what is left over"


def test_an_attribute_nobody_has_alone_takes_all_that_have_it() -> None:
    batches = _batches(rows=np.array([0, 1, 3, 8, 9, 10]), batch_size=3)
    seen = np.concatenate([batches.next_rows((0, 1)) for _ in range(50)])
    # B is only on row 3, with A; A has rows 0, 1 and 8 without B; 9 and 10 have neither.
    assert (seen == 3).sum() == 50
    assert np.isin(seen, [0, 1, 8]).sum() == 50
    assert np.isin(seen, [9, 10]).sum() == 50


def test_too_few_images_are_shown_again_equally_often() -> None:
    batches = _batches(rows=np.array([7, 8, 9, 10, 11, 0, 1, 2, 3, 4]), batch_size=10)
    rows = Counter(batches.next_rows((2,)).tolist())
    assert sorted((rows[7], rows[8])) == [2, 3], "five places for two images"


def test_negatives_are_uniform_over_the_categories_and_not_over_the_images() -> None:
    batches = _batches(SCENES, batch_size=20)
    rows = np.concatenate([batches.next_rows((1,)) for _ in range(400)])
    counts = SCENES[rows].sum(axis=0, dtype=np.int64)
    assert counts[1] == 4000
    # 4,000 negatives over three categories: 1,333 each; binomial sd of 30. Over images the
    # categories of 100, 30 and 60 would have 2,105, 632 and 1,263.
    assert np.abs(counts[[0, 2, 3]] - 4000 / 3).max() < 5 * 30


def test_the_rest_is_uniform_over_the_categories_that_are_left() -> None:
    batches = _batches(SCENES, batch_size=30)
    rows = np.concatenate([batches.next_rows((0, 3)) for _ in range(200)])
    counts = SCENES[rows].sum(axis=0, dtype=np.int64)
    assert counts[0] == counts[3] == 2000
    assert abs(counts[1] - 1000) < 5 * np.sqrt(2000 / 4)
    assert counts[1] + counts[2] == 2000


def test_a_category_that_is_not_in_the_split_is_not_drawn() -> None:
    rows = np.flatnonzero(SCENES[:, 2] == 0)
    drawn = _batches(SCENES, 20, rows=rows).next_rows((1,))
    assert np.isin(drawn, rows).all()


def test_batches_are_shuffled() -> None:
    batches = _batches(SCENES, batch_size=40)
    firsts = sum(int(SCENES[batches.next_rows((0,))[0], 0]) for _ in range(200))
    assert abs(firsts - 100) < 5 * np.sqrt(200 / 4)


def test_a_resumed_run_sees_the_same_batches() -> None:
    tasks: list[tuple[int, ...]] = [(), (0,), (0, 3), (0,), (3, 0), (), (1,)]
    first = _batches(SCENES, 16)
    for task in tasks:
        first(task)
    state = first.state_dict()
    assert state == {"": 2, "0": 2, "0,3": 1, "3,0": 1, "1": 1}
    resumed = _batches(SCENES, 16)
    resumed((2,))
    resumed.load_state_dict(state)
    for task in [*tasks, (2,)]:
        assert resumed(task).rows.tolist() == first(task).rows.tolist()
    assert resumed.state_dict() == first.state_dict()


def test_batches_of_a_task_do_not_depend_on_the_tasks_between_them() -> None:
    mixed, alone = _batches(SCENES, 16), _batches(SCENES, 16)
    for _ in range(3):
        mixed((1,))
        assert mixed((0,)).rows.tolist() == alone((0,)).rows.tolist()


def test_seed_task_and_number_each_change_the_batch() -> None:
    def draw(seed: int, task: tuple[int, ...], number: int) -> tuple[int, ...]:
        batches = _batches(SCENES, 16, seed)
        return tuple([batches.next_rows(task).tolist() for _ in range(number + 1)][number])

    cases = [(0, (0,), 0), (1, (0,), 0), (0, (1,), 0), (0, (0,), 1), (0, (0, 1), 0), (0, (1, 0), 0)]
    assert len({draw(*case) for case in cases}) == len(cases)
    assert draw(0, (0,), 1) == draw(0, (0,), 1)


@pytest.mark.parametrize(
    "task,rows,batch_size,message",
    [
        ((2,), [0, 1, 9, 10], 4, "attribute column 2 has no positive image in this split"),
        ((0,), [0, 1, 2, 3], 4, "attribute column 0 has no negative image in this split"),
        ((0, 1), [0, 1, 3, 4], 4, "attribute columns 0, 1: this split has no image with none"),
        ((0, 2), [0, 1, 9, 10], 4, "attribute column 2 has no positive image"),
        ((3,), range(12), 4, "columns must be between 0 and 2, got 3"),
        ((-1,), range(12), 4, "columns must be between 0 and 2, got -1"),
        ((1, 1), range(12), 4, r"a column is named twice in \[1, 1\]"),
        ((0, 1, 2), range(12), 3, "batch_size: 3 balanced attributes .* at least 4 .*got 3"),
    ],
)
def test_what_cannot_be_balanced_is_refused(
    task: tuple[int, ...], rows: list[int], batch_size: int, message: str
) -> None:
    batches = _batches(rows=np.array(rows), batch_size=batch_size)
    with pytest.raises(ValueError, match=message):
        batches.check(task)
    with pytest.raises(ValueError, match=message):
        batches(task)
    assert batches.state_dict() == {"": 0}
    batches.check(())
    assert len(batches().rows) == batch_size


def test_a_batch_larger_than_the_split_is_refused() -> None:
    with pytest.raises(ValueError, match=r"batch_size.*12 images, got 13"):
        _batches(batch_size=13)


def test_categories_are_one_hot_in_every_row() -> None:
    assert is_categorical(SCENES)
    assert is_categorical(SCENES[:, :2][:110])
    assert not is_categorical(SCENES[:, :3])
    assert not is_categorical(LABELS)
    assert not is_categorical(np.ones((5, 1), dtype=np.uint8))
    many = np.zeros((1, 300), dtype=np.uint8)
    many[0, :257] = 1
    assert not is_categorical(many), "257 ones are not one, even in eight bits"


def test_drawing_is_fast_whatever_the_size_of_the_split() -> None:
    labels = np.eye(10, dtype=np.uint8)[np.arange(200_000) % 10]
    batches = TaskBatches(
        np.zeros((1, 2, 2, 3), np.uint8), labels, np.arange(200_000), batch_size=128, seed=0
    )
    batches.check((0,))
    start = time.process_time()
    for _ in range(100):
        batches.next_rows((0,))
    assert (time.process_time() - start) / 100 < 0.005
