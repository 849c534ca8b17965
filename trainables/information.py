"""How many bits about an attribute an attacker has got out of the codes (methods, section 4)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.calibration import balanced_weights, calibrated, rate_logit
from trainables.scores import NotFiniteError


def usable_information(
    test_logits: Tensor,
    test_labels: Tensor,
    selection_logits: Tensor,
    selection_labels: Tensor,
    public_rates: Tensor,
    test_weights: Tensor | None = None,
    selection_weights: Tensor | None = None,
) -> Tensor:
    """Usable information of the codes about each attribute, in bits, [P], at least 0.

    Log-loss on the test split of the best predictor that sees no code, minus that of the attacker.
    The former says the attribute's rate in the public split to everybody, or the one in the
    selection split where that fits the test split better: the attacker's calibration has seen it,
    and a drift between splits is no information. The latter is calibrated on the selection split,
    because an attacker trained with balanced classes speaks of a balanced world, and one trained
    to saturation is too sure of itself.

    Args:
        test_logits: [N, P].
        test_labels: [N, P] in {0, 1}.
        selection_logits: [M, P].
        selection_labels: [M, P] in {0, 1}.
        public_rates: [P], each attribute's rate in the public split, in (0, 1). Not used with
            weights.
        test_weights: [N], what each image counts among its like (`metrics.category_weights`). If
            given, the information is that on a balanced set: images with and without the attribute
            count the same in sum, and who sees no code says one half.
        selection_weights: [M], likewise; to be given with `test_weights`, and only then.

    Raises:
        ValueError: If weights are given for one split alone.
        NotFiniteError: If a logit is not finite.
    """
    if (test_weights is None) != (selection_weights is None):
        raise ValueError("test_weights and selection_weights: give both or neither")
    if not bool(test_logits.isfinite().all() and selection_logits.isfinite().all()):
        raise NotFiniteError("an attacker answered with numbers not finite")
    bits = []
    for index in range(test_logits.shape[1]):
        labels, known = test_labels[:, index].double(), selection_labels[:, index].double()
        weights = _row_weights(labels, test_weights)
        known_weights = _row_weights(known, selection_weights)
        answers = calibrated(
            test_logits[:, index].double(),
            selection_logits[:, index].double(),
            known,
            known_weights,
        )
        if test_weights is None:
            rates = [float(public_rates[index]), float((known * known_weights).sum())]
        else:
            rates = [0.5]
        uninformed = min(_log_loss(rate_logit(rate, labels), labels, weights) for rate in rates)
        bits.append(max(0.0, uninformed - _log_loss(answers, labels, weights)))
    return torch.tensor(bits, dtype=torch.float64) / math.log(2)


def _row_weights(labels: Tensor, category_weights: Tensor | None) -> Tensor:
    """What each image counts, [N], 1 in sum; with categories one half for each value."""
    if category_weights is None:
        return torch.full_like(labels, 1 / len(labels))
    return balanced_weights(labels, category_weights)


def _log_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> float:
    """Weighted cross-entropy in nats; takes logits, not probabilities."""
    losses = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return float((losses * weights).sum() / weights.sum())
