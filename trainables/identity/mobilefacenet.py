"""MobileFaceNet (Chen et al., arXiv 1804.07573), a small network for face verification.

The layout of the tensors is that of the widespread PyTorch port: `conv1`, `dw_conv1`,
`blocks.0…14`, `conv2`, `linear7`, `linear1`. Weights are the user's own; none come with the code.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from trainables.checkpoint import load_state
from trainables.identity.safetensors import read_safetensors

NUM_FEATURES = 128

_BLOCKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""Expansion, channels, repeats and first stride of the bottlenecks (table 1 of the paper)."""

_FILE_SUFFIX = ".safetensors"


class _ConvBlock(nn.Module):
    """A convolution with its batch normalisation, and PReLU where it is not linear."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        depthwise: bool = False,
        linear: bool = False,
    ) -> None:
        super().__init__()
        groups = in_channels if depthwise else 1
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False
        )
        self.bn: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(out_channels)
        if not linear:
            self.prelu = nn.PReLU(out_channels)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """Returns [B, out_channels, h, w]."""
        x = self.bn(self.conv(x))
        return x if self.linear else self.prelu(x)


class _Bottleneck(nn.Module):
    """An inverted residual; the input is added where its shape is the output's."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.adds = stride == 1 and in_channels == out_channels
        self.conv = nn.Sequential(
            nn.Conv2d(in_channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.PReLU(inner),
            nn.Conv2d(inner, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Returns [B, out_channels, h, w]."""
        out: Tensor = self.conv(x)
        return x + out if self.adds else out


class MobileFaceNet(nn.Module):
    """Images [B, 3, 112, 96], (x − 127.5)/128 of 0…255, to features [B, 128]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _ConvBlock(3, 64, 3, stride=2, padding=1)
        self.dw_conv1 = _ConvBlock(64, 64, 3, padding=1, depthwise=True)
        blocks, channels = [], 64
        for expansion, out_channels, repeats, first_stride in _BLOCKS:
            for index in range(repeats):
                stride = first_stride if index == 0 else 1
                blocks.append(_Bottleneck(channels, out_channels, stride, expansion))
                channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = _ConvBlock(channels, 512, 1)
        self.linear7 = _ConvBlock(512, 512, (7, 6), depthwise=True, linear=True)
        self.linear1 = _ConvBlock(512, NUM_FEATURES, 1, linear=True)

    def forward(self, images: Tensor) -> Tensor:
        """Returns features [B, 128], to be compared by cosine."""
        x = self.blocks(self.dw_conv1(self.conv1(images)))
        features: Tensor = self.linear1(self.linear7(self.conv2(x)))
        return features.flatten(1)


def fold(net: MobileFaceNet) -> MobileFaceNet:
    """Folds every batch normalisation into its convolution, in place; for evaluation alone."""
    net.eval()
    for module in net.modules():
        if isinstance(module, _ConvBlock) and isinstance(module.bn, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = nn.Identity()
        elif isinstance(module, _Bottleneck):
            for index, norm in enumerate(module.conv):
                before = module.conv[index - 1]
                if isinstance(norm, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
                    module.conv[index - 1] = fuse_conv_bn_eval(before, norm)
                    module.conv[index] = nn.Identity()
    return net


def load_mobilefacenet(weights: Path) -> MobileFaceNet:
    """Returns the network in evaluation mode with the weights of a file.

    Raises:
        ValueError: As `check_mobilefacenet`.
    """
    state = _checked(weights)
    net = MobileFaceNet()
    # Files come with the batch counters, which only training reads, or without.
    net.load_state_dict({**net.state_dict(), **state})
    return net.eval()


def check_mobilefacenet(weights: Path) -> None:
    """Refuses a file that does not hold this network, building none.

    Raises:
        ValueError: Naming the file and what is wrong with it.
    """
    _checked(weights)


def _checked(weights: Path) -> dict[str, Tensor]:
    state = _read(weights)
    with torch.device("meta"):
        wanted = MobileFaceNet().state_dict()
    for name, value in wanted.items():
        found = getattr(state.get(name), "shape", None)
        if found != value.shape and not name.endswith("num_batches_tracked"):
            raise ValueError(
                f"attack.identity_weights: {weights} is no MobileFaceNet: {name!r} must have "
                f"shape {list(value.shape)}, got {'nothing' if found is None else list(found)}"
            )
        if found is not None and not bool(state[name].isfinite().all()):
            raise ValueError(f"attack.identity_weights: {weights}: {name!r} is not all finite")
    return {name: state[name] for name in wanted if name in state}


def _read(weights: Path) -> Mapping[str, Tensor]:
    """Tensors of a safetensors file or of a state dict that torch saved."""
    if not weights.is_file():
        raise ValueError(f"attack.identity_weights: no file at {weights}")
    if weights.suffix == _FILE_SUFFIX:
        try:
            return read_safetensors(weights)
        except ValueError as error:
            raise ValueError(f"attack.identity_weights: {error}") from error
    try:
        return load_state(weights)
    except Exception as error:  # torch raises half a dozen kinds for files that are none of its own
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"attack.identity_weights: {weights} is readable neither as a state dict nor, by its "
            f"name, as {_FILE_SUFFIX}: {text}"
        ) from error
