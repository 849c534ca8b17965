"""Batches for tasks: half of them one category, or equal parts of several (Pittaluga §4.1)."""

import numpy as np
import torch
from numpy.typing import NDArray

from trainables.data.batches import Batch, RandomBatches, gather
from trainables.data.resident import Images

Rows = NDArray[np.int64]
Part = list[Rows]  # groups of rows, each as likely to be drawn from as the others


def is_categorical(labels: NDArray[np.uint8]) -> bool:
    """Whether labels [N, A] are one-hot: two columns or more, exactly one 1 in every row."""
    return labels.shape[1] >= 2 and bool((labels.sum(axis=1, dtype=np.int64) == 1).all())


class TaskBatches:
    """Endless batches of one split, plain or balanced for a task; every call makes the next one.

    Called with no column, the batches are those of `RandomBatches`. Called with one, half of each
    batch has that attribute and half has not. Called with N of them, a batch has N + 1 equal
    parts: one per attribute, of images that have it and none of the others named (of all that
    have it, where none has it alone), and one of images that have none of them. What a part
    cannot get equally goes to the earlier parts.

    Images are drawn uniformly, except where the labels are one-hot categories: there the images
    that have none of the named attributes are drawn uniformly over their categories first ("the
    negative examples are uniformly sampled from the other nine categories", Pittaluga §4.1). A
    batch shows an image twice only where there are fewer than it needs.

    Batch k of a task depends on (seed, task, k) alone, so that the only state is how many batches
    of each task were handed out.
    """

    def __init__(
        self,
        images: Images,
        labels: NDArray[np.uint8],
        rows: Rows,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """Prepares the batches; draws nothing yet.

        Args:
            images: [N, H, W, 3] of the whole store.
            labels: [N, A] of the whole store; they are categories if all of them are one-hot.
            rows: Rows to draw from.
            batch_size: Images per batch, at most `len(rows)`.
            seed: Seed of the draws, not negative.
            device: Where batches are to be.

        Raises:
            ValueError: The batch size is below 1 or above the number of rows.
        """
        self._plain = RandomBatches(images, labels, rows, batch_size, seed, device)
        self._images, self._labels, self._rows = images, labels, rows
        self._batch_size, self._seed, self._device = batch_size, seed, device
        self._categorical = is_categorical(labels)
        self._parts: dict[tuple[int, ...], list[Part]] = {}
        self._num_drawn: dict[tuple[int, ...], int] = {}

    def __call__(self, balanced: tuple[int, ...] = ()) -> Batch:
        """Hands out the next batch of a task.

        Args:
            balanced: Label columns to balance; none for a plain batch.

        Raises:
            ValueError: As `check`.
        """
        return gather(self._images, self._labels, self.next_rows(balanced), self._device)

    def next_rows(self, balanced: tuple[int, ...] = ()) -> Rows:
        """Draws the rows [B] of the next batch of a task without reading its images.

        Raises:
            ValueError: As `check`.
        """
        if not balanced:
            return self._plain.next_rows()
        self.check(balanced)
        number = self._num_drawn.get(balanced, 0)
        # A seed's trailing zeros do not count: the length comes first and nothing after it is 0.
        task = [len(balanced), *(column + 1 for column in balanced), number + 1]
        rng = np.random.default_rng([self._seed, *task])
        parts = self._parts[balanced]
        smallest, rest = divmod(self._batch_size, len(parts))
        rows = [_draw(rng, part, smallest + (index < rest)) for index, part in enumerate(parts)]
        self._num_drawn[balanced] = number + 1
        return rng.permutation(np.concatenate(rows))

    def check(self, balanced: tuple[int, ...]) -> None:
        """Looks whether a task can be drawn, so that it need not be found out in training.

        Raises:
            ValueError: A column is unknown or named twice, a part would have no image in this
                split, or the batch is too small for all parts.
        """
        if balanced in self._parts or not balanced:
            return
        num_columns = self._labels.shape[1]
        for column in balanced:
            if not 0 <= column < num_columns:
                raise ValueError(
                    f"balanced: columns must be between 0 and {num_columns - 1}, got {column}"
                )
        if len(set(balanced)) < len(balanced):
            raise ValueError(f"balanced: a column is named twice in {list(balanced)}")
        if self._batch_size <= len(balanced):
            raise ValueError(
                f"batch_size: {len(balanced)} balanced attributes and the images without them "
                f"need at least {len(balanced) + 1} images per batch, got {self._batch_size}"
            )
        self._parts[balanced] = self._split(balanced)

    def _split(self, balanced: tuple[int, ...]) -> list[Part]:
        """The split's rows for each part of a task's batches."""
        chosen = self._labels[self._rows][:, list(balanced)] == 1
        num_chosen = chosen.sum(axis=1)
        parts: list[Part] = []
        for index, column in enumerate(balanced):
            alone = chosen[:, index] & (num_chosen == 1)
            rows = self._rows[alone if alone.any() else chosen[:, index]]
            if len(rows) == 0:
                raise ValueError(f"attribute column {column} has no positive image in this split")
            parts.append([rows])
        none = self._rows[num_chosen == 0]
        if len(none) == 0:
            if len(balanced) == 1:
                raise ValueError(
                    f"attribute column {balanced[0]} has no negative image in this split"
                )
            raise ValueError(
                f"attribute columns {', '.join(map(str, balanced))}: this split has no image with "
                "none of them"
            )
        parts.append(self._by_category(none) if self._categorical else [none])
        return parts

    def _by_category(self, rows: Rows) -> Part:
        category = self._labels[rows].argmax(axis=1)
        return [rows[category == present] for present in np.unique(category)]

    def state_dict(self) -> dict[str, int]:
        """How many batches of each task were handed out, by its columns (`""`: plain ones)."""
        tasks = {",".join(map(str, task)): count for task, count in self._num_drawn.items()}
        return {"": self._plain.state_dict()["num_drawn"], **tasks}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on from a saved state: the batches that follow are those that would have."""
        self._plain.load_state_dict({"num_drawn": state[""]})
        self._num_drawn = {
            tuple(map(int, task.split(","))): int(count) for task, count in state.items() if task
        }


def _draw(rng: np.random.Generator, part: Part, count: int) -> Rows:
    """Draws `count` rows, each from a group drawn uniformly."""
    if len(part) == 1:
        return _draw_rows(rng, part[0], count)
    counts = np.bincount(rng.integers(len(part), size=count), minlength=len(part))
    drawn = [_draw_rows(rng, rows, n) for rows, n in zip(part, counts, strict=True) if n]
    return np.concatenate(drawn)


def _draw_rows(rng: np.random.Generator, rows: Rows, count: int) -> Rows:
    """Draws without replacement; where there are too few, all of them as often as it takes."""
    whole, rest = divmod(count, len(rows))
    picked = rows[rng.choice(len(rows), size=rest, replace=False, shuffle=False)]
    return np.concatenate([np.tile(rows, whole), picked]) if whole else picked
