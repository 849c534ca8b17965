"""Sub-pixel convolutions: a finer map from a convolution at the coarse resolution."""

from torch import Tensor, nn

from trainables.nets.layers import ConvStack


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
        self.spread = ConvStack(*norm, nn.PixelShuffle(factor))

    def forward(self, x: Tensor) -> Tensor:
        """Maps [B, in_channels, H, W] to [B, out_channels, factor · H, factor · W]."""
        maps: Tensor = self.spread(self.convolution(x))
        return maps
