"""What an attacker's logits mean: Platt's scaling, fitted to the selection split."""

import math

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

LEAST_RATE = 1e-6
"""Of an attribute that no image of a split has: a predictor that excludes it would risk all."""
SAME_ANSWER = 1e-5
"""Deviation relative to the largest of answers that are one and the same but for their last bits,
which depend on the size of a batch and tell nothing."""


def balanced_weights(labels: Tensor, category_weights: Tensor | None = None) -> Tensor:
    """What each image counts, float64 [N]: those of either value one half in sum.

    Args:
        labels: [N] in {0, 1}.
        category_weights: [N], what each counts among its like (`metrics.category_weights`); None
            for the same.
    """
    weights = torch.ones(len(labels)) if category_weights is None else category_weights
    weights = weights.double().to(labels.device)
    for value in (0, 1):
        own = labels == value
        weights = torch.where(own, 0.5 * weights / weights[own].sum().clamp_min(1e-12), weights)
    return weights


def rate_logit(rate: float, like: Tensor) -> Tensor:
    """The answer, to every image, of who knows a rate alone."""
    rate = min(1 - LEAST_RATE, max(LEAST_RATE, rate))
    return torch.full_like(like, math.log(rate / (1 - rate)))


def calibrated(logits: Tensor, known: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Logits after Platt's scaling, a · logit + b fitted to a split whose labels are known.

    Args:
        logits: float64 [N], to be calibrated.
        known: float64 [M], finite logits of the split that is fitted to.
        labels: float64 [M] in {0, 1}, of that split.
        weights: float64 [M], what each of its images counts.
    """
    if len(labels.unique()) < 2:
        return rate_logit(float(labels.mean()), logits)
    scale = float(known.std())
    if scale <= SAME_ANSWER * float(known.abs().max()):
        return rate_logit(float((labels * weights).sum() / weights.sum()), logits)
    # In units of their own deviation: the fit is the same at every scale of the logits. The
    # library's default penalty, that of one image, keeps the slope finite where the values of the
    # split are told apart without an error.
    model = LogisticRegression()
    sample_weight = (weights / weights.sum() * len(weights)).cpu().numpy()
    model.fit((known / scale).cpu().numpy()[:, None], labels.cpu().numpy(), sample_weight)
    answers = model.decision_function((logits / scale).cpu().numpy()[:, None])
    return torch.from_numpy(answers).to(logits)
