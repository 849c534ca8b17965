"""The identity model Φ as everybody sees it: stored images in, features to be compared out."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainables.data.celeba import FACE
from trainables.data.config import DataConfig
from trainables.data.decode import Crop
from trainables.identity.config import IdentityConfig
from trainables.seeding import config_hash

CPU_CHUNK, CUDA_CHUNK = 16, 256
"""Images at a time. On a processor small chunks stay in its cache: four times as fast as 64."""

FACE_MODEL = Crop(centre_x=0.5, centre_y=0.52, side=0.65)
"""What a face model sees of an aligned CelebA image."""

_CELEBA_HEIGHT, _CELEBA_WIDTH = 218, 178
"""Pixels of CelebA's aligned images; at other sizes they have the same aspect."""

Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class View:
    """How stored images become the model's input.

    Attributes:
        box: Left, top, right and bottom of what is cut out, in shares of the stored image.
        size: Height and width in pixels that it is resized to; None to leave it as it is.
        low: What black becomes.
        high: What white becomes.
    """

    box: Box = WHOLE
    size: tuple[int, int] | None = None
    low: float = 0.0
    high: float = 1.0

    def __call__(self, images: Tensor) -> Tensor:
        """Cuts, resizes (bicubic, anti-aliased) and scales images [B, 3, H, W] in [0, 1].

        What is cut away is rounded to whole pixels on each side alike, so that a mirrored image
        gives the mirrored view.
        """
        height, width = images.shape[2:]
        left, top, right, bottom = self.box
        rows = slice(round(top * height), height - round((1 - bottom) * height))
        columns = slice(round(left * width), width - round((1 - right) * width))
        x = images[:, :, rows, columns]
        if self.size is not None and tuple(x.shape[2:]) != self.size:
            # Sharper than bilinear where small images are enlarged, and worth 0.015 in AUC at 32
            # pixels; its overshoots are no colours.
            x = F.interpolate(x, size=self.size, mode="bicubic", antialias=True).clamp(0, 1)
        return self.low + (self.high - self.low) * x


def make_view(config: IdentityConfig, data: DataConfig) -> View:
    """Returns how the images of a data set are fed to a face model that reads files."""
    if config.identity_crop is not None:
        down, across = config.identity_crop
        box = _centred(across, down)
    elif data.source == "celeba":
        box = _celeba_box(config.identity_size, data.height, data.width)
    else:
        height, width = config.identity_size
        # Width over height of the input, as a share of the stored image's own.
        aspect = (width / height) * (data.height / data.width)
        box = _centred(min(1.0, aspect), min(1.0, 1 / aspect))
    low, high = config.identity_range
    return View(box, config.identity_size, low, high)


def _centred(across: float, down: float) -> Box:
    return (1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2


def _celeba_box(size: tuple[int, int], height: int, width: int) -> Box:
    """Where the face model's crop lies in an image that was cut out of the original by `FACE`.

    What the stored image has lost cannot be had again: there the box ends at its border.
    """
    original = _CELEBA_WIDTH, _CELEBA_HEIGHT
    left, top, right, bottom = FACE.box(*original, height, width)
    wanted = FACE_MODEL.box(*original, *size)
    across, down = right - left, bottom - top
    shares = (
        (wanted[0] - left) / across,
        (wanted[1] - top) / down,
        (wanted[2] - left) / across,
        (wanted[3] - top) / down,
    )
    x0, y0, x1, y1 = (min(1.0, max(0.0, share)) for share in shares)
    return x0, y0, x1, y1


class IdentityModel(nn.Module):
    """A frozen network Φ with its preprocessing.

    It passes gradients to images that ask for them and keeps evaluation mode whatever it is told.

    Attributes:
        name: `mobilefacenet`, `torchscript`, `exported` or `public`.
        view: The preprocessing.
        num_features: D, the length of a feature vector.
        device: Where the images must be.
        hash: Identity of weights and preprocessing, 12 hexadecimal digits.
    """

    def __init__(
        self,
        name: str,
        net: Callable[[Tensor], Tensor],
        view: View,
        weights_hash: str,
        num_features: int,
        device: torch.device | str = "cpu",
        batch_size: int | None = None,
    ) -> None:
        """Wraps a network that is in evaluation mode; freezes its weights.

        Args:
            name: What it is called in reports.
            net: Input [B, 3, h, w] to features [B, D].
            view: Makes the input.
            weights_hash: Identity of the network's weights.
            num_features: D.
            device: Where the network is.
            batch_size: The only number of images the network takes at a time; None for any.
        """
        super().__init__()
        self.name, self.view, self.num_features = name, view, num_features
        self.net, self.device = net, torch.device(device)
        self.requires_grad_(False)
        self._weights_hash, self._batch_size = weights_hash, batch_size
        self.hash = config_hash({"weights": weights_hash, "view": asdict(view), "name": name})

    def train(self, mode: bool = True) -> "IdentityModel":
        """Stays in evaluation mode."""
        return self

    def features(self, images: Tensor) -> Tensor:
        """Returns Φ(x), float32 [B, D], for images [B, 3, H, W] in [0, 1], any H and W.

        Compare by cosine. Works in chunks, so any B will do.
        """
        chunk = self._batch_size or (CUDA_CHUNK if images.is_cuda else CPU_CHUNK)
        parts = [self._chunk(part) for part in images.float().split(chunk)]
        return torch.cat(parts) if parts else images.new_zeros(0, self.num_features)

    def forward(self, images: Tensor) -> Tensor:
        """As `features`."""
        return self.features(images)

    def _chunk(self, images: Tensor) -> Tensor:
        x = self.view(images)
        missing = (self._batch_size or len(x)) - len(x)
        if missing:
            x = torch.cat([x, x[-1:].expand(missing, -1, -1, -1)])
        return self.net(x)[: len(images)].flatten(1)

    def describe(self) -> dict[str, Any]:
        """What is logged of it, JSON-able."""
        left, top, right, bottom = self.view.box
        return {
            "model": self.name,
            "hash": self.hash,
            "weights_hash": self._weights_hash,
            "num_features": self.num_features,
            "crop": {"left": left, "top": top, "right": right, "bottom": bottom},
            "size": None if self.view.size is None else list(self.view.size),
            "range": [self.view.low, self.view.high],
        }
