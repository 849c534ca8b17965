"""The nets of the generative attack: a variational autoencoder of public images and its mapper.

The latent is a map at an eighth of the image's size: deep enough to stand for parts of a face, wide
enough for a shallow code's detail. Images of any size fit; the latent's grid is rounded up.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.nets.blocks import resnet_block
from trainables.nets.decoders import FromVector, Template
from trainables.nets.layers import CodeSpec, ConvStack, conv_norm_relu, initialise

LATENT_STRIDE = 8
"""Pixels of the image per cell of the latent."""
_LOG_VARIANCE_LIMIT = 8.0


class Latent(NamedTuple):
    """A Gaussian over latents.

    Attributes:
        mean: [B, C, h, w].
        log_variance: Likewise.
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator) -> Tensor:
        """One draw, [B, C, h, w], through which gradients pass."""
        mean = self.mean
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return mean + noise * (0.5 * self.log_variance).exp()

    def divergence(self) -> Tensor:
        """Kullback-Leibler divergence from the standard normal in nats, [B]."""
        terms = self.mean.square() + self.log_variance.exp() - 1 - self.log_variance
        return terms.flatten(1).sum(dim=1) / 2


def latent_shape(channels: int, height: int, width: int) -> tuple[int, int, int]:
    """Returns the shape of one latent for images of that size."""
    return channels, math.ceil(height / LATENT_STRIDE), math.ceil(width / LATENT_STRIDE)


def _down(in_channels: int, out_channels: int) -> list[nn.Module]:
    """Halves the resolution."""
    return [
        nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def _up(in_channels: int, out_channels: int) -> list[nn.Module]:
    """Doubles the resolution by a convolution at the coarse one and a reshuffle."""
    return [
        nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(4 * out_channels),
        nn.PixelShuffle(2),
        nn.ReLU(inplace=True),
    ]


class Inference(nn.Module):
    """The autoencoder's first half: images [B, 3, H, W] to a Gaussian over latents."""

    def __init__(self, channels: int, height: int, width: int, base: int) -> None:
        super().__init__()
        _, rows, columns = latent_shape(channels, height, width)
        self.padding = (0, columns * LATENT_STRIDE - width, 0, rows * LATENT_STRIDE - height)
        self.body = ConvStack(
            # Four pixels each of three colours in one cell: no detail is lost, and it is cheap.
            nn.PixelUnshuffle(2),
            *conv_norm_relu(12, base),
            *_down(base, 2 * base),
            *_down(2 * base, 4 * base),
            nn.Conv2d(4 * base, 2 * channels, 3, padding=1),
        )
        initialise(self)

    def forward(self, images: Tensor) -> Latent:
        """Returns mean and log-variance."""
        mean, log_variance = self.body(F.pad(images, self.padding, mode="replicate")).chunk(2, 1)
        return Latent(mean, log_variance.clamp(-_LOG_VARIANCE_LIMIT, _LOG_VARIANCE_LIMIT))


class Generator(nn.Module):
    """The autoencoder's second half: latents to images [B, 3, H, W] in [0, 1]."""

    def __init__(self, channels: int, height: int, width: int, base: int) -> None:
        super().__init__()
        self.size = (height, width)
        self.body = ConvStack(
            *conv_norm_relu(channels, 4 * base),
            resnet_block(4 * base, 4 * base),
            *_up(4 * base, 2 * base),
            *_up(2 * base, base),
            nn.Conv2d(base, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )
        self.template = Template(height, width)
        initialise(self)

    def forward(self, latents: Tensor) -> Tensor:
        """Returns images; what the rounded-up grid has too much is cut off."""
        height, width = self.size
        return torch.sigmoid(self.template(self.body(latents)[..., :height, :width]))


class Blend(nn.Module):
    """Corrects one picture by another of the same: it starts by handing on the first as it is."""

    def __init__(self, base: int) -> None:
        super().__init__()
        last = nn.Conv2d(base, 12, 3, padding=1, bias=False)
        # At half the size: at full size this alone took as long as all other nets together.
        self.body = ConvStack(
            nn.Conv2d(6, base, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(base, base, 3, padding=1),
            nn.ReLU(inplace=True),
            last,
            nn.PixelShuffle(2),
        )
        initialise(self)
        nn.init.zeros_(last.weight)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns [B, 3, H, W], not confined to [0, 1], from two pictures of that shape."""
        correction: Tensor = self.body(torch.cat([first, second], dim=1))
        return first + correction[..., : first.shape[2], : first.shape[3]]


class _ToGrid(nn.Module):
    """Makes a map of nearly the right size fit the latent's grid."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.size = (rows, columns)

    def forward(self, maps: Tensor) -> Tensor:
        """Returns [B, C, rows, columns]."""
        if maps.shape[2:] == self.size:
            return maps
        return F.interpolate(maps, self.size, mode="bilinear", align_corners=False)


def build_mapper(spec: CodeSpec, shape: tuple[int, int, int], base: int) -> nn.Module:
    """Builds `h`: codes to latents [B, *shape].

    Maps finer than the latent's grid are halved by convolutions until they fit, coarser ones
    doubled; a vector is spread over the grid. It begins as decoders do, with a normalisation
    without parameters.
    """
    channels, rows, columns = shape
    wide = 4 * base
    if len(spec.shape) == 1:
        parts: list[nn.Module] = [
            nn.BatchNorm1d(spec.shape[0], affine=False),
            FromVector(spec.shape[0], wide, rows, columns),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
        ]
    else:
        own, height = spec.shape[:2]
        parts = [nn.BatchNorm2d(own, affine=False)]
        # The first convolution sees the code as it is, at half the width where it is finest.
        current = wide if height <= 2 * rows else 2 * base
        parts += conv_norm_relu(own, current)
        while height > rows:
            parts += _down(current, wide)
            current, height = wide, math.ceil(height / 2)
        while 2 * height <= rows:
            parts += _up(current, wide)
            current, height = wide, 2 * height
        parts.append(_ToGrid(rows, columns))
    parts += [resnet_block(wide, wide), nn.Conv2d(wide, channels, 1)]
    mapper = ConvStack(*parts)
    initialise(mapper)
    return mapper.to(memory_format=torch.channels_last)
