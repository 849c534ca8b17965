"""ResNets that can be cut: `Enc` up to the cut point, the rest of `f` after it.

The blocks are torchvision's; only the stacking is ours, because torchvision fixes the channel
counts and these nets take a width multiplier. At width 1 the parts have torchvision's shapes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from trainables.nets.config import CUT_POINTS, STRIDES, CutPoint, ModelConfig

_LAYERS: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}


@dataclass(frozen=True)
class CodeSpec:
    """What a code `z` looks like to whoever attacks or uses it.

    Attributes:
        cut_point: One of the backbone's cut points, or `input` (z is the image) or `vector`
            (z is a plain vector: labels, a constant).
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


def base_channels(config: ModelConfig) -> int:
    """Returns the stem's channel count (64 at width 1), at least 4."""
    return max(4, round(64 * config.width))


def _stem(out_channels: int) -> nn.Module:
    return ConvStack(
        nn.Conv2d(3, out_channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def _layer(
    block: type[BasicBlock] | type[Bottleneck],
    in_channels: int,
    planes: int,
    count: int,
    stride: int,
) -> nn.Module:
    out_channels = planes * block.expansion
    downsample = None
    if stride != 1 or in_channels != out_channels:
        downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
    blocks = [block(in_channels, planes, stride, downsample)]
    blocks += [block(out_channels, planes) for _ in range(count - 1)]
    return ConvStack(*blocks)


class GlobalPool(nn.Module):
    """Mean over all positions: [B, C, H, W] to [B, C]."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns [B, C]."""
        return x.mean(dim=(2, 3))


def stage_channels(config: ModelConfig) -> dict[CutPoint, int]:
    """Returns the channels (or features) that leave each cut point."""
    base = base_channels(config)
    expansion = _LAYERS[config.backbone][0].expansion
    return {
        "conv1": base,
        "conv2": base * expansion,
        "conv3": base * 2 * expansion,
        "conv4": base * 4 * expansion,
        "avgpool": base * 8 * expansion,
        "fc": config.code_width,
    }


def backbone_stages(config: ModelConfig) -> dict[CutPoint, nn.Module]:
    """Builds the whole backbone as one module per cut point, shallow to deep."""
    block, counts = _LAYERS[config.backbone]
    base, out = base_channels(config), stage_channels(config)
    return {
        "conv1": _stem(base),
        "conv2": _layer(block, base, base, counts[0], 1),
        "conv3": _layer(block, out["conv2"], base * 2, counts[1], 2),
        "conv4": _layer(block, out["conv3"], base * 4, counts[2], 2),
        "avgpool": ConvStack(_layer(block, out["conv4"], base * 8, counts[3], 2), GlobalPool()),
        "fc": nn.Linear(out["avgpool"], config.code_width),
    }


def initialise(module: nn.Module) -> None:
    """Gives convolutions He's initialisation, as torchvision does."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def build_encoder(config: ModelConfig) -> nn.Module:
    """Builds `Enc`: images [B, 3, H, W] in [0, 1] to z."""
    stages = backbone_stages(config)
    last = CUT_POINTS.index(config.cut_point)
    encoder = ConvStack(*(stages[name] for name in CUT_POINTS[: last + 1]))
    initialise(encoder)
    return encoder.to(memory_format=torch.channels_last)


def code_spec(config: ModelConfig, height: int, width: int) -> CodeSpec:
    """Returns the shape of z for images of that size."""
    channels = stage_channels(config)[config.cut_point]
    if config.cut_point in ("avgpool", "fc"):
        return CodeSpec(config.cut_point, (channels,))
    stride = STRIDES[config.cut_point]
    return CodeSpec(config.cut_point, (channels, height // stride, width // stride))


def head(in_features: int, hidden: int, num_outputs: int) -> Sequence[nn.Module]:
    """Returns the two fully connected layers that end `f` (logits, no sigmoid)."""
    return [nn.Linear(in_features, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, num_outputs)]


def build_classifier(config: ModelConfig, spec: CodeSpec, num_outputs: int) -> nn.Module:
    """Builds the rest of `f` behind a code: z to `num_outputs` logits.

    At `conv1` to `conv4` the rest of the backbone, its fully connected layer and two more; at
    `avgpool`, `fc` and for plain vectors two fully connected layers (methods, section 1). Behind
    `input` the whole network, so that a classifier of images is the one that was cut.
    """
    if len(spec.shape) == 1:
        return ConvStack(*head(spec.shape[0], config.head_width, num_outputs))
    stages = backbone_stages(config)
    start = 0 if spec.cut_point == "input" else CUT_POINTS.index(_cut(spec)) + 1
    rest = [stages[name] for name in CUT_POINTS[start:]]
    classifier = ConvStack(
        *rest, nn.ReLU(inplace=True), *head(config.code_width, config.head_width, num_outputs)
    )
    initialise(classifier)
    return classifier.to(memory_format=torch.channels_last)


def _cut(spec: CodeSpec) -> CutPoint:
    for name in CUT_POINTS:
        if name == spec.cut_point:
            return name
    raise ValueError(f"cut_point {spec.cut_point!r} has no backbone behind it; one of {CUT_POINTS}")
