"""ResNets that can be cut (Xiao, Table 3).

The blocks are torchvision's; only the stacking is ours, because torchvision fixes the channel
counts and these nets take a width multiplier. At width 1 the parts have torchvision's shapes.
"""

from torch import nn

from trainables.nets.blocks import EXPANSION, Block, resnet_block
from trainables.nets.config import CUT_POINTS, STRIDES, CutPoint, ModelConfig
from trainables.nets.layers import (
    IMAGE,
    INPUT,
    CodeSpec,
    ConvStack,
    GlobalPool,
    base_channels,
    conv_norm_relu,
    head,
    no_such_cut,
)

_LAYERS: dict[str, tuple[Block, tuple[int, ...]]] = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
}


def _stem(out_channels: int) -> nn.Module:
    return ConvStack(
        nn.Conv2d(3, out_channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def _layer(
    block: Block,
    in_channels: int,
    planes: int,
    count: int,
    stride: int,
) -> nn.Module:
    out_channels = planes * EXPANSION[block]
    downsample = None
    if stride != 1 or in_channels != out_channels:
        downsample = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
    blocks = [resnet_block(in_channels, planes, stride, downsample, block)]
    blocks += [resnet_block(out_channels, planes, block=block) for _ in range(count - 1)]
    return ConvStack(*blocks)


def stage_channels(config: ModelConfig) -> dict[CutPoint, int]:
    """Returns the channels (or features) that leave each cut point."""
    base = base_channels(config)
    expansion = EXPANSION[_LAYERS[config.backbone][0]]
    return {
        "conv1": base,
        "conv2": base * expansion,
        "conv3": base * 2 * expansion,
        "conv4": base * 4 * expansion,
        "avgpool": base * 8 * expansion,
        "fc": config.code_width,
    }


def _stages(config: ModelConfig) -> dict[CutPoint, nn.Module]:
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


def resnet_encoder(config: ModelConfig) -> ConvStack:
    """Returns the stages up to the cut."""
    cuts, stages = CUT_POINTS[config.backbone], _stages(config)
    return ConvStack(*(stages[name] for name in cuts[: cuts.index(config.cut_point) + 1]))


def resnet_code(config: ModelConfig, height: int, width: int) -> tuple[int, ...]:
    """Returns the shape of one z."""
    channels = stage_channels(config)[config.cut_point]
    if config.cut_point in ("avgpool", "fc"):
        return (channels,)
    stride = STRIDES[config.cut_point]
    return (channels, height // stride, width // stride)


def resnet_classifier(config: ModelConfig, spec: CodeSpec, num_outputs: int) -> ConvStack:
    """Returns the stages behind the cut and two fully connected layers."""
    cuts, stages = CUT_POINTS[config.backbone], _stages(config)
    adapter: list[nn.Module] = []
    if spec.cut_point == INPUT:
        start = 0
    elif spec.cut_point == IMAGE:
        start = cuts.index("conv3") + 1
        adapter = conv_norm_relu(spec.shape[0], stage_channels(config)["conv3"])
    elif spec.cut_point in cuts:
        start = [str(name) for name in cuts].index(spec.cut_point) + 1
    else:
        raise no_such_cut(spec, config, cuts)
    rest = [stages[name] for name in cuts[start:]]
    last = head(config.code_width, config.head_width, num_outputs)
    return ConvStack(*adapter, *rest, nn.ReLU(inplace=True), *last)
