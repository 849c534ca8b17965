"""Networks that can be cut: `Enc` up to the cut point, the rest of `f` after it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import nn

from trainables.nets.config import Backbone, EncoderStyle, ModelConfig
from trainables.nets.entry import moving_entry_norm
from trainables.nets.layers import CodeSpec, ConvStack, base_channels, head, initialise
from trainables.nets.normalisation import restyle
from trainables.nets.resnet import (
    resnet_classifier,
    resnet_code,
    resnet_encoder,
    stage_channels,
)
from trainables.nets.scene import scene_classifier, scene_code, scene_encoder
from trainables.nets.vgg import vgg_classifier, vgg_code, vgg_encoder

__all__ = [
    "CodeSpec",
    "ConvStack",
    "base_channels",
    "build_classifier",
    "build_encoder",
    "code_spec",
    "head",
    "initialise",
    "stage_channels",
]

STANDARD = EncoderStyle()


class _Family(NamedTuple):
    encoder: Callable[[ModelConfig], ConvStack]
    code: Callable[[ModelConfig, int, int], tuple[int, ...]]
    classifier: Callable[[ModelConfig, CodeSpec, int], ConvStack]


_RESNET = _Family(resnet_encoder, resnet_code, resnet_classifier)
_FAMILIES: Mapping[Backbone, _Family] = {
    "resnet18": _RESNET,
    "resnet50": _RESNET,
    "vgg16": _Family(vgg_encoder, vgg_code, vgg_classifier),
    "scene": _Family(scene_encoder, scene_code, scene_classifier),
}


def build_encoder(
    config: ModelConfig, height: int, width: int, style: EncoderStyle = STANDARD
) -> nn.Module:
    """Builds `Enc`: images [B, 3, height, width] in [0, 1] to z.

    Args:
        config: The network and its cut.
        height: Image height in pixels; per-location normalisation has statistics for each.
        width: Image width in pixels.
        style: How it is normalised.
    """
    encoder = _FAMILIES[config.backbone].encoder(config)
    initialise(encoder)
    restyle(encoder, own_style(config, style), height, width)
    return encoder.to(memory_format=torch.channels_last)


def own_style(config: ModelConfig, style: EncoderStyle) -> EncoderStyle:
    """Returns the style the backbone is built with: `scene` is Pittaluga's, and constrained."""
    if config.backbone != "scene":
        return style
    standard = style.normalisation == "standard"
    return EncoderStyle(
        normalisation="per_location" if standard else style.normalisation, constrained=True
    )


def code_spec(config: ModelConfig, height: int, width: int) -> CodeSpec:
    """Returns the shape of z for images of that size."""
    return CodeSpec(config.cut_point, _FAMILIES[config.backbone].code(config, height, width))


def build_classifier(config: ModelConfig, spec: CodeSpec, num_outputs: int) -> nn.Module:
    """Builds the rest of `f` behind a code: z to `num_outputs` logits.

    Behind a map the rest of the backbone and the fully connected layers of its paper; for vectors
    two fully connected layers (methods, section 1). Behind `input` the whole network, so that a
    classifier of images is the one that was cut. Behind `image`, a picture of three channels at an
    eighth of the image's size, one convolution and what follows stride 8 in the backbone.

    Raises:
        ValueError: If the backbone has no such cut point.
    """
    if len(spec.shape) == 1:
        return ConvStack(*head(spec.shape[0], config.head_width, num_outputs))
    classifier = _FAMILIES[config.backbone].classifier(config, spec, num_outputs)
    initialise(classifier)
    return classifier.to(memory_format=torch.channels_last)


def build_adversary(config: ModelConfig, spec: CodeSpec, num_outputs: int) -> nn.Module:
    """Builds an in-loop classifier of private attributes: the service's own, normalised at entry.

    It begins as the decoders do, with a normalisation without parameters: an encoder must not
    escape it by making some outputs huge or tiny, which no later attacker would mind.
    """
    return ConvStack(moving_entry_norm(spec.shape), build_classifier(config, spec, num_outputs))
