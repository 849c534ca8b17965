"""Decoders that do not mirror the encoder (DeepObfuscator, Table 2), for the code of any cut.

An attacker need not know the encoder. The paper attacks a VGG cut at `pool2` with URec#1 and
URec#2, built after U-Net with three and two convolutions per resolution, and with ResRec, two
residual blocks per resolution; none is ever a protector's adversary. Here they start from any code.
The convolutions that the paper has at the image's own resolution are left out (they would take half
of a step's time): the last doubling is a reshuffle of channels, as in the mirror.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.nets.decoders import (
    FromVector,
    Template,
    build_decoder,
    residual_block,
    starting_stride,
)
from trainables.nets.entry import entry_norm
from trainables.nets.layers import CodeSpec, ConvStack, conv_norm_relu, initialise

Architecture = Literal["mirror", "unet_deep", "unet_shallow", "residual"]

NUM_LEVELS = 3
"""Resolutions of a U-Net, where the code's map is large enough."""
MIN_CELLS = 4
"""Shortest side of a map that a U-Net contracts to: normalised over fewer cells, what is the same
for all images would be lost (see `decoders.starting_stride`)."""
LINEAR_GAIN = 5.0
"""Factor of the linear path. Adam moves a weight by about the rate per step, and the logits of an
image it sees reach to ±5: without the factor that takes thousands of steps."""
LAST_SCALE = 0.1
"""Factor of the deep path's last weights at the start. With He's initialisation the first images
are black and white noise, and the sigmoid's ends, where gradients vanish, take hundreds of steps
to leave."""


def build_reconstructor(
    architecture: Architecture, spec: CodeSpec, height: int, width: int, base: int
) -> nn.Module:
    """Builds a decoder: z to an image [B, 3, height, width] in [0, 1].

    Args:
        architecture: `mirror` of the encoder, `unet_deep` (URec#1), `unet_shallow` (URec#2) or
            `residual` (ResRec).
        spec: The code's cut point and shape.
        height: Image height in pixels, a multiple of the code's stride.
        width: Image width in pixels.
        base: Channels at the finest resolution.

    Raises:
        ValueError: If there is no such architecture.
    """
    if architecture not in get_args(Architecture):
        known = ", ".join(get_args(Architecture))
        raise ValueError(f"architecture: unknown {architecture!r}. Known: {known}")
    if architecture == "mirror":
        return build_decoder(spec, height, width, base, narrowest=1)
    return TwoPathDecoder(architecture, spec, height, width, base).to(
        memory_format=torch.channels_last
    )


