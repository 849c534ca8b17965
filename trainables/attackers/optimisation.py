"""The optimisation attack: gradient descent on the image until its code is the one seen.

A white box: it needs the encoder's gradients, which the black-box attacker of methods, section 1,
has not. Xiao (footnote 3) names it as the alternative to a decoder; it stays outside the black-box
worst case. It learns nothing from public images, so it is a threat even to those who have none.
"""

import math
from collections.abc import Iterable, Iterator
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from trainables.attackers.base import AttackerConfig, Kind, Reconstructor, Target
from trainables.encodings import CodeBatch
from trainables.scores import Scores

SMALLEST_SIDE = 3
"""Pixels on the shorter side of the coarsest map an image is made of."""


class OptimisationConfig(AttackerConfig):
    """Gradient descent on the image.

    Attributes:
        steps: Updates per image.
        step_size: Adam's rate at the start, in logits of pixels; it falls to 0 along a cosine.
        tv_weight: Weight of the total variation at the start; it falls to 0 along a cosine too, so
            that it chooses among images of the same code and blurs none that the code determines.
        num_images: Images of a split that it is tried on, the first ones: each costs `steps`
            passes through the encoder, forwards and backwards.
    """

    steps: int = Field(default=500, ge=1)
    step_size: float = Field(default=0.05, gt=0)
    tv_weight: float = Field(default=2.0, ge=0)
    num_images: int = Field(default=64, ge=1)

    @property
    def kind(self) -> Kind:
        """A reconstruction attack."""
        return "reconstruction"

    @property
    def white_box(self) -> bool:
        """It follows the encoder's gradients."""
        return True


def optimisation_loss(found: Tensor, codes: Tensor, images: Tensor, tv_weight: float) -> Tensor:
    """`‖Enc(x̂) − z‖² + w·TV(x̂)` of each image, [B].

    The first term is the mean over the code's values, the second the sum of absolute differences
    of neighbours over the number of the image's values, so that one weight serves every cut and
    image size.

    Args:
        found: Enc(x̂), [B, ...], standardised.
        codes: z, likewise.
        images: x̂, [B, 3, H, W] in [0, 1].
        tv_weight: w.
    """
    distance = (found - codes).square().flatten(1).mean(dim=1)
    from torchmetrics.functional.image import total_variation

    variation: Tensor = total_variation(images, reduction="none")
    return distance + tv_weight * variation / images[0].numel()


class Pyramid:
    """Images as the sum of maps at full size, half, a quarter and so on.

    Adam moves every number it is given equally fast. Given pixels alone it finds the grain that a
    strided encoder is blind to before it finds the face; measured behind conv3 of a ResNet the
    pyramid raises the SSIM of what is found from 0.16 to 0.28.

    Attributes:
        levels: The maps, [B, 3, h, w] each, in logits; all 0, plain grey, at first.
    """

    def __init__(self, count: int, height: int, width: int, device: torch.device) -> None:
        self.levels: list[Tensor] = []
        stride = 1
        while not self.levels or min(height, width) >= stride * SMALLEST_SIDE:
            size = math.ceil(height / stride), math.ceil(width / stride)
            self.levels.append(torch.zeros(count, 3, *size, device=device, requires_grad=True))
            stride *= 2

    def images(self) -> Tensor:
        """Returns [B, 3, H, W] in [0, 1]."""
        size = self.levels[0].shape[2:]
        coarser = (
            F.interpolate(level, size, mode="bilinear", align_corners=False)
            for level in self.levels[1:]
        )
        return torch.sigmoid(sum(coarser, self.levels[0]))


class OptimisationAttacker(Reconstructor):
    """Moves every image from plain grey to where its code is the one seen.

    Its scores are of the first `num_images` images of a split alone, `per_image` included.
    """

    config: OptimisationConfig
    trains: ClassVar[bool] = False

    def __init__(self, config: OptimisationConfig, target: Target) -> None:
        if target.encode is None:
            raise ValueError(
                f"attacker {config.name!r} follows the encoder's gradients, but this encoder has "
                "none (it is stochastic, constant or sends labels)"
            )
        self.config = config
        self.encode = target.encode
        self.features = target.features
        self.size = (target.height, target.width)

    def nets(self) -> dict[str, nn.Module]:
        """None: nothing is learned."""
        return {}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """None."""
        return {}

    def train_step(self, batch: CodeBatch) -> None:
        """Refuses: there is nothing to train (`trains` is False)."""
        raise RuntimeError(f"attacker {self.config.name!r} does not train")

    def reconstruct(self, codes: Tensor) -> Tensor:
        """Returns the images found for standardised codes; each image's own, whatever the batch."""
        pyramid = Pyramid(len(codes), *self.size, codes.device)
        optimiser = torch.optim.Adam(pyramid.levels, lr=self.config.step_size)
        with torch.enable_grad():
            for step in range(self.config.steps):
                left = _cosine(step / self.config.steps)
                optimiser.param_groups[0]["lr"] = self.config.step_size * left
                images = pyramid.images()
                losses = optimisation_loss(
                    self.encode(images), codes, images, self.config.tv_weight * left
                )
                # The sum: a batch's other images must not scale an image's gradient.
                gradients = torch.autograd.grad(losses.sum(), pyramid.levels)
                for level, gradient in zip(pyramid.levels, gradients, strict=True):
                    level.grad = gradient
                optimiser.step()
        return pyramid.images().detach()

    def evaluate(self, batches: Iterable[CodeBatch]) -> Scores:
        """Scores of the first `num_images` images; see `reconstruction_scores`."""
        return super().evaluate(self._first(batches))

    def monitor(self, batches: Iterable[CodeBatch]) -> float:
        """Mean SSIM of the first `num_images` images."""
        return super().monitor(self._first(batches))

    def _first(self, batches: Iterable[CodeBatch]) -> Iterator[CodeBatch]:
        """The first `num_images` images; encodes no batch that it does not need."""
        left = self.config.num_images
        for batch in batches:
            people, features = batch.people, batch.features
            yield CodeBatch(
                batch.codes[:left],
                batch.images[:left],
                batch.labels[:left],
                None if people is None else people[:left],
                None if features is None else features[:left],
            )
            left -= len(batch.codes)
            if left <= 0:
                return


def _cosine(share: float) -> float:
    """From 1 at the start to 0 at the end."""
    return (1 + math.cos(math.pi * share)) / 2
