"""Codes as pictures: what a channel holds at a place becomes a colour (Pittaluga, Figure 3)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.components import principal_components, standardised

MAX_PIXELS = 8 * 64 * 64
"""Places that a strip shows, of all its images together; finer maps are averaged down to it. The
report's strips are 64 pixels high, and an encoder's artifacts should be small."""
COLOURS = 3


def equalised(values: Tensor) -> Tensor:
    """Histogram equalisation: every value becomes the share of values that are at most as large.

    Stretched, so that the smallest becomes 0. Without bins: the histogram is of the values
    themselves.

    Args:
        values: Of any shape, finite.

    Returns:
        The same shape, in [0, 1]; 0.5 throughout where all are the same.
    """
    _, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    below = counts.cumsum(0) - counts[0]
    if not below[-1]:
        return torch.full_like(values, 0.5)
    shares: Tensor = below / below[-1]
    return shares[place].to(values.dtype)


def has_picture(codes: Tensor) -> bool:
    """Whether codes [N, ...] are maps of more than one place."""
    return codes.dim() == 4 and codes.shape[2] * codes.shape[3] > 1


def code_pictures(codes: Tensor) -> Tensor:
    """Codes as pictures in colour, to see what of the image's layout they keep.

    Three channels are red, green and blue. Of others the three leading principal components over
    channels are, of all places of these images (our choice: the paper's codes have three). Each
    colour is equalised over all these images together, so that they can be compared. The paper
    says that "the value at each location and channel" is mapped to an equalised one; whether it
    has a histogram per location, too, it does not say.

    Args:
        codes: float32 [N, C, H, W], finite.

    Returns:
        [N, 3, h, w] in [0, 1]; smaller than H by W where these images have more than MAX_PIXELS.
    """
    count, channels, height, width = codes.shape
    shrink = math.sqrt(MAX_PIXELS / (count * height * width))
    if shrink < 1:
        height, width = (max(1, int(side * shrink)) for side in (height, width))
        codes = F.interpolate(codes, size=(height, width), mode="area")
    if channels != COLOURS:
        places = standardised(codes).permute(0, 2, 1).flatten(0, 1)
        scores, _ = principal_components(places, COLOURS)
        codes = torch.zeros(len(scores), COLOURS)
        codes[:, : scores.shape[1]] = scores
        codes = codes.view(count, height, width, COLOURS).permute(0, 3, 1, 2)
    return torch.stack([equalised(codes[:, colour]) for colour in range(COLOURS)], dim=1)
