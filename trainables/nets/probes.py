"""Classifiers of a code that are not the service's own: what an attacker may bring along.

All begin with `entry_norm`: an encoder must not look private because its outputs are tiny, huge,
saturated or constant in most channels.
"""

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from trainables.nets.backbones import build_classifier
from trainables.nets.config import ModelConfig
from trainables.nets.entry import entry_norm
from trainables.nets.layers import CodeSpec, ConvStack, base_channels, initialise

Architecture = Literal["same", "other", "linear", "mlp"]

MIN_PROBE_CHANNELS = 32
"""Narrower probes would be weaker than the service's own classifier at full width."""
PROBE_FEATURES = 256
"""Width of a residual MLP, and the most of an MLP."""
MAX_MLP_WEIGHTS = 1 << 22
"""Weights of an MLP's first layer; above this its hidden layers become narrower."""
MIN_MLP_FEATURES = 16
DROPOUT = 0.3
_GROUPS = 8
_SMALL_SIDE = 8
"""A map with a side below this many cells is not halved any more."""


def build_probe(
    architecture: Architecture, model: ModelConfig, spec: CodeSpec, num_outputs: int
) -> nn.Module:
    """Builds a classifier of codes: z to `num_outputs` logits.

    Args:
        architecture: `same` as the service's own behind the cut; `other`, a wide residual net of
            another make, for maps and for vectors; `linear`, one layer on all values of a code;
            `mlp`, two hidden layers on them.
        model: The network that was cut.
        spec: Shape of the codes.
        num_outputs: Number of attributes.

    Raises:
        ValueError: If there is no such architecture.
    """
    if architecture == "same":
        classifier = build_classifier(model, spec, num_outputs)
        return ConvStack(entry_norm(spec.shape), classifier)
    if architecture == "linear":
        return ConvStack(*_flat_entry(spec), _linear(spec.num_values, num_outputs))
    if architecture == "mlp":
        return ConvStack(*_flat_entry(spec), *_mlp(spec.num_values, num_outputs))
    if architecture != "other":
        known = ", ".join(get_args(Architecture))
        raise ValueError(f"architecture: unknown {architecture!r}. Known: {known}")
    if len(spec.shape) == 1:
        return ConvStack(entry_norm(spec.shape), *_residual_mlp(spec.shape[0], num_outputs))
    probe = ConvStack(entry_norm(spec.shape), *_wide_residual(model, spec, num_outputs))
    initialise(probe)
    return probe.to(memory_format=torch.channels_last)


def _flat_entry(spec: CodeSpec) -> list[nn.Module]:
    """Every value of a code by itself, normalised: a map's cells may differ in size too."""
    return [nn.Flatten(), entry_norm((spec.num_values,))]


def _linear(num_values: int, num_outputs: int) -> nn.Module:
    linear = nn.Linear(num_values, num_outputs)
    nn.init.zeros_(linear.weight)
    return linear


def _mlp(num_values: int, num_outputs: int) -> list[nn.Module]:
    """Two hidden layers with batch normalisation and dropout."""
    hidden = max(MIN_MLP_FEATURES, min(PROBE_FEATURES, MAX_MLP_WEIGHTS // num_values))
    parts: list[nn.Module] = []
    for features in (num_values, hidden):
        parts += [
            nn.Linear(features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(DROPOUT),
        ]
    return [*parts, nn.Linear(hidden, num_outputs)]


class _Residual(nn.Module):
    """Adds what a branch makes of x to x, or to its shortcut where the shapes differ."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Returns shortcut plus branch."""
        total: Tensor = self.shortcut(x) + self.branch(x)
        return total


def _residual_mlp(num_features: int, num_outputs: int) -> list[nn.Module]:
    """Four residual layers, each normalised over the features of one code at its entry."""
    blocks = [
        _Residual(
            ConvStack(
                nn.LayerNorm(PROBE_FEATURES),
                nn.Linear(PROBE_FEATURES, PROBE_FEATURES),
                nn.GELU(),
                nn.Linear(PROBE_FEATURES, PROBE_FEATURES),
            )
        )
        for _ in range(4)
    ]
    last = [nn.LayerNorm(PROBE_FEATURES), nn.Linear(PROBE_FEATURES, num_outputs)]
    return [nn.Linear(num_features, PROBE_FEATURES), nn.GELU(), *blocks, *last]


def _wide_block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """A residual block normalised and activated before its convolutions."""
    branch = ConvStack(
        nn.GroupNorm(_GROUPS, in_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(_GROUPS, out_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
    )
    shortcut = ConvStack(
        nn.AvgPool2d(stride, ceil_mode=True), nn.Conv2d(in_channels, out_channels, 1, bias=False)
    )
    return _Residual(branch, shortcut)


class _MaxAndMean(nn.Module):
    """The largest value and the mean of each channel: [B, C, H, W] to [B, 2 C]."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns [B, 2 C]."""
        return torch.cat([x.amax(dim=(2, 3)), x.mean(dim=(2, 3))], dim=1)


def _wide_residual(model: ModelConfig, spec: CodeSpec, num_outputs: int) -> list[nn.Module]:
    """Residual blocks over a map, halved until it is small; its maxima and means to logits."""
    channels, height, width = spec.shape
    wide, side = max(MIN_PROBE_CHANNELS, base_channels(model)), min(height, width)
    parts: list[nn.Module] = []
    if side >= 4 * _SMALL_SIDE:
        # A picture: its neighbouring pixels are alike, and full size is dear.
        parts.append(nn.Conv2d(channels, wide, 5, stride=2, padding=2))
        side = math.ceil(side / 2)
    else:
        parts.append(nn.Conv2d(channels, wide, 3, padding=1))
    channels = wide
    for factor in (1, 2, 4):
        stride = 2 if side >= _SMALL_SIDE else 1
        parts.append(_wide_block(channels, factor * wide, stride))
        channels, side = factor * wide, math.ceil(side / stride)
    last = [nn.GroupNorm(_GROUPS, channels), nn.ReLU(inplace=True), _MaxAndMean()]
    return [*parts, *last, nn.Dropout(DROPOUT), nn.Linear(2 * channels, num_outputs)]
