"""Parts that every backbone shares, and what a code looks like from outside."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainables.nets.config import ModelConfig

INPUT, IMAGE = "input", "image"
"""`CodeSpec.cut_point` of codes that are pictures: the image, and one at an eighth of its size."""


@dataclass(frozen=True)
class CodeSpec:
    """What a code `z` looks like to whoever attacks or uses it.

    Attributes:
        cut_point: One of the backbone's cut points, or `input` (z is the image), `image` (z is a
            picture of three channels at an eighth of the image's size) or `vector` (z is a plain
            vector: labels, a constant).
        shape: Shape of one z without the batch: (channels, height, width) or (features,).
    """

    cut_point: str
    shape: tuple[int, ...]

    @property
    def num_values(self) -> int:
        """Numbers in one z."""
        return int(torch.Size(self.shape).numel())


class ConvStack(nn.Sequential):
    """A sequence of modules; named so that a printed net reads well."""


class GlobalPool(nn.Module):
    """Mean over all positions: [B, C, H, W] to [B, C]."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns [B, C]."""
        return x.mean(dim=(2, 3))


def base_channels(config: ModelConfig) -> int:
    """Returns the first layer's channel count (64 at width 1), at least 4."""
    return max(4, round(64 * config.width))


def head(in_features: int, hidden: int, num_outputs: int) -> Sequence[nn.Module]:
    """Returns the two fully connected layers that end `f` (logits, no sigmoid)."""
    return [nn.Linear(in_features, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, num_outputs)]


def conv_norm_relu(in_channels: int, out_channels: int, kernel: int = 3) -> list[nn.Module]:
    """Returns a convolution that keeps the map's size, its batch normalisation and ReLU."""
    return [
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


def initialise(module: nn.Module) -> None:
    """Gives convolutions He's initialisation, as torchvision does."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def no_such_cut(spec: CodeSpec, config: ModelConfig, allowed: Sequence[str]) -> ValueError:
    """Returns the error for a code that the backbone's classifier cannot follow."""
    return ValueError(
        f"cut_point {spec.cut_point!r} has no {config.backbone} behind it; "
        f"one of {', '.join((*allowed, INPUT, IMAGE))}"
    )
