"""Settings of the network that is split: which backbone, how wide, cut where."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from trainables.settings import Settings

Backbone = Literal["resnet18", "resnet50", "vgg16", "scene"]
CutPoint = Literal[
    "conv1", "conv2", "conv3", "conv4", "avgpool", "fc",
    "pool1", "pool2", "pool3", "pool4", "pool5",
    "code",
]  # fmt: skip

_RESNET: tuple[CutPoint, ...] = ("conv1", "conv2", "conv3", "conv4", "avgpool", "fc")
_VGG: tuple[CutPoint, ...] = ("pool1", "pool2", "pool3", "pool4", "pool5")

CUT_POINTS: Mapping[Backbone, tuple[CutPoint, ...]] = {
    "resnet18": _RESNET,
    "resnet50": _RESNET,
    "vgg16": _VGG,
    "scene": ("code",),
}
"""The cut points of each backbone, shallow to deep (Xiao, Table 3; DeepObfuscator, Table 1;
Pittaluga, section 3.1)."""

DEFAULT_CUTS: Mapping[Backbone, CutPoint] = {
    "resnet18": "fc",
    "resnet50": "fc",
    "vgg16": "pool2",
    "scene": "code",
}
"""Where each backbone is cut in its paper."""

STRIDES: Mapping[CutPoint, int] = {
    "conv1": 4, "conv2": 4, "conv3": 8, "conv4": 16, "avgpool": 32, "fc": 32,
    "pool1": 2, "pool2": 4, "pool3": 8, "pool4": 16, "pool5": 32,
    "code": 8,
}  # fmt: skip
"""Pixels of the image per cell of the deepest map up to each cut."""

Normalisation = Literal[
    "standard", "per_location", "batch", "per_location_bias", "none", "none_bias"
]


class EncoderStyle(Settings):
    """How an encoder is normalised, where a protector asks for it.

    Attributes:
        normalisation: After every convolution: `standard` as the backbone's paper has it (batch
            normalisation with scale and bias for ResNet and VGG, `per_location` for `scene`);
            `per_location` statistics over the batch for each position, no parameters; `batch`
            statistics over batch and positions, no parameters; `per_location_bias` with a learned
            bias; `none`; `none_bias` a learned bias per channel and nothing else. In all but
            `standard` no convolution has a bias of its own.
        constrained: Whether the code has zero mean and unit variance by a layer without parameters,
            followed by a tanh (Pittaluga, section 3.1). Always so for `scene`.
    """

    normalisation: Normalisation = "standard"
    constrained: bool = False


def _absolute(path: Path) -> Path:
    """Trials run in other folders than the command did: a relative path must not reach them."""
    return path.expanduser().absolute()


class ModelConfig(Settings):
    """The network and its cut.

    Attributes:
        backbone: `resnet18` or `resnet50` (Xiao), `vgg16` (DeepObfuscator), `scene` (Pittaluga).
        width: Multiplier of every channel count; 1 is the published network.
        cut_point: Layer after which the network is split; `Enc` is what comes before. Each backbone
            has its own; not given, the one of its paper.
        head_width: Width of the hidden layers of the fully connected layers that end `f`.
        code_width: Width of a ResNet's last fully connected layer, the code of the `fc` cut.
        perceptual: The network `g` of the perceptual terms: `public`, a small network trained to
            predict attributes on the public split, or `vgg16`, ImageNet weights in torchvision's
            layout read from `perceptual_weights` (Xiao's choice).
        perceptual_weights: State-dict file for `vgg16`; a relative path is made absolute from
            where the configuration is read.
    """

    backbone: Backbone = "resnet18"
    width: float = Field(default=1.0, gt=0, le=4)
    cut_point: CutPoint = "fc"
    head_width: int = Field(default=128, ge=1)
    code_width: int = Field(default=128, ge=1)
    perceptual: Literal["public", "vgg16"] = "public"
    perceptual_weights: Annotated[Path, AfterValidator(_absolute)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _own_cut(cls, values: Any) -> Any:
        if isinstance(values, dict) and "cut_point" not in values:
            backbone = values.get("backbone", "resnet18")
            for name, cut_point in DEFAULT_CUTS.items():
                if name == backbone:
                    return {**values, "cut_point": cut_point}
        return values

    @model_validator(mode="after")
    def _cut_exists(self) -> "ModelConfig":
        own = CUT_POINTS[self.backbone]
        if self.cut_point not in own:
            raise ValueError(
                f"cut_point: {self.backbone} can be cut at {', '.join(own)}, got {self.cut_point!r}"
            )
        return self

    @model_validator(mode="after")
    def _weights_given(self) -> "ModelConfig":
        if (self.perceptual == "vgg16") != (self.perceptual_weights is not None):
            raise ValueError(
                "perceptual_weights: a file is needed with perceptual='vgg16' and only there, "
                f"got perceptual={self.perceptual!r}, perceptual_weights={self.perceptual_weights}"
            )
        return self


def check_size_fits(backbone: Backbone, cut_point: CutPoint, height: int, width: int) -> None:
    """Raises ValueError unless both sides are multiples of the cut's stride and large enough."""
    stride = STRIDES[cut_point]
    if height % stride or width % stride:
        raise ValueError(
            f"cut_point {cut_point!r} needs sides that are multiples of {stride} pixels, "
            f"got {height}x{width}"
        )
    if backbone == "vgg16" and min(height, width) < STRIDES["pool5"]:
        raise ValueError(
            f"vgg16 halves an image five times: its sides must be {STRIDES['pool5']} pixels or "
            f"more, got {height}x{width}"
        )
