"""Channels into pixels: which goes where, and that it is a convolution's output rearranged."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainables.nets.sub_pixel import DepthToSpace, SpaceToDepth, SubPixel


def shuffled_as_torch_does(x, factor):
    """`pixel_shuffle` of the same channels, put into the order it wants."""
    pixels = x.unflatten(1, (factor**2, -1)).transpose(1, 2).flatten(1, 2)
    return F.pixel_shuffle(pixels, factor)


def test_a_cells_pixels_are_in_rows():
    # Two colours: the first pixel's, the second's, then the row below.
    cell = torch.tensor([1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0, 40.0]).view(1, 8, 1, 1)
    red, green = DepthToSpace(2)(cell)[0]
    assert red.tolist() == [[1, 2], [3, 4]]
    assert green.tolist() == [[10, 20], [30, 40]]


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_it_is_torchs_shuffle_of_reordered_channels(factor, memory_format):
    x = torch.rand(2, 5 * factor**2, 4, 3).contiguous(memory_format=memory_format)
    shuffle = DepthToSpace(factor)
    shuffle.memory_format = memory_format
    found = shuffle(x)
    assert torch.equal(found, shuffled_as_torch_does(x, factor))
    assert found.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_space_to_depth_undoes_it(factor):
    pixels = torch.rand(2, 5, 4 * factor, 3 * factor)
    cells = SpaceToDepth(factor)(pixels)
    assert cells.shape == (2, 5 * factor**2, 4, 3)
    assert factor == 1 or cells.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(DepthToSpace(factor)(cells), pixels)


def test_gradients_go_back_where_they_came_from():
    x = torch.rand(1, 8, 2, 2, requires_grad=True)
    weights = torch.rand(1, 2, 4, 4)
    (DepthToSpace(2)(x) * weights).sum().backward()
    assert torch.equal(x.grad, SpaceToDepth(2)(weights))


def test_a_sub_pixel_convolution_normalises_before_it_spreads():
    net = SubPixel(3, 5, normalised=True)
    x = torch.rand(4, 3, 6, 6)
    coarse = F.conv2d(x, net.convolution.weight, padding=1)
    expected = shuffled_as_torch_does(F.batch_norm(coarse, None, None, training=True), 2)
    torch.testing.assert_close(net(x), expected)
    assert net.convolution.bias is None
    plain = SubPixel(3, 5, factor=4, kernel=1)
    assert plain(x).shape == (4, 5, 24, 24)
    assert plain.convolution.bias.shape == (80,)
    assert not [part for part in plain.modules() if isinstance(part, nn.BatchNorm2d)]
