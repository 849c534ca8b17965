"""Codes on one scale, and their principal components: what a picture of codes begins with."""

import torch
from torch import Tensor

SMALLEST = 1e-6
"""Share of the largest component's variance below which one is rounding of float32."""


def standardised(codes: Tensor) -> Tensor:
    """Codes with deviation 1 per channel over these images, as attackers get theirs.

    Args:
        codes: float32 [N, C, ...], finite.

    Returns:
        [N, C, L], all positions of a channel in a row. A channel of one and the same number is 0.
    """
    flat = codes.flatten(2) if codes.dim() > 2 else codes.unsqueeze(2)
    # Against one of its own values a channel that does not vary is 0 to the last bit, and one that
    # varies in its last bits alone (a saturated tanh) loses none of them.
    moved = flat - flat[:1, :, :1]
    # No square may overflow. In place: codes may be large.
    largest = torch.maximum(moved.amax((0, 2), keepdim=True), -moved.amin((0, 2), keepdim=True))
    moved /= _or_one(largest)
    moved /= _or_one(moved.std((0, 2), correction=0, keepdim=True))
    return moved


def _or_one(scale: Tensor) -> Tensor:
    return torch.where(scale > 0, scale, torch.ones_like(scale))


def principal_components(rows: Tensor, num: int) -> tuple[Tensor, float]:
    """Coordinates of points along the directions in which they vary most.

    Args:
        rows: float32 [N, D], one point each.
        num: Components at most.

    Returns:
        The coordinates, float32 [N, K] by falling variance, 1 ≤ K ≤ `num`: components without
        variance are left out, but points that are all the same keep one, of zeros. A component's
        largest coordinate is positive. And the share of the variance that they keep, in [0, 1];
        1 where there is none.
    """
    centred = rows - rows[:1]
    centred -= centred.mean(0)
    # The smaller of the two products has the same eigenvalues: codes have many more values than
    # there are images, pictures many more pixels than channels.
    tall = len(rows) > rows.shape[1]
    product = centred.T @ centred if tall else centred @ centred.T
    values, vectors = torch.linalg.eigh(product.double())
    values, vectors = values.flip(0).clamp_min(0), vectors.flip(1)
    count = min(num, max(1, int((values > SMALLEST * values[0]).sum())))
    directions = vectors[:, :count]
    scores = centred.double() @ directions if tall else directions * values[:count].sqrt()
    largest = scores.gather(0, scores.abs().argmax(0, keepdim=True))
    scores = torch.where(largest < 0, -scores, scores)
    total = float(values.sum())
    return scores.float(), float(values[:count].sum()) / total if total > 0 else 1.0
