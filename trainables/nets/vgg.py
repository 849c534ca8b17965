"""VGG-16 that can be cut behind each of its pools (DeepObfuscator, Table 1).

Every convolution is followed by batch normalisation, as the paper's obfuscator has it
(section 3.1). Cut at `pool2` the parts are the paper's obfuscator and classifier.
"""

from torch import nn

from trainables.nets.config import CUT_POINTS, STRIDES, CutPoint, ModelConfig
from trainables.nets.layers import (
    IMAGE,
    INPUT,
    CodeSpec,
    ConvStack,
    base_channels,
    conv_norm_relu,
    no_such_cut,
)

VGG_CONVOLUTIONS: dict[CutPoint, int] = {
    "pool1": 2, "pool2": 2, "pool3": 3, "pool4": 3, "pool5": 3,
}  # fmt: skip
"""Convolutions before each pool."""

VGG_FACTORS: dict[CutPoint, int] = {
    "pool1": 1, "pool2": 2, "pool3": 4, "pool4": 8, "pool5": 8,
}  # fmt: skip
"""Channels before each pool, in units of the first stage's."""


def _stage(in_channels: int, out_channels: int, count: int) -> nn.Module:
    parts = conv_norm_relu(in_channels, out_channels)
    for _ in range(count - 1):
        parts += conv_norm_relu(out_channels, out_channels)
    return ConvStack(*parts, nn.MaxPool2d(2))


def _stages(config: ModelConfig, cuts: tuple[CutPoint, ...], in_channels: int) -> list[nn.Module]:
    stages = []
    for name in cuts:
        channels = base_channels(config) * VGG_FACTORS[name]
        stages.append(_stage(in_channels, channels, VGG_CONVOLUTIONS[name]))
        in_channels = channels
    return stages


def vgg_encoder(config: ModelConfig) -> ConvStack:
    """Returns the stages up to the cut."""
    cuts = CUT_POINTS[config.backbone]
    return ConvStack(*_stages(config, cuts[: cuts.index(config.cut_point) + 1], 3))


def vgg_code(config: ModelConfig, height: int, width: int) -> tuple[int, ...]:
    """Returns the shape of one z."""
    stride = STRIDES[config.cut_point]
    channels = base_channels(config) * VGG_FACTORS[config.cut_point]
    return (channels, height // stride, width // stride)


def vgg_classifier(config: ModelConfig, spec: CodeSpec, num_outputs: int) -> ConvStack:
    """Returns the stages behind the cut and three fully connected layers (Table 1)."""
    cuts, base = CUT_POINTS[config.backbone], base_channels(config)
    channels, height, width = spec.shape
    adapter: list[nn.Module] = []
    if spec.cut_point == INPUT:
        start = 0
    elif spec.cut_point == IMAGE:
        start = cuts.index("pool3") + 1
        adapter = conv_norm_relu(channels, base * VGG_FACTORS["pool3"])
        channels = base * VGG_FACTORS["pool3"]
    elif spec.cut_point in cuts:
        start = [str(name) for name in cuts].index(spec.cut_point) + 1
    else:
        raise no_such_cut(spec, config, cuts)
    rest = cuts[start:]
    # Each pool halves and drops an odd row or column.
    positions = (height >> len(rest)) * (width >> len(rest))
    features = base * VGG_FACTORS["pool5"] * positions
    hidden = config.head_width
    return ConvStack(
        *adapter,
        *_stages(config, rest, channels),
        nn.Flatten(),
        nn.Linear(features, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, num_outputs),
    )
