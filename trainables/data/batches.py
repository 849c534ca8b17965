"""From rows of the store to batches on a device, shuffled so that a resumed run sees the same."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.resident import Images, read_rows


class Batch(NamedTuple):
    """Images with their attributes.

    Attributes:
        images: float32 [B, 3, H, W] in [0, 1], channels-last in memory.
        labels: float32 [B, A], each 0 or 1.
        rows: int64 [B], the rows of the store.
    """

    images: Tensor
    labels: Tensor
    rows: Tensor


def gather(
    images: Images,
    labels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    device: torch.device | str = "cpu",
) -> Batch:
    """Copies the given rows out of the store.

    Bytes are moved and turned into floats on the device: a quarter of the traffic.

    Args:
        images: [N, H, W, 3], as `ImageStore.images` or as `on_device` returns them.
        labels: [N, A], as `ImageStore.labels`.
        rows: [B].
        device: Where the batch is to be.
    """
    pixels = read_rows(images, rows, device)
    return Batch(
        images=pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255),
        labels=torch.from_numpy(labels[rows]).to(device).to(torch.float32),
        rows=torch.from_numpy(np.array(rows, dtype=np.int64)).to(device),
    )


class RandomBatches:
    """Endless shuffled batches of one split.

    Every epoch is a fresh permutation drawn from (seed, epoch); what does not fill a batch at the
    end of an epoch is dropped. The only state is the number of batches handed out.
    """

    def __init__(
        self,
        images: Images,
        labels: NDArray[np.uint8],
        rows: NDArray[np.int64],
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        """Prepares the batches; draws nothing yet.

        Args:
            images: [N, H, W, 3] of the whole store.
            labels: [N, A] of the whole store.
            rows: Rows to draw from.
            batch_size: Images per batch, at most `len(rows)`.
            seed: Seed of the shuffles, not negative.
            device: Where batches are to be.

        Raises:
            ValueError: The batch size is below 1 or above the number of rows.
        """
        if not 1 <= batch_size <= len(rows):
            raise ValueError(
                f"batch_size: must be between 1 and the split's {len(rows)} images, "
                f"got {batch_size}"
            )
        self._images, self._labels, self._rows = images, labels, rows
        self._batch_size, self._seed, self._device = batch_size, seed, device
        self._num_drawn = 0
        self._epoch = -1
        self._order = rows

    @property
    def batches_per_epoch(self) -> int:
        """Number of full batches in one pass over the rows."""
        return len(self._rows) // self._batch_size

    def next_rows(self) -> NDArray[np.int64]:
        """Draws the rows of the next batch without reading its images."""
        epoch, position = divmod(self._num_drawn, self.batches_per_epoch)
        if epoch != self._epoch:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(self._rows)
            self._epoch = epoch
        self._num_drawn += 1
        start = position * self._batch_size
        return self._order[start : start + self._batch_size]

    def next(self) -> Batch:
        """Hands out the next batch."""
        return gather(self._images, self._labels, self.next_rows(), self._device)

    def state_dict(self) -> dict[str, int]:
        """The number of batches handed out so far."""
        return {"num_drawn": self._num_drawn}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on from a saved state: the batches that follow are those that would have."""
        self._num_drawn = int(state["num_drawn"])


def sequential(
    images: Images,
    labels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    batch_size: int,
    device: torch.device | str = "cpu",
) -> Iterator[Batch]:
    """Goes once over the rows in order; the last batch may be smaller.

    Raises:
        ValueError: The batch size is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: must be at least 1, got {batch_size}")
    for start in range(0, len(rows), batch_size):
        yield gather(images, labels, rows[start : start + batch_size], device)
