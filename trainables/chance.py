"""Whether an attacker has learned anything at all: its score when codes and images are shuffled.

An attacker of a defended encoder can lie still for thousands of steps, drawing the mean image or
guessing, before it finds what the code tells. A rule that waits for a score to stop improving would
call it saturated there.
"""

import statistics
from collections.abc import Callable, Iterable, Iterator

import torch

from trainables.encodings import CodeBatch

SHUFFLES = 6
DEVIATIONS = 3.0
"""By how many of the shuffled scores' deviations a score must stand above them."""


def at_chance(
    score: float,
    monitor: Callable[[Iterable[CodeBatch]], float],
    batches: Callable[[], Iterable[CodeBatch]],
    min_delta: float,
) -> bool:
    """Whether a score is no better than what the same weights get from other images' codes.

    Args:
        score: What the attacker gets.
        monitor: Scores it on batches.
        batches: The same split, as often as it is called.
        min_delta: Difference of scores that counts as one.
    """
    by_chance = [monitor(_shuffled(batches(), seed)) for seed in range(SHUFFLES)]
    margin = max(min_delta, DEVIATIONS * statistics.stdev(by_chance))
    return score < statistics.fmean(by_chance) + margin


def _shuffled(batches: Iterable[CodeBatch], seed: int) -> Iterator[CodeBatch]:
    """Every image with the code of another one of its batch."""
    generator = torch.Generator().manual_seed(seed)
    for batch in batches:
        order = torch.randperm(len(batch.codes), generator=generator).to(batch.codes.device)
        yield batch._replace(codes=batch.codes[order])
