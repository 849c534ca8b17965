"""Whether an attacker has learned next to nothing: its score when every image sends the same code.

An attacker of a defended encoder can lie still for thousands of steps, drawing the mean image or
guessing, before it finds what the code tells. A rule that waits for a score to stop improving would
call it saturated there.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from trainables.encodings import CodeBatch

NEAR = 5
"""A score nearer than so many `min_delta` to the one without codes is at chance. One would not do:
a decoder that draws the mean image and knows a little of its colours stands just above."""


def at_chance(
    score: float,
    monitor: Callable[[Iterable[CodeBatch]], float],
    batches: Callable[[], Iterable[CodeBatch]],
    min_delta: float,
) -> bool:
    """Whether a score is hardly better than what the same weights get from the mean code alone.

    The mean code makes a decoder draw about the mean image, and every other attacker say the same
    of everybody.

    Args:
        score: What the attacker gets.
        monitor: Scores it on batches.
        batches: The same split, as often as it is called.
        min_delta: Difference of scores that counts as an improvement.
    """
    mean = _mean_code(batches())
    blind = monitor(
        batch._replace(codes=mean.expand_as(batch.codes).contiguous()) for batch in batches()
    )
    return score < blind + NEAR * min_delta


def _mean_code(batches: Iterable[CodeBatch]) -> Tensor:
    """Of all batches, [1, *spec.shape]."""
    sums, count = [], 0
    for batch in batches:
        sums.append(batch.codes.sum(dim=0, keepdim=True))
        count += len(batch.codes)
    return torch.cat(sums).sum(dim=0, keepdim=True) / count
