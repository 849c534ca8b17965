"""Random views: inside the image, mirrored half of the time, the same again after a stop."""

import numpy as np
import torch

from trainables.data.augment import SMALLEST_VIEW, AugmentedBatches, random_views
from trainables.data.tasks import TaskBatches


def ramp(count: int) -> torch.Tensor:
    """Images whose channels are the column, the row and a constant, in [0, 1]."""
    places = (torch.arange(32) + 0.5) / 32
    columns = places.expand(32, 32)
    return torch.stack([columns, columns.T, torch.full((32, 32), 0.5)]).expand(count, 3, 32, 32)


def test_views_are_squares_inside_the_image_and_half_are_mirrored() -> None:
    views = random_views(ramp(400), torch.Generator().manual_seed(0))
    across = views[:, 0, 16, 27] - views[:, 0, 16, 4]  # negative where mirrored
    down = views[:, 1, 27, 16] - views[:, 1, 4, 16]
    torch.testing.assert_close(across.abs(), down, atol=1e-4, rtol=0)
    sides = down * 32 / 23
    assert sides.min() >= SMALLEST_VIEW - 1e-3
    assert sides.max() <= 1 + 1e-3
    assert sides.max() - sides.min() > 0.2
    assert 160 < int((across < 0).sum()) < 240
    assert views.min() >= 0.5 / 32 - 1e-4
    torch.testing.assert_close(views[:, 2], torch.full_like(views[:, 2], 0.5))


def test_views_move_over_the_whole_image() -> None:
    views = random_views(ramp(400), torch.Generator().manual_seed(1))
    middle = views[:, 0, 16, 15:17].mean(dim=1)
    assert middle.min() < 0.42
    assert middle.max() > 0.58


def test_a_stop_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    labels = (rng.random((40, 2)) < 0.5).astype(np.uint8)

    def make() -> AugmentedBatches:
        return AugmentedBatches(TaskBatches(images, labels, np.arange(40), 8, 3), 5)

    first = make()
    for task in ((), (0,), ()):
        first(task)
    second = make()
    second.load_state_dict(first.state_dict())
    for task in ((0,), (), (1,)):
        expected, got = first(task), second(task)
        torch.testing.assert_close(got.images, expected.images, rtol=0, atol=0)
        assert torch.equal(got.rows, expected.rows)
    plain = TaskBatches(images, labels, np.arange(40), 8, 3)()
    assert not torch.allclose(make()().images, plain.images)
