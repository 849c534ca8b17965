"""The in-loop adversaries as attackers: scored as they stood at the end of training, not retrained.

They are attackers of every suite: an encoder leaks at least what its own adversary reads.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainables.attackers.base import Kind, Target
from trainables.encodings import Encodings
from trainables.frozen import InLoop
from trainables.scores import Scores, attribute_scores, reconstruction_scores

IN_LOOP = "in_loop"
"""Name of the attacker that is the in-loop decoder as it stands at the end of training."""
IN_LOOP_ATTRIBUTE = "in_loop_attribute"
"""Likewise of the in-loop attribute classifier."""
IN_LOOP_NAMES = (IN_LOOP, IN_LOOP_ATTRIBUTE)
"""Both: adversaries that are evaluated as they are, not trained again."""


@dataclass(frozen=True)
class InLoopScores:
    """What an in-loop adversary reads from a frozen encoder.

    Attributes:
        name: One of `IN_LOOP_NAMES`.
        kind: What it is after.
        selection: Its scores on the selection split.
        test: Its scores on the test split.
        reconstruct: Standardised codes to images; None for the classifier.
    """

    name: str
    kind: Kind
    selection: Scores
    test: Scores
    reconstruct: Callable[[Tensor], Tensor] | None = None


def in_loop_scores(
    in_loop: InLoop, encodings: Encodings, target: Target
) -> Iterator[Callable[[], InLoopScores]]:
    """Yields one piece of work per adversary that there is."""
    if in_loop.decoder is not None:
        yield functools.partial(_decoder, in_loop.decoder, encodings, target)
    if in_loop.classifier is not None:
        yield functools.partial(_classifier, in_loop.classifier, encodings, target)


@torch.no_grad()
def _as_sent(net: nn.Module, encodings: Encodings, codes: Tensor) -> Tensor:
    """An in-loop adversary's answer to codes as the encoder sends them, not standardised."""
    answer: Tensor = net(codes * encodings.scale + encodings.mean)
    return answer


def _decoder(decoder: nn.Module, encodings: Encodings, target: Target) -> InLoopScores:
    reconstruct = functools.partial(_as_sent, decoder, encodings)

    def scores(split: str) -> Scores:
        answered = (
            (reconstruct(batch.codes), batch.images, batch.features)
            for batch in encodings.split_batches(split)
        )
        return reconstruction_scores(answered, target.features)

    selection, test = scores("selection"), scores("test")
    return InLoopScores(IN_LOOP, "reconstruction", selection, test, reconstruct)


def _classifier(classifier: nn.Module, encodings: Encodings, target: Target) -> InLoopScores:
    def scores(split: str) -> Scores:
        pairs = [
            (_as_sent(classifier, encodings, batch.codes), batch.labels)
            for batch in encodings.split_batches(split)
        ]
        columns, names = target.private_columns, target.private_names
        return attribute_scores(IN_LOOP_ATTRIBUTE, pairs, columns, names, target.categorical)

    return InLoopScores(IN_LOOP_ATTRIBUTE, "attribute", scores("selection"), scores("test"))
