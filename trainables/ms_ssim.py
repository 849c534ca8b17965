"""Multi-scale structural similarity (Wang, Simoncelli, Bovik 2003), as a metric and for losses.

`pytorch-msssim` gives the same values (tests compare them). In the training of small nets for small
images its Gaussian windows, convolutions of single channels, took half of a step; hence products
with matrices, and a gradient in closed form.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, fine to coarse."""

MS_SSIM_MIN_SIDE = 32
"""MS-SSIM needs sides above this many pixels."""

MAX_WINDOW = 11
"""Side of the Gaussian window in pixels, where the image has room for it."""

_DEVIATION = 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ms_ssim_window(height: int, width: int) -> int:
    """Side of the largest odd window, 11 at most, that five halvings leave room for.

    MS-SSIM of different windows is never compared (methods, section 2.3).

    Raises:
        ValueError: If even a window of 3 pixels does not fit: at 1 pixel nothing but the mean
            brightness would be compared.
    """
    side = min(height, width)
    windows = [w for w in range(3, MAX_WINDOW + 1, 2) if (w - 1) * 16 < side]
    if not windows:
        raise ValueError(f"MS-SSIM needs sides above 32 pixels, got {height}x{width}")
    return windows[-1]


def ms_ssim(reconstruction: Tensor, image: Tensor, floor: float = 0.0) -> Tensor:
    """Multi-scale structural similarity of each image, [B], data range 1, in [0, 1].

    The scales' terms are clamped at 0 before their powers are taken. One scale at 0, as there is in
    any training towards another image, leaves the product without a gradient; hence a floor of the
    caller's.

    Args:
        reconstruction: [B, 3, H, W] in [0, 1].
        image: Likewise, or [1, 3, H, W]. No gradient comes back to it.
        floor: What a scale's term counts at least.

    Raises:
        ValueError: As `ms_ssim_window`.
    """
    window = ms_ssim_window(*image.shape[2:])
    # One layout: what mixes two takes several times as long.
    x, y = reconstruction.contiguous(), image.detach().contiguous()
    terms = []
    for scale in range(len(MS_SSIM_WEIGHTS)):
        if scale:
            halves = _both_axes(_halving, x)
            x, y = _along(x, *halves), _along(y, *halves)
        windows = _both_axes(_smoothing, x, side=window)
        last = scale == len(MS_SSIM_WEIGHTS) - 1
        terms.append(_similarity(x, y, *windows) if last else _Contrast.apply(x, y, *windows))
    # Weights as plain numbers: a tensor of them would be copied to the device at every call.
    powers = [term.clamp_min(floor) ** w for term, w in zip(terms, MS_SSIM_WEIGHTS, strict=True)]
    return torch.stack(powers).prod(dim=0).mean(dim=1)


def _along(maps: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """A linear operation along both axes of maps [..., H, W]."""
    return down @ (maps @ across)


def _both_axes(matrix: Callable[..., Tensor], maps: Tensor, **given: int) -> tuple[Tensor, Tensor]:
    """A matrix for each axis of maps [B, C, H, W], as `_along` takes them."""
    # Matrices are kept: what inference mode makes no later training could use.
    with torch.inference_mode(False):
        down, across = (
            matrix(length, dtype=maps.dtype, device=maps.device, **given)
            for length in maps.shape[2:]
        )
    return down.T, across


@functools.lru_cache(maxsize=128)
def _smoothing(length: int, *, side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A Gaussian window at every place of an axis that it fits: [length, places]."""
    places = torch.arange(length, device=device)
    offsets = places[:, None] - places[: length - side + 1] - side // 2
    weights = torch.exp(-offsets.to(dtype).square() / (2 * _DEVIATION**2))
    weights = torch.where(offsets.abs() <= side // 2, weights, 0.0)
    return weights / weights.sum(dim=0)


@functools.lru_cache(maxsize=128)
def _halving(length: int, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Means of pairs along an axis, an odd one between zeros: [length, places].

    As `F.avg_pool2d(kernel_size=2, padding=length % 2)`, which `pytorch-msssim` calls.
    """
    odd = length % 2
    starts = 2 * torch.arange((length + 2 * odd - 2) // 2 + 1, device=device) - odd
    offsets = torch.arange(length, device=device)[:, None] - starts
    return 0.5 * ((offsets == 0) | (offsets == 1)).to(dtype)


def _similarity(x: Tensor, y: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """SSIM of each channel of each image, [B, 3]."""
    mean_x, mean_y, xy, squares = (_along(z, down, across) for z in (x, y, x * y, x * x + y * y))
    product, sum_of_squares = 2 * mean_x * mean_y, mean_x.square() + mean_y.square()
    luminance = (product + _C1) / (sum_of_squares + _C1)
    contrast = (2 * xy - product + _C2) / (squares - sum_of_squares + _C2)
    return (luminance * contrast).mean(dim=(2, 3))


class _Contrast(torch.autograd.Function):
    """The contrast-structure term of each channel of each image, [B, 3], with its gradient.

    With S the smoothing, n = 2 (S(xy) - S(x) S(y)) + c2 and d = S(xx + yy) - S(x)^2 - S(y)^2 + c2
    the term is the mean of n / d. Of the mean over all places, a = 1 / d and b = -n / d^2,

        d/dx = 2 (y S'(a) + x S'(b) - S'(a S(y) + b S(x))) / places,

    S' being the transpose. Autograd would keep and read three times as many maps.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, down: Tensor, across: Tensor) -> Tensor:
        mean_x, mean_y = _along(x, down, across), _along(y, down, across)
        ratio = _along(x * y, down, across).addcmul_(mean_x, mean_y, value=-1).mul_(2).add_(_C2)
        under = _along(torch.addcmul(y * y, x, x), down, across).addcmul_(mean_x, mean_x, value=-1)
        under.addcmul_(mean_y, mean_y, value=-1).add_(_C2)
        ratio.div_(under)
        ctx.save_for_backward(x, y, mean_x, mean_y, ratio, under, down, across)
        return ratio.mean(dim=(2, 3))

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        x, y, mean_x, mean_y, ratio, under, down, across = ctx.saved_tensors
        back = down.T, across.T
        places = ratio.shape[2] * ratio.shape[3]
        a = (gradient * (2 / places))[:, :, None, None] / under
        b = -ratio * a
        towards = _along(torch.mul(mean_y, a).addcmul_(mean_x, b), *back).neg_()
        return (
            towards.addcmul_(y, _along(a, *back)).addcmul_(x, _along(b, *back)), None, None, None
        )  # fmt: skip
