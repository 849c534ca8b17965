"""Whether an encoder has collapsed: whether its code is the same for every image.

A code that says nothing hides everything, and useless is not private. Pittaluga (section 4.2)
counts the outputs that violate the constraint of unit variance; elsewhere codes have no fixed scale
and are measured against their own mean square.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from trainables.nets.modes import frozen

BELOW_CONSTANT, BELOW_HALF = "collapse/below_0.01", "collapse/below_0.5"
TOTAL_VARIANCE = "collapse/total_variance"

CONSTANT_VARIANCE, HALF_VARIANCE = 0.01, 0.5
"""Variances under which an output counts as constant, and as well below the constrained 1: the
paper tells of outputs at zero and of outputs under 0.5."""

MAX_CONSTANT_SHARE = 0.5
"""A constrained code has collapsed if this share of its outputs is constant. The paper's "partial
collapse" has 75 %, its working encoder none."""

MAX_HALF_SHARE = 0.75
"""Or if this share stays below half of the variance it should have: the paper's other partial
collapse, by biases, has 90 % there."""

MIN_TOTAL_VARIANCE = 0.01
"""An unconstrained code has collapsed if less than this share of its mean square depends on the
image. Single outputs do not count: a ReLU's may well be zero for every image."""


@torch.no_grad()
def collapse_report(encoder: nn.Module, images: Iterable[Tensor]) -> dict[str, float]:
    """Returns how much an encoder's outputs vary over images.

    An encoder that is a sequence ending in a tanh is measured before it, where the constraint of
    unit variance is; its variances are absolute. All others are shares of the code's mean square
    over images and outputs, whatever its scale; a code of zeros has variance 0.

    Args:
        encoder: The encoder; evaluated with its running statistics, its mode is kept.
        images: Batches [B, 3, H, W] on the encoder's device, of at least one image in all.

    Returns:
        `collapse/below_0.01` and `collapse/below_0.5`, the shares of outputs whose variance is
        less, and `collapse/total_variance`, the mean of the variances; all NaN if a code is not
        finite.

    Raises:
        ValueError: If there are no images.
    """
    net, absolute = encoder, False
    if isinstance(encoder, nn.Sequential) and len(encoder) > 0:
        absolute = isinstance(encoder[-1], nn.Tanh)
        net = encoder[:-1] if absolute else encoder
    count, mean, squares = 0, torch.zeros(()), torch.zeros(())
    with frozen(encoder, batch_statistics=False):
        for batch in images:
            codes = net(batch).flatten(1).double()
            # Deviations from each batch's own mean are merged (Chan et al., 1983): sums of squares
            # would cancel where a code varies little about a large mean.
            batch_mean = codes.mean(0)
            difference = batch_mean - mean.to(batch_mean)
            total = count + len(codes)
            squares = squares.to(batch_mean) + (codes - batch_mean).square().sum(0)
            squares += difference.square() * (count * len(codes) / total)
            mean = mean.to(batch_mean) + difference * (len(codes) / total)
            count = total
    if count == 0:
        raise ValueError("images: a collapse is measured over at least 1 image, got none")
    variances = squares / count
    if not absolute:
        scale = float((variances + mean.square()).mean())
        variances = variances / scale if scale != 0 else torch.zeros_like(variances)
    return _report(variances)


def _report(variances: Tensor) -> dict[str, float]:
    if not variances.isfinite().all():
        return dict.fromkeys((BELOW_CONSTANT, BELOW_HALF, TOTAL_VARIANCE), float("nan"))
    return {
        BELOW_CONSTANT: float((variances < CONSTANT_VARIANCE).double().mean()),
        BELOW_HALF: float((variances < HALF_VARIANCE).double().mean()),
        TOTAL_VARIANCE: float(variances.mean()),
    }


def is_collapsed(report: dict[str, float], constrained: bool) -> bool:
    """Whether a report is that of a code that says nothing.

    Args:
        report: What `collapse_report` returned.
        constrained: Whether the code was constrained to unit variance before a tanh.
    """
    if constrained:
        return report[BELOW_CONSTANT] >= MAX_CONSTANT_SHARE or report[BELOW_HALF] >= MAX_HALF_SHARE
    return report[TOTAL_VARIANCE] < MIN_TOTAL_VARIANCE


def collapse_reason(report: dict[str, float], constrained: bool) -> str:
    """Says what of a collapsed encoder's report shows it."""
    if not constrained:
        return (
            f"only {report[TOTAL_VARIANCE]:.2%} of its code's mean square depends on the image "
            f"over the selection split (collapsed below {MIN_TOTAL_VARIANCE:.0%})"
        )
    if report[BELOW_CONSTANT] >= MAX_CONSTANT_SHARE:
        return (
            f"{report[BELOW_CONSTANT]:.0%} of its outputs hardly vary over the selection split "
            f"(variance below {CONSTANT_VARIANCE:g} of a constrained 1; collapsed from "
            f"{MAX_CONSTANT_SHARE:.0%})"
        )
    return (
        f"{report[BELOW_HALF]:.0%} of its outputs vary too little over the selection split "
        f"(variance below {HALF_VARIANCE:g} of a constrained 1; collapsed from "
        f"{MAX_HALF_SHARE:.0%})"
    )
