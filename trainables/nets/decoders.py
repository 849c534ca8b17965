"""Decoders that mirror an encoder, and the discriminator of the adversarial term.

The decoder of a cut undoes the encoder's stages in reverse order. Behind a ResNet: a residual block
at each resolution of its layers with up-sampling between them, sub-pixel convolutions for the stem
and a sigmoid at the end (Xiao, Figure 6); the same for codes that are pictures. Behind a VGG: each
pool up-sampled and each convolution mirrored (DeepObfuscator, Table 1).

A decoder starts with a normalisation without affine parameters, so that codes of any scale are the
same to it: an encoder must not win by making its outputs huge or tiny.
"""

import math

import torch
from torch import Tensor, nn

from trainables.nets.blocks import resnet_block
from trainables.nets.config import CUT_POINTS
from trainables.nets.entry import moving_entry_norm
from trainables.nets.layers import CodeSpec, ConvStack, conv_norm_relu, initialise
from trainables.nets.vgg import VGG_CONVOLUTIONS, VGG_FACTORS

MIN_DECODER_CHANNELS = 16
"""Narrower decoders reconstruct poorly from any encoder: they would look like privacy."""


def starting_stride(height: int, width: int) -> int:
    """Returns the stride at which a vector code is spread over a map.

    That of the backbone's last map, but never a map smaller than 4x4 cells: normalised over a
    single cell, whatever is the same for all images is lost, the mean image with it.
    """
    stride = math.gcd(math.gcd(height, width), 32)
    while stride > 1 and min(height, width) // stride < 4:
        stride //= 2
    return stride


def _channels_at(stride: int, base: int) -> int:
    """Returns the mirrored ResNet's channels at a stride: base up to 4, then doubling."""
    return base * max(1, stride // 4)


class FromVector(nn.Module):
    """Spreads a vector code over the smallest map: [B, F] to [B, C, h, w]."""

    def __init__(self, features: int, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.shape = (channels, height, width)
        self.linear = nn.Linear(features, channels * height * width)

    def forward(self, z: Tensor) -> Tensor:
        """Returns [B, C, h, w]."""
        maps: Tensor = self.linear(z).unflatten(1, self.shape)
        return maps


class Template(nn.Module):
    """Adds a learned image to the logits: what is the same for everybody needs no code.

    Convolutions alone know a position only by its distance to the border. Without this a decoder
    of a code that tells little could not even draw the mean image, and the encoder would look
    more private than one that sends nothing.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.image = nn.Parameter(torch.zeros(1, 3, height, width))

    def forward(self, logits: Tensor) -> Tensor:
        """Returns [B, 3, height, width]."""
        return logits + self.image


def residual_block(in_channels: int, out_channels: int) -> nn.Module:
    """Returns a ResNet's block at one resolution: [B, in, H, W] to [B, out, H, W]."""
    skip = None
    if in_channels != out_channels:
        skip = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        )
    return resnet_block(in_channels, out_channels, downsample=skip)


def build_decoder(
    spec: CodeSpec, height: int, width: int, base: int, narrowest: int = MIN_DECODER_CHANNELS
) -> nn.Module:
    """Builds `Dec`: z to an image [B, 3, height, width] in [0, 1].

    Args:
        spec: The code's cut point and shape.
        height: Image height in pixels, a multiple of the code's stride.
        width: Image width in pixels.
        base: Channels at the finest resolutions.
        narrowest: The least of them.
    """
    base = max(base, narrowest)
    of_vgg = spec.cut_point in CUT_POINTS["vgg16"]
    parts = _mirrored_vgg(spec, base) if of_vgg else _residual(spec, height, width, base)
    decoder = ConvStack(*parts, Template(height, width), nn.Sigmoid())
    initialise(decoder)
    return decoder.to(memory_format=torch.channels_last)


def _residual(spec: CodeSpec, height: int, width: int, base: int) -> list[nn.Module]:
    """The ResNet's mirror: z to the image's logits, from any stride."""
    parts: list[nn.Module]
    if len(spec.shape) == 1:
        stride = starting_stride(height, width)
        channels = _channels_at(stride, base)
        parts = [
            moving_entry_norm(spec.shape),
            FromVector(spec.shape[0], channels, height // stride, width // stride),
        ]
    else:
        stride, channels = height // spec.shape[1], spec.shape[0]
        parts = [moving_entry_norm(spec.shape)]
    if stride >= 4:
        parts.append(residual_block(channels, _channels_at(stride, base)))
    else:
        # Behind `input` there is no ResNet layer to mirror: a wider view of the neighbours will do.
        parts += [nn.Conv2d(channels, base, 3, padding=1), nn.ReLU(inplace=True)]
    while stride > 4:
        channels, stride = _channels_at(stride, base), stride // 2
        parts += [nn.Upsample(scale_factor=2), residual_block(channels, _channels_at(stride, base))]
    while stride > 2:
        parts += _sub_pixel(base, base)
        stride //= 2
    # The last doubling, if any, lands on the three colours.
    return [*parts, nn.Conv2d(base, 3 * stride**2, 3, padding=1), nn.PixelShuffle(stride)]


def _mirrored_vgg(spec: CodeSpec, base: int) -> list[nn.Module]:
    """The VGG's mirror: z to the image's logits, its stages up to the cut in reverse.

    The transposed convolutions of the paper have stride 1: they are convolutions.
    """
    cuts = CUT_POINTS["vgg16"]
    depth = [str(name) for name in cuts].index(spec.cut_point)
    parts: list[nn.Module] = [moving_entry_norm(spec.shape)]
    channels = spec.shape[0]
    for name in reversed(cuts[: depth + 1]):
        parts.append(nn.Upsample(scale_factor=2))
        own = base * VGG_FACTORS[name]
        for _ in range(VGG_CONVOLUTIONS[name] - 1):
            parts += conv_norm_relu(channels, own)
            channels = own
        if name == cuts[0]:
            parts.append(nn.Conv2d(channels, 3, 3, padding=1))
        else:
            # The stage's first convolution, backwards, ends at the width of the stage before.
            before = base * VGG_FACTORS[cuts[cuts.index(name) - 1]]
            parts += conv_norm_relu(channels, before)
            channels = before
    return parts


def _sub_pixel(in_channels: int, out_channels: int) -> list[nn.Module]:
    """Doubles the resolution by a convolution at the coarse one and a reshuffle.

    The stem of a ResNet has no residual block at the two finest resolutions, so its mirror has
    none either. Measured against residual blocks after nearest-neighbour up-sampling there, at
    equal steps this reconstructs better and a step takes a third of the time.
    """
    return [
        nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(4 * out_channels),
        nn.PixelShuffle(2),
        nn.ReLU(inplace=True),
    ]


def build_discriminator(base: int) -> nn.Module:
    """Builds `D`: images to one logit each; real is 1 (Xiao, eq. 3)."""
    base = max(base, MIN_DECODER_CHANNELS)
    parts: list[nn.Module] = []
    channels = 3
    for factor in (1, 2, 4, 8):
        parts += [
            nn.Conv2d(channels, base * factor, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        channels = base * factor
    return ConvStack(*parts, _MeanLogit(channels)).to(memory_format=torch.channels_last)


class _MeanLogit(nn.Module):
    """One logit per image from its mean feature."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Returns logits [B]."""
        logits: Tensor = self.linear(torch.mean(x, dim=(2, 3))).squeeze(1)
        return logits
