"""ResNet's blocks (He et al., 2016); they are torchvision's.

It is loaded when a net is built and no sooner: that takes seconds, which a driver that trains
nothing would only wait for.
"""

from typing import Literal

from torch import nn

Block = Literal["basic", "bottleneck"]
EXPANSION: dict[Block, int] = {"basic": 1, "bottleneck": 4}
"""How many times its planes the channels are that leave a block."""


def resnet_block(
    in_channels: int,
    planes: int,
    stride: int = 1,
    downsample: nn.Module | None = None,
    block: Block = "basic",
) -> nn.Module:
    """Builds one block: [B, in, H, W] to [B, planes · expansion, H / stride, W / stride].

    Args:
        in_channels: Channels that enter.
        planes: Channels within.
        stride: Of the first 3x3 convolution.
        downsample: What the shortcut goes through where shapes differ.
        block: Two 3x3 convolutions, or 1x1, 3x3, 1x1.
    """
    from torchvision.models.resnet import BasicBlock, Bottleneck

    built: nn.Module = {"basic": BasicBlock, "bottleneck": Bottleneck}[block](
        in_channels, planes, stride, downsample
    )
    return built
