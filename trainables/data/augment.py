"""Random views of training images: mirrored, scaled and cropped (Pittaluga, section 4.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.data.batches import Batch
from trainables.data.tasks import TaskBatches

SMALLEST_VIEW = 0.75
"""Least side of a crop as a share of the image's; the paper gives no figure."""


class AugmentedBatches:
    """Another view of every image whenever it is drawn; which one depends on seed and draw alone.

    Args:
        batches: Hands over the images.
        seed: Seed of the views, not negative.
    """

    def __init__(self, batches: TaskBatches, seed: int) -> None:
        self._batches, self._seed = batches, seed
        self._num_drawn = 0

    def __call__(self, balanced: tuple[int, ...] = ()) -> Batch:
        """Hands out the next batch of a task, as `TaskBatches`, its images as random views."""
        batch = self._batches(balanced)
        generator = torch.Generator().manual_seed(self._seed + self._num_drawn)
        self._num_drawn += 1
        return batch._replace(images=random_views(batch.images, generator))

    def state_dict(self) -> dict[str, int]:
        """How many batches were drawn, of each task and in all."""
        return {**self._batches.state_dict(), "views": self._num_drawn}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on from a saved state: the views that follow are those that would have."""
        self._num_drawn = int(state["views"])
        self._batches.load_state_dict({k: v for k, v in state.items() if k != "views"})


def random_views(images: Tensor, generator: torch.Generator) -> Tensor:
    """Cuts a random square share out of each image, at its full size again, and mirrors half.

    Args:
        images: [B, 3, H, W].
        generator: On the CPU; draws scale, place and mirroring of each image.

    Returns:
        [B, 3, H, W], bilinear; never of what lies outside the image.
    """
    draws = torch.rand(4, len(images), generator=generator)
    scale = SMALLEST_VIEW + (1 - SMALLEST_VIEW) * draws[0]
    # In coordinates of -1 to 1 a view of that size may shift by 1 - scale either way.
    shift_x, shift_y = ((2 * draw - 1) * (1 - scale) for draw in draws[1:3])
    mirror = torch.where(draws[3] < 0.5, -1.0, 1.0)
    zero = torch.zeros_like(scale)
    rows = [torch.stack([scale * mirror, zero, shift_x], 1), torch.stack([zero, scale, shift_y], 1)]
    transform = torch.stack(rows, 1).to(images.device, images.dtype)
    grid = F.affine_grid(transform, list(images.shape), align_corners=False)
    views = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return views.contiguous(memory_format=torch.channels_last)
