"""Settings of the network that is split: which backbone, how wide, cut where."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from trainables.settings import Settings

CutPoint = Literal["conv1", "conv2", "conv3", "conv4", "avgpool", "fc"]
CUT_POINTS: tuple[CutPoint, ...] = ("conv1", "conv2", "conv3", "conv4", "avgpool", "fc")
"""The cut points of a ResNet, shallow to deep (Xiao, Table 3)."""

STRIDES: dict[CutPoint, int] = {
    "conv1": 4, "conv2": 4, "conv3": 8, "conv4": 16, "avgpool": 32, "fc": 32,
}  # fmt: skip
"""Pixels of the image per cell of the deepest map up to each cut."""


def _absolute(path: Path) -> Path:
    """Trials run in other folders than the command did: a relative path must not reach them."""
    return path.expanduser().absolute()


class ModelConfig(Settings):
    """The network and its cut.

    Attributes:
        backbone: `resnet18` or `resnet50`.
        width: Multiplier of every channel count; 1 is the published network.
        cut_point: Layer after which the network is split; `Enc` is what comes before.
        head_width: Width of the hidden layer of the two fully connected layers that end `f`.
        code_width: Width of the backbone's last fully connected layer, the code of the `fc` cut.
        perceptual: The network `g` of the perceptual terms: `public`, a small network trained to
            predict attributes on the public split, or `vgg16`, ImageNet weights in torchvision's
            layout read from `perceptual_weights` (Xiao's choice).
        perceptual_weights: State-dict file for `vgg16`; a relative path is made absolute from
            where the configuration is read.
    """

    backbone: Literal["resnet18", "resnet50"] = "resnet18"
    width: float = Field(default=1.0, gt=0, le=4)
    cut_point: CutPoint = "fc"
    head_width: int = Field(default=128, ge=1)
    code_width: int = Field(default=128, ge=1)
    perceptual: Literal["public", "vgg16"] = "public"
    perceptual_weights: Annotated[Path, AfterValidator(_absolute)] | None = None

    @model_validator(mode="after")
    def _weights_given(self) -> "ModelConfig":
        if (self.perceptual == "vgg16") != (self.perceptual_weights is not None):
            raise ValueError(
                "perceptual_weights: a file is needed with perceptual='vgg16' and only there, "
                f"got perceptual={self.perceptual!r}, perceptual_weights={self.perceptual_weights}"
            )
        return self


def check_size_fits(cut_point: CutPoint, height: int, width: int) -> None:
    """Raises ValueError unless both sides are multiples of the cut's stride."""
    stride = STRIDES[cut_point]
    if height % stride or width % stride:
        raise ValueError(
            f"cut_point {cut_point!r} needs sides that are multiples of {stride} pixels, "
            f"got {height}x{width}"
        )
