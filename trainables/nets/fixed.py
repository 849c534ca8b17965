"""Encoders that need no training: a mean filter and Gaussian noise."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLUR_STRIDE = 8
"""Pixels of the image per pixel of the blurred one (Pittaluga, section 4.3)."""


class MeanBlur(nn.Module):
    """A mean filter, then every eighth pixel (Pittaluga, section 4.3).

    Args:
        height: Image height in pixels, a multiple of 8.
        width: Image width in pixels, likewise.
        kernel: Side of the filter as a share of the shorter side. The filter is an odd number of
            pixels wide, so that it has a middle: the paper's 120 of 224 are 121.
    """

    def __init__(self, height: int, width: int, kernel: float) -> None:
        super().__init__()
        if height % BLUR_STRIDE or width % BLUR_STRIDE:
            raise ValueError(
                f"blur makes images {BLUR_STRIDE} times smaller: their sides must be multiples of "
                f"{BLUR_STRIDE} pixels, got {height}x{width}"
            )
        self.radius = round(kernel * min(height, width)) // 2

    def forward(self, images: Tensor) -> Tensor:
        """Returns [B, 3, H/8, W/8]; at the border the mean is of what is inside the image."""
        side = 2 * self.radius + 1
        return F.avg_pool2d(
            images, side, stride=BLUR_STRIDE, padding=self.radius, count_include_pad=False
        )


class GaussianNoise(nn.Module):
    """Adds Gaussian noise (DeepObfuscator, section 4.3).

    Which noise is decided by a seed alone, so that training can be repeated and resumed.

    Args:
        sigma: Deviation, in units of the image's range.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def noisy(self, images: Tensor, seed: int) -> Tensor:
        """Returns the images under the noise of a seed; not clipped."""
        generator = torch.Generator(images.device).manual_seed(seed)
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        return images + self.sigma * noise

    def forward(self, images: Tensor) -> Tensor:
        """Returns the images under the noise of seed 0."""
        return self.noisy(images, 0)
