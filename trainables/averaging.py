"""Averages of weights along a training: what an attacker is followed and scored by.

At a constant rate weights jitter around where they are heading, those of a decoder with an
adversary of its own most of all. Their moving average is nearer to it (Polyak and Juditsky, 1992),
and its score is a smoother curve to stop by.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

DECAY = 0.99
"""What is left of the average after a step: it looks back over some hundred."""

Weights = dict[str, Tensor]


class WeightAverages:
    """Exponential moving averages of several nets' weights and running statistics.

    One call of `torch._foreach_lerp_` for all of them: `torch.optim.swa_utils.AveragedModel` looks
    through the nets at every step, which takes a small attacker as long as its step.

    Args:
        nets: By name; they stay as they are, and keep their weights where they are in memory.
        decay: In [0, 1).
    """

    def __init__(self, nets: Mapping[str, nn.Module], decay: float = DECAY) -> None:
        self._decay, self._taken = decay, 0
        present = {name: net.state_dict() for name, net in nets.items()}
        self._averages: dict[str, Weights] = {
            name: {key: value.clone() for key, value in weights.items()}
            for name, weights in present.items()
        }
        pairs = [
            (average, present[name][key])
            for name, weights in self._averages.items()
            for key, average in weights.items()
        ]
        # Counters are no weights: of them the latest is kept.
        self._weights = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Takes the nets' present weights in; the first ones are taken as they are."""
        averages, present = (list(column) for column in zip(*self._weights, strict=True))
        if self._taken:
            torch._foreach_lerp_(averages, present, 1 - self._decay)
        else:
            torch._foreach_copy_(averages, present)
        for average, counter in self._counters:
            average.copy_(counter)
        self._taken += 1

    def restart(self) -> None:
        """Forgets what was taken in: the next weights are taken as they are."""
        self._taken = 0

    def weights(self) -> dict[str, Weights]:
        """Returns a copy of each average, as `Attacker.weights` does."""
        return {
            name: {key: value.clone() for key, value in weights.items()}
            for name, weights in self._averages.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {"taken": self._taken, "averages": self.weights()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self._taken = int(state["taken"])
        for name, weights in self._averages.items():
            for key, average in weights.items():
                average.copy_(state["averages"][name][key])
