"""The scene network: an image in, a small picture out, classifiers of that picture (Pittaluga).

The paper's text gives the code (three channels at an eighth of the image's size, behind a tanh,
section 3.1), convolutions without biases, each normalised (section 3.2), and the encoder's
receptive field, 112x112 pixels (section 4.3). The table of layers is only in its Figure 2; the
layers here meet what the text says.
"""

from torch import nn

from trainables.nets.config import CUT_POINTS, STRIDES, ModelConfig
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

CODE_CHANNELS = 3
_LAST_KERNEL = 5
_ENCODER = ((5, 1, True), (5, 2, False), (3, 2, True), (5, 4, False), (3, 4, True), (5, 4, False))
"""Kernel, channels in units of the first layer's, and whether a pool follows, of each convolution
but the last."""
_MIN_POOLED_SIDE = 4
_MAX_FACTOR = 4


def _features(config: ModelConfig) -> list[nn.Module]:
    """Images to maps of 4 times the base channels at an eighth of the size."""
    parts: list[nn.Module] = []
    channels = 3
    for kernel, factor, pooled in _ENCODER:
        parts += conv_norm_relu(channels, factor * base_channels(config), kernel)
        parts += [nn.MaxPool2d(2)] if pooled else []
        channels = factor * base_channels(config)
    return parts


def scene_encoder(config: ModelConfig) -> ConvStack:
    """Returns the encoder before its style is set: batch normalisation within, none at the end."""
    last = nn.Conv2d(
        _ENCODER[-1][1] * base_channels(config),
        CODE_CHANNELS,
        _LAST_KERNEL,
        padding=_LAST_KERNEL // 2,
        bias=False,
    )
    return ConvStack(*_features(config), last)


def scene_code(config: ModelConfig, height: int, width: int) -> tuple[int, ...]:
    """Returns the shape of one z."""
    stride = STRIDES[config.cut_point]
    return (CODE_CHANNELS, height // stride, width // stride)


def scene_classifier(config: ModelConfig, spec: CodeSpec, num_outputs: int) -> ConvStack:
    """Returns a small VGG over the code, its mean over positions, two fully connected layers.

    Batch normalisation throughout: it is the encoder that must not collapse, whereas the classifier
    should learn as well as it can. Behind `input` the encoder's layers come first, without their
    last, the bottleneck of three channels; from there on no layer is narrower than they are.
    """
    _, height, width = spec.shape
    base = base_channels(config)
    if spec.cut_point == INPUT:
        stride, factor = STRIDES["code"], _ENCODER[-1][1]
        parts = _features(config)
        channels, side = factor * base, min(height, width) // stride
    elif spec.cut_point in (*CUT_POINTS[config.backbone], IMAGE):
        factor, parts = 1, []
        channels, side = spec.shape[0], min(height, width)
    else:
        raise no_such_cut(spec, config, CUT_POINTS[config.backbone])
    while True:
        parts += conv_norm_relu(channels, factor * base)
        parts += conv_norm_relu(factor * base, factor * base)
        channels = factor * base
        if side < _MIN_POOLED_SIDE:
            break
        parts.append(nn.MaxPool2d(2))
        side, factor = side // 2, min(2 * factor, _MAX_FACTOR)
    return ConvStack(*parts, GlobalPool(), *head(channels, config.head_width, num_outputs))
