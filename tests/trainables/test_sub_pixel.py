"""A sub-pixel convolution: which channel becomes which pixel, and what stands between."""

import torch
import torch.nn.functional as F
from torch import nn

from trainables.nets.sub_pixel import SubPixel


def test_it_normalises_before_it_spreads():
    net = SubPixel(3, 5, normalised=True)
    x = torch.rand(4, 3, 6, 6)
    coarse = F.conv2d(x, net.convolution.weight, padding=1)
    expected = F.pixel_shuffle(F.batch_norm(coarse, None, None, training=True), 2)
    torch.testing.assert_close(net(x), expected)
    assert net.convolution.bias is None


def test_without_a_normalisation():
    net = SubPixel(3, 5, factor=4, kernel=1)
    assert net(torch.rand(4, 3, 6, 6)).shape == (4, 5, 24, 24)
    assert net.convolution.bias.shape == (80,)
    assert not [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
