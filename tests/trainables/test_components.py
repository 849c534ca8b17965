"""Principal components and standardised codes, against cases worked by hand."""

import pytest
import torch

from trainables.components import principal_components, standardised


@pytest.mark.parametrize("num_values", [3, 40])
def test_points_on_a_line_keep_all_their_variance_in_one_component(num_values: int) -> None:
    # Places 0, 1, 2 and 7 along a direction of length 2; their mean is 2.5.
    direction = torch.zeros(num_values)
    direction[1] = 2.0
    points = 5 + torch.tensor([0.0, 1.0, 2.0, 7.0])[:, None] * direction
    scores, share = principal_components(points, 3)
    assert share == pytest.approx(1.0)
    assert scores.shape == (4, 1)
    assert scores[:, 0].tolist() == pytest.approx([-5.0, -3.0, -1.0, 9.0])


@pytest.mark.parametrize("num_values", [2, 20])
def test_the_share_that_is_kept_is_the_variance_of_the_leading_components(num_values: int) -> None:
    points = torch.zeros(4, num_values)
    points[:, 0] = torch.tensor([3.0, -3.0, 0.0, 0.0])
    points[:, 1] = torch.tensor([0.0, 0.0, 1.0, -1.0])
    scores, share = principal_components(points, 1)
    assert share == pytest.approx(18 / 20)
    assert scores[:, 0].abs().tolist() == pytest.approx([3, 3, 0, 0], abs=1e-6)
    both, share = principal_components(points, 5)
    assert (both.shape, share) == ((4, 2), pytest.approx(1.0))


def test_distances_are_those_of_the_points_and_a_second_call_is_the_same() -> None:
    points = torch.randn(30, 200, generator=torch.Generator().manual_seed(0))
    scores, share = principal_components(points, 50)
    assert share == pytest.approx(1.0)
    assert scores.shape == (30, 29)
    lengths = (torch.nn.functional.pdist(values) for values in (scores, points))
    assert torch.allclose(*lengths, atol=1e-4)
    assert torch.equal(principal_components(points, 50)[0], scores)


def test_points_that_are_all_the_same_are_at_zero() -> None:
    scores, share = principal_components(torch.full((6, 9), 0.1), 50)
    assert torch.equal(scores, torch.zeros(6, 1))
    assert share == 1.0


def test_a_channels_scale_does_not_count_and_its_last_bits_do() -> None:
    values = torch.tensor([0.0, 1.0, 1.0, 2.0])
    codes = torch.stack([values, 1e30 * values, 7 + 0 * values, 1 - 2.0**-24 * values], dim=1)
    found = standardised(codes).squeeze(2)
    expected = torch.tensor([0.0, 1.0, 1.0, 2.0]) / 0.5**0.5  # the variance is 1/2
    assert torch.allclose(found[:, 0], expected)
    assert torch.allclose(found[:, 1], expected)
    assert torch.equal(found[:, 2], torch.zeros(4))
    assert torch.allclose(found[:, 3], -expected), "a saturated tanh still tells the images apart"


def test_a_channel_is_standardised_over_its_places_together() -> None:
    codes = torch.tensor([[[[0.0, 4.0]]], [[[0.0, 4.0]]]])
    assert standardised(codes).tolist() == [[[0.0, 2.0]], [[0.0, 2.0]]]
