"""The metrics of methods section 4.

Image metrics take float tensors in [0, 1] (data range 1) and return one value per image, so that
averages, worst deciles and intervals are all taken later over the same numbers.
"""

import math

import torch
from pytorch_msssim import ssim as _ssim
from torch import Tensor

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
    # Imported here and below: it takes seconds, which a driver that scores nothing need not wait.
    from torchmetrics.functional.image import peak_signal_noise_ratio

    values: Tensor = peak_signal_noise_ratio(
        reconstruction, image, data_range=1.0, dim=(1, 2, 3), reduction="none"
    )
    return values


def mse(reconstruction: Tensor, image: Tensor) -> Tensor:
    """Mean squared error of each image over channels and pixels, [B]."""
    return (reconstruction - image).square().flatten(1).mean(dim=1)


def category_weights(labels: Tensor) -> Tensor:
    """Weight of each image under which all categories count the same, [N].

    Args:
        labels: [N, K] one-hot: one column per category.
    """
    sizes = labels.double().sum(dim=0)
    return (labels.double() / sizes.clamp_min(1)).sum(dim=1)


def confusion(
    predicted: Tensor, labels: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Counts (TP, FP, FN, TN) per attribute from boolean tensors [N, A], as float64 [A].

    Args:
        predicted: [N, A].
        labels: [N, A].
        weights: [N], what each row counts; 1 if not given.
    """
    predicted, labels = predicted.bool(), labels.bool()
    rows = torch.ones(len(labels), 1) if weights is None else weights.view(-1, 1)
    rows = rows.double().to(labels.device)
    return (
        (rows * (predicted & labels)).sum(0),
        (rows * (predicted & ~labels)).sum(0),
        (rows * (~predicted & labels)).sum(0),
        (rows * (~predicted & ~labels)).sum(0),
    )


def mcc(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Matthews correlation per attribute at threshold 0.5, [A].

    0 where a factor of the denominator is 0 (torchmetrics answers 1 or -1 in some of these cases,
    which would reward a constant prediction).

    Args:
        logits: [N, A]; a logit above 0 is a probability above 0.5.
        labels: [N, A] in {0, 1}.
        weights: [N], what each row counts among its like. If given, the correlation is that of a
            balanced set: rows with and rows without the attribute count the same in sum.
    """
    return _mcc_of(*confusion(logits > 0, labels, weights), balanced=weights is not None)


def mean_mcc_error(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> float:
    """Standard error of the attributes' mean Matthews correlation over the images: the jackknife's.

    Leaving one image out changes one of the four counts of each attribute; all attributes lose the
    same image, so what their errors have in common is in it. 0 for fewer than two images.

    Args:
        logits: [N, A], as for `mcc`.
        labels: [N, A] in {0, 1}.
        weights: [N], as for `mcc`.
    """
    if len(logits) < 2:
        return 0.0
    predicted, actual = logits > 0, labels > 0.5
    weight = torch.ones_like(labels, dtype=torch.float64)
    if weights is not None:
        weight = weight * weights.double().view(-1, 1).to(labels.device)
    cells = (predicted & actual, predicted & ~actual, ~predicted & actual, ~predicted & ~actual)
    counts = confusion(predicted, labels, weights)
    # What rounding leaves of a cell that lost its only member is no count.
    tp, fp, fn, tn = (
        (total - weight * cell).clamp_min(0.0) for total, cell in zip(counts, cells, strict=True)
    )
    means = _mcc_of(tp, fp, fn, tn, balanced=weights is not None).mean(dim=1)
    return float(((means - means.mean()).square().sum() * (1 - 1 / len(means))).sqrt())


def _mcc_of(tp: Tensor, fp: Tensor, fn: Tensor, tn: Tensor, balanced: bool) -> Tensor:
    """Matthews correlation of counts, all of one shape; of the classes' rates if balanced."""
    if balanced:
        positive, negative = tp + fn, fp + tn
        tp, fn = (x / positive.clamp_min(1e-300) for x in (tp, fn))
        fp, tn = (x / negative.clamp_min(1e-300) for x in (fp, tn))
    denominator = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    value = (tp * tn - fp * fn) / torch.where(denominator > 0, denominator, 1.0).sqrt()
    return torch.where(denominator > 0, value, torch.zeros_like(value))


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of right answers per attribute, [A]."""
    return ((logits > 0) == labels.bool()).double().mean(dim=0)


def majority_rate(labels: Tensor) -> Tensor:
    """Accuracy of always answering the commoner class, per attribute, [A]."""
    rate = labels.double().mean(dim=0)
    return torch.maximum(rate, 1 - rate)


def balanced_accuracy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of the two classes' recalls per attribute, [A]; a class without members counts 0.5.

    It is the accuracy on a balanced set. `weights` [N] as in `confusion`.
    """
    tp, fp, fn, tn = confusion(logits > 0, labels, weights)
    half = torch.full_like(tp, 0.5)
    positive = torch.where(tp + fn > 0, tp / (tp + fn).clamp_min(1e-300), half)
    negative = torch.where(tn + fp > 0, tn / (tn + fp).clamp_min(1e-300), half)
    return (positive + negative) / 2


def balanced_accuracy_error(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Standard error of the balanced accuracy over the images, per attribute, [A].

    Each class's recall is a share of its members: its variance is `r (1 - r) / n`, with Kish's
    effective number where members are weighted. 0 where a class has no members.
    """
    right = ((logits > 0) == (labels > 0.5)).double()
    weight = torch.ones_like(right) if weights is None else weights.double().view(-1, 1)
    variance = torch.zeros(labels.shape[1], dtype=torch.float64, device=labels.device)
    for members in (labels > 0.5, labels <= 0.5):
        own = weight * members
        total = own.sum(dim=0).clamp_min(1e-300)
        recall = (own * right).sum(dim=0) / total
        variance += recall * (1 - recall) * own.square().sum(dim=0) / total.square() / 4
    return variance.sqrt()


def auc(logits: Tensor, labels: Tensor) -> Tensor:
    """Area under the ROC curve per attribute, [A]; 0.5 where a class has no members."""
    from torchmetrics.functional.classification import binary_auroc

    values = []
    for column in range(labels.shape[1]):
        target = labels[:, column].long()
        both = 0 < int(target.sum()) < len(target)
        # torchmetrics squashes raw logits by a sigmoid, whose saturation makes ties of large ones;
        # ranks (equal for equal logits) order the same and stay inside [0, 1].
        ranks = torch.unique(logits[:, column], return_inverse=True)[1]
        scores = ranks.double() / len(target)
        chance = torch.full((), 0.5, dtype=torch.float64, device=logits.device)
        values.append(binary_auroc(scores, target).double() if both else chance)
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


MIN_RANGE = 0.05
"""Least distance of ceiling and floor; below it an attacker's leakage is mere noise."""
