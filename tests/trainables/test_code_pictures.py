"""Codes as pictures: histogram equalisation by hand, and which channel becomes which colour."""

import torch

from trainables.code_pictures import MAX_PIXELS, code_pictures, equalised, has_picture


def test_equalised_values_are_shares_of_values_at_most_as_large() -> None:
    # Of eight values two are 1, one is 2, four are 5 and one is 90: 2, 3, 7 and 8 are at most as
    # large, less the two smallest, of six.
    values = torch.tensor([[5.0, 1.0, 5.0, 90.0], [2.0, 5.0, 1.0, 5.0]])
    expected = torch.tensor([[5.0, 0.0, 5.0, 6.0], [1.0, 5.0, 0.0, 5.0]]) / 6
    assert torch.allclose(equalised(values), expected)


def test_a_histogram_without_ties_becomes_flat_whatever_its_shape() -> None:
    values = torch.linspace(-3, 3, 101).exp().flip(0)
    assert torch.allclose(equalised(values), torch.linspace(1, 0, 101))


def test_one_value_everywhere_is_grey() -> None:
    assert torch.equal(equalised(torch.full((2, 3), 7.0)), torch.full((2, 3), 0.5))


def test_three_channels_are_the_three_colours() -> None:
    codes = torch.tensor([[[[0.0, 9.0]], [[2.0, 1.0]], [[4.0, 4.0]]]])
    pictures = code_pictures(codes)
    assert pictures.tolist() == [[[[0.0, 1.0]], [[1.0, 0.0]], [[0.5, 0.5]]]]


def test_more_channels_show_their_principal_components_of_all_images_together() -> None:
    # Eight channels of one pattern, at different scales and offsets: one component, no second.
    pattern = torch.arange(12.0).view(3, 1, 2, 2)
    scales = torch.tensor([1.0, 2, 3, 4, 5, 6, 7, -8]).view(1, 8, 1, 1)
    pictures = code_pictures(100 + pattern * scales)
    assert pictures.shape == (3, 3, 2, 2)
    red = pictures[:, 0].flatten()
    assert torch.allclose(red.sort().values, torch.linspace(0, 1, 12))
    assert red[0] in (0, 1), "in the order of the pattern, one way or the other"
    assert torch.equal(pictures[:, 1:], torch.full((3, 2, 2, 2), 0.5))


def test_one_or_two_channels_and_constant_codes_have_pictures_too() -> None:
    for codes in (torch.rand(2, 1, 3, 3), torch.rand(2, 2, 3, 3), torch.zeros(2, 5, 3, 3)):
        pictures = code_pictures(codes)
        assert pictures.shape == (2, 3, 3, 3)
        assert bool(pictures.isfinite().all())
    assert torch.equal(pictures, torch.full((2, 3, 3, 3), 0.5))


def test_fine_maps_are_averaged_down_to_what_a_strip_can_show() -> None:
    codes = torch.rand(8, 3, 112, 56)
    count, _, height, width = code_pictures(codes).shape
    assert (height, width) == (90, 45)
    assert count * height * width <= MAX_PIXELS


def test_codes_without_places_have_no_picture() -> None:
    assert has_picture(torch.zeros(2, 4, 1, 2))
    assert not has_picture(torch.zeros(2, 4))
    assert not has_picture(torch.zeros(2, 4, 1, 1))
