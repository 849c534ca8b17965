"""Scores of whoever answers: reconstructions, private attributes, utility.

The same functions score the adversary in the loop and the attacker that comes afterwards.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables import metrics
from trainables.ms_ssim import MS_SSIM_MIN_SIDE, ms_ssim


class NotFiniteError(ArithmeticError):
    """Something that training or evaluation computed is NaN or infinite."""


@dataclass(frozen=True)
class Scores:
    """An attacker's result on one split.

    Attributes:
        score: The figure its leakage is made from; higher means it learned more.
        metrics: Everything else worth a column, by name.
        per_image: The score of each image, [N], in the split's order, where it is their mean; None
            where an image alone has no graded score.
        error: Standard error of the score over the split's images.
        features: What it answers as features of Φ, [N, D]: M(z), or Φ(x̂) of a reconstruction; None
            where it has none.
        by_attribute: Of an attack on private attributes the score of each and its error.
    """

    score: float
    metrics: dict[str, float]
    per_image: Tensor | None = None
    error: float = 0.0
    features: Tensor | None = None
    by_attribute: Mapping[str, tuple[float, float]] | None = None


def reconstruction_scores(
    answered: Iterable[tuple[Tensor, Tensor, Tensor | None]],
    features: Callable[[Tensor], Tensor] | None = None,
) -> Scores:
    """Scores reconstructions: SSIM, MS-SSIM where it fits, PSNR, MSE and, with Φ, faces.

    Args:
        answered: Batches of (reconstruction, image, Φ(image)), the first two [B, 3, H, W] in
            [0, 1], the last [B, D]; None in its place has Φ asked.
        features: The identity model Φ, images to features [B, D]. With it the score is the mean
            cosine of Φ(x) and Φ(x̂) (`face_similarity`, methods section 4), without it the mean
            SSIM.
    """
    values: dict[str, list[Tensor]] = {"ssim": [], "psnr": [], "mse": []}
    answers: list[Tensor] = []
    for rebuilt, image, known in answered:
        values["ssim"].append(metrics.ssim(rebuilt, image))
        values["psnr"].append(metrics.psnr(rebuilt, image))
        values["mse"].append(metrics.mse(rebuilt, image))
        if min(image.shape[2:]) > MS_SSIM_MIN_SIDE:
            values.setdefault("ms_ssim", []).append(ms_ssim(rebuilt, image))
        if features is not None:
            answers.append(features(rebuilt))
            faces = features(image) if known is None else known
            cosine = F.cosine_similarity(answers[-1], faces)
            values.setdefault("face_similarity", []).append(cosine)
    every = {name: torch.cat(parts).double() for name, parts in values.items()}
    score = every["face_similarity" if features is not None else "ssim"]
    means = {name: float(value.mean()) for name, value in every.items()}
    return Scores(
        score=float(score.mean()),
        metrics=means,
        per_image=score.cpu(),
        error=error_of_mean(score),
        features=torch.cat(answers).cpu() if answers else None,
    )


def error_of_mean(values: Tensor) -> float:
    """Standard error of the mean of values [N]; 0 for a single one."""
    return float(values.double().std() / len(values) ** 0.5) if len(values) > 1 else 0.0


def attribute_scores(
    attacker: str,
    pairs: Iterable[tuple[Tensor, Tensor]],
    columns: Sequence[int],
    names: Sequence[str],
    categorical: bool,
) -> Scores:
    """Scores a classifier of the private attributes by its mean balanced accuracy.

    Args:
        attacker: Its name, for an error.
        pairs: Batches of (logits [B, P], all labels [B, A]).
        columns: The private attributes' columns, P of them.
        names: Their names.
        categorical: Whether the labels are one-hot categories: then all other categories count the
            same among the images without the attribute.

    Raises:
        NotFiniteError: If a logit is not finite.
    """
    logits, every = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    labels = every[:, list(columns)]
    weights = metrics.category_weights(every) if categorical else None
    # A NaN is not above the threshold: it would pass for a "no" and look like privacy.
    if not bool(logits.isfinite().all()):
        raise NotFiniteError(f"attacker {attacker!r} answered with numbers not finite")
    figures: dict[str, Tensor] = {
        "balanced_accuracy": metrics.balanced_accuracy(logits, labels, weights),
        "accuracy": metrics.accuracy(logits, labels),
        "auc": metrics.auc(logits, labels),
        "majority": metrics.majority_rate(labels),
    }
    named = {
        f"{figure}/{name}": float(values[index])
        for figure, values in figures.items()
        for index, name in enumerate(names)
    }
    # As if the attributes' errors went together, which they may: they are of the same images.
    errors = metrics.balanced_accuracy_error(logits, labels, weights)
    balanced = figures["balanced_accuracy"]
    each = zip(names, balanced.tolist(), errors.tolist(), strict=True)
    return Scores(
        float(balanced.mean()),
        named,
        error=float(errors.mean()),
        by_attribute={name: (score, error) for name, score, error in each},
    )


def utility_scores(
    logits: Tensor, labels: Tensor, names: tuple[str, ...], weights: Tensor | None = None
) -> dict[str, float]:
    """Utility of `f(Enc(x))`: Matthews correlation and balanced accuracy per attribute.

    `utility/mean_mcc_error` is the standard error of the mean over the images.

    Args:
        logits: [N, U].
        labels: [N, U].
        names: Of the U attributes.
        weights: [N], of images of categories (`metrics.category_weights`); None otherwise.

    Raises:
        NotFiniteError: If a logit is not finite.
    """
    # A NaN is not above the threshold: it would pass for a "no" and give a finite score.
    if not bool(logits.isfinite().all()):
        raise NotFiniteError("the utility logits were not finite")
    mcc = metrics.mcc(logits, labels, weights)
    balanced = metrics.balanced_accuracy(logits, labels, weights)
    values = {
        "utility/mean_mcc": float(mcc.mean()),
        "utility/mean_mcc_error": metrics.mean_mcc_error(logits, labels, weights),
    }
    for index, name in enumerate(names):
        values[f"utility/mcc/{name}"] = float(mcc[index])
        values[f"utility/balanced_accuracy/{name}"] = float(balanced[index])
    return values
