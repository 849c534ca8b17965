"""The metrics of methods section 4.

Image metrics take float tensors in [0, 1] (data range 1) and return one value per image, so that
averages, worst deciles and intervals are all taken later over the same numbers.
"""

import math

import torch
from pytorch_msssim import ssim as _ssim
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc
from torchmetrics.functional.image import peak_signal_noise_ratio

SSIM_WINDOW = 11
"""Side of SSIM's Gaussian window in pixels, its published value."""


def ssim(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Structural similarity of each image, [B], data range 1."""
    window = min(SSIM_WINDOW, *((side - 1) // 2 * 2 + 1 for side in image.shape[2:]))
    values: Tensor = _ssim(
        reconstruction, image, data_range=1.0, size_average=False, win_size=window
    )
    return values


def psnr(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each image in dB, [B], from each image's own MSE."""
    values: Tensor = peak_signal_noise_ratio(
        reconstruction, image, data_range=1.0, dim=(1, 2, 3), reduction="none"
    )
    return values


def mse(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Mean squared error of each image over channels and pixels, [B]."""
    return (reconstruction - image).square().flatten(1).mean(dim=1)


def confusion(predicted: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Counts (TP, FP, FN, TN) per attribute from boolean tensors [N, A], as float64 [A]."""
    predicted, labels = predicted.bool(), labels.bool()
    return (
        (predicted & labels).sum(0).double(),
        (predicted & ~labels).sum(0).double(),
        (~predicted & labels).sum(0).double(),
        (~predicted & ~labels).sum(0).double(),
    )


def mcc(logits: Tensor, labels: Tensor) -> Tensor:
    """Matthews correlation per attribute at threshold 0.5, [A].

    0 where a factor of the denominator is 0 (torchmetrics answers 1 or -1 in some of these cases,
    which would reward a constant prediction).

    Args:
        logits: [N, A]; a logit above 0 is a probability above 0.5.
        labels: [N, A] in {0, 1}.
    """
    tp, fp, fn, tn = confusion(logits > 0, labels)
    denominator = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    value = (tp * tn - fp * fn) / denominator.clamp_min(1).sqrt()
    return torch.where(denominator > 0, value, torch.zeros_like(value))


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of right answers per attribute, [A]."""
    return ((logits > 0) == labels.bool()).double().mean(dim=0)


def majority_rate(labels: Tensor) -> Tensor:
    """Accuracy of always answering the commoner class, per attribute, [A]."""
    rate = labels.double().mean(dim=0)
    return torch.maximum(rate, 1 - rate)


def balanced_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean of the two classes' recalls per attribute, [A]; a class without members counts 0.5."""
    tp, fp, fn, tn = confusion(logits > 0, labels)
    half = torch.full_like(tp, 0.5)
    positive = torch.where(tp + fn > 0, tp / (tp + fn).clamp_min(1), half)
    negative = torch.where(tn + fp > 0, tn / (tn + fp).clamp_min(1), half)
    return (positive + negative) / 2


def auc(logits: Tensor, labels: Tensor) -> Tensor:
    """Area under the ROC curve per attribute, [A]; 0.5 where a class has no members."""
    values = []
    for column in range(labels.shape[1]):
        target = labels[:, column].long()
        both = 0 < int(target.sum()) < len(target)
        # torchmetrics squashes raw logits by a sigmoid, whose saturation makes ties of large ones;
        # ranks (equal for equal logits) order the same and stay inside [0, 1].
        ranks = torch.unique(logits[:, column], return_inverse=True)[1]
        scores = ranks.double() / len(target)
        values.append(binary_auroc(scores, target).double() if both else torch.tensor(0.5).double())
    return torch.stack(values)


def leakage(score: float, floor: float, ceiling: float) -> float:
    """How much of what there is to learn an attacker learned, in [0, 1].

    Args:
        score: The attacker's score on the encoder.
        floor: The same attacker's score on a constant encoder: what it knows without z.
        ceiling: The same attacker's score on the identity encoder: what it can know at all.

    Raises:
        ValueError: If floor and ceiling are not finite or the ceiling is not above the floor:
            this attacker can tell nothing on this data, and a ratio would mean nothing.
    """
    if not (math.isfinite(floor) and math.isfinite(ceiling) and math.isfinite(score)):
        raise ValueError(f"leakage needs finite figures, got {score=}, {floor=}, {ceiling=}")
    if ceiling - floor < MIN_RANGE:
        raise ValueError(
            f"the attacker reaches {ceiling:.3f} on plain images and {floor:.3f} on a constant: "
            f"they must differ by {MIN_RANGE} at least to measure leakage between them"
        )
    return min(1.0, max(0.0, (score - floor) / (ceiling - floor)))


MIN_RANGE = 0.02
"""Least distance of ceiling and floor; below it an attacker's leakage is mere noise."""