class TwoPathDecoder(nn.Module):
    """A decoder whose logits are the sum of a deep path's and of a linear one's.

    The linear path is the long skip of super-resolution nets: what a linear decoder can tell, of a
    picture all of it, the deep path need not learn. It starts from nothing.

    Args:
        architecture: As in `build_reconstructor`; not `mirror`.
        spec: The code's cut point and shape.
        height: Image height in pixels.
        width: Image width in pixels.
        base: Channels at the finest resolution.
    """

    def __init__(
        self, architecture: Architecture, spec: CodeSpec, height: int, width: int, base: int
    ) -> None:
        super().__init__()
        stride = height // spec.shape[1] if len(spec.shape) == 3 else starting_stride(height, width)
        cells = (height // stride, width // stride)
        channels = spec.shape[0] if len(spec.shape) == 3 else _channels_at(stride, base)
        entry = [entry_norm(spec.shape)]
        if len(spec.shape) == 1:
            entry.append(FromVector(spec.shape[0], channels, *cells))
        self.entry = ConvStack(*entry)
        self.linear = ConvStack(
            nn.Conv2d(channels, 3 * stride**2, 1, bias=False), nn.PixelShuffle(stride)
        )
        folded = stride == 1 and height % 2 == 0 and width % 2 == 0
        fold = nn.PixelUnshuffle(2 if folded else 1)
        if folded:
            # Four pixels a cell: full size is dear, and the linear path has the finest detail.
            channels, stride, cells = 4 * channels, 2, (height // 2, width // 2)
        if architecture == "residual":
            maps = _residual(channels, stride, base)
        else:
            convolutions = 3 if architecture == "unet_deep" else 2
            maps = _unet(channels, stride, base, min(cells), convolutions)
        finest = min(stride, 2)
        last = nn.Conv2d(_channels_at(finest, base), 3 * finest**2, 3, padding=1)
        self.deep = ConvStack(fold, *maps, last, nn.PixelShuffle(finest))
        self.image = ConvStack(Template(height, width), nn.Sigmoid())
        initialise(self)
        with torch.no_grad():
            last.weight.mul_(LAST_SCALE)
            nn.init.zeros_(self.linear[0].weight)  # type: ignore[arg-type]

    def forward(self, z: Tensor) -> Tensor:
        """Returns images [B, 3, height, width] in [0, 1]."""
        maps = self.entry(z)
        images: Tensor = self.image(LINEAR_GAIN * self.linear(maps) + self.deep(maps))
        return images


def _channels_at(stride: int, base: int) -> int:
    """Channels at a stride: base up to 2, then doubling to 8 times as many."""
    return base * min(8, max(1, stride // 2))


def _convolutions(in_channels: int, out_channels: int, count: int) -> ConvStack:
    parts = conv_norm_relu(in_channels, out_channels)
    for _ in range(count - 1):
        parts += conv_norm_relu(out_channels, out_channels)
    return ConvStack(*parts)


class UNet(nn.Module):
    """A U-Net that keeps its input's size: contracting stages, expanding ones, skips between.

    Args:
        in_channels: Of the map that enters.
        widths: Channels of each resolution, fine to coarse; the first leave the net.
        convolutions: Convolutions per resolution and direction.
    """

    def __init__(self, in_channels: int, widths: list[int], convolutions: int) -> None:
        super().__init__()
        self.contracting = nn.ModuleList()
        for channels in widths:
            self.contracting.append(_convolutions(in_channels, channels, convolutions))
            in_channels = channels
        self.expanding = nn.ModuleList(
            _convolutions(coarse + fine, fine, convolutions)
            for fine, coarse in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps [B, in_channels, h, w] to [B, widths[0], h, w]."""
        skips: list[Tensor] = []
        for stage in self.contracting:
            x = stage(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        for stage, skip in zip(self.expanding, skips[-2::-1], strict=True):
            # To the skip's size and not by 2: pooling drops an odd row or column.
            x = stage(torch.cat([skip, F.interpolate(x, size=skip.shape[2:])], dim=1))
        return x


def _unet(channels: int, stride: int, base: int, side: int, convolutions: int) -> list[nn.Module]:
    """A U-Net at the code's resolution, then as many convolutions at each up to stride 2."""
    levels = 1
    while levels < NUM_LEVELS and side // 2**levels >= MIN_CELLS:
        levels += 1
    widths = [_channels_at(stride * 2**level, base) for level in range(levels)]
    parts: list[nn.Module] = [UNet(channels, widths, convolutions)]
    while stride > 2:
        before, stride = _channels_at(stride, base), stride // 2
        after = _channels_at(stride, base)
        parts += [nn.Upsample(scale_factor=2), _convolutions(before, after, convolutions)]
    return parts


def _residual(channels: int, stride: int, base: int) -> list[nn.Module]:
    """Two residual blocks at each resolution up to stride 2, transposed convolutions between."""
    own = _channels_at(stride, base)
    parts: list[nn.Module] = [residual_block(channels, own), residual_block(own, own)]
    while stride > 2:
        before, stride = own, stride // 2
        own = _channels_at(stride, base)
        parts += [
            nn.ConvTranspose2d(before, own, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(own),
            nn.ReLU(inplace=True),
            residual_block(own, own),
            residual_block(own, own),
        ]
    return parts
