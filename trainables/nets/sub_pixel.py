"""Channels into pixels and pixels into channels, ordered for maps that lie channels-last.

`nn.PixelShuffle` wants the pixels of one colour side by side among the channels. Here whole pixels
are (ONNX's mode DCR): a net with its own weights learns the same either way, and in channels-last
memory only runs of numbers move, which takes a quarter of the time, backwards a fifth.
"""

import torch
from torch import Tensor, nn

from trainables.nets.layers import ConvStack


class DepthToSpace(nn.Module):
    """Turns channels into pixels: [B, factor² · C, H, W] to [B, C, factor · H, factor · W].

    Pixel (i, j) of a cell has the channels from (factor · i + j) · C.

    Args:
        factor: Pixels per side of a cell.

    Attributes:
        memory_format: How what is returned lies in memory.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.memory_format = torch.channels_last

    def forward(self, x: Tensor) -> Tensor:
        """Returns the finer maps."""
        factor, (height, width) = self.factor, x.shape[2:]
        cells = x.unflatten(1, (factor, factor, -1))  # [B, i, j, C, H, W]
        size = (factor * height, factor * width)
        if self.memory_format == torch.channels_last:
            rows: Tensor = cells.permute(0, 4, 1, 5, 2, 3).reshape(len(x), *size, -1)
            return rows.permute(0, 3, 1, 2)
        maps: Tensor = cells.permute(0, 3, 4, 1, 5, 2).reshape(len(x), -1, *size)
        return maps


class SpaceToDepth(nn.Module):
    """Undoes `DepthToSpace`: [B, C, factor · H, factor · W] to [B, factor² · C, H, W].

    Args:
        factor: Pixels per side of a cell.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Returns the coarser maps."""
        factor = self.factor
        cells: Tensor = x.unflatten(3, (-1, factor)).unflatten(
            2, (-1, factor)
        )  # [B, C, H, i, W, j]
        return cells.permute(0, 2, 4, 3, 5, 1).flatten(3).permute(0, 3, 1, 2)


class SubPixel(nn.Module):
    """Raises the resolution by a convolution at the coarse one and a reshuffle of its channels.

    Args:
        in_channels: Of the coarse maps.
        out_channels: Of the fine ones.
        factor: By which each side grows.
        kernel: Side of the convolution's, odd.
        bias: Whether it has one.
        normalised: Whether a batch normalisation stands between the two.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        factor: int = 2,
        kernel: int = 3,
        *,
        bias: bool = True,
        normalised: bool = False,
    ) -> None:
        super().__init__()
        channels = factor**2 * out_channels
        self.convolution = nn.Conv2d(
            in_channels, channels, kernel, padding=kernel // 2, bias=bias and not normalised
        )
        norm = [nn.BatchNorm2d(channels)] if normalised else []
        self.spread = ConvStack(*norm, DepthToSpace(factor))

    def forward(self, x: Tensor) -> Tensor:
        """Maps [B, in_channels, H, W] to [B, out_channels, factor · H, factor · W]."""
        maps: Tensor = self.spread(self.convolution(x))
        return maps
