"""Averages of weights along a training: what an attacker is followed and scored by.

At a constant rate weights jitter around where they are heading, those of a decoder with an
adversary of its own most of all. Their moving average is nearer to it (Polyak and Juditsky, 1992),
and its score is a smoother curve to stop by.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

DECAY = 0.99
"""What is left of the average after a step: it looks back over some hundred."""


class WeightAverages:
    """Exponential moving averages of several nets' weights and running statistics.

    Args:
        nets: By name; they stay as they are.
        decay: In [0, 1).
    """

    def __init__(self, nets: Mapping[str, nn.Module], decay: float = DECAY) -> None:
        self._averages = {
            name: AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
            for name, net in nets.items()
        }

    def update(self, nets: Mapping[str, nn.Module]) -> None:
        """Takes the nets' present weights in; the first ones are taken as they are."""
        for name, average in self._averages.items():
            average.update_parameters(nets[name])

    def restart(self) -> None:
        """Forgets what was taken in: the next weights are taken as they are."""
        for average in self._averages.values():
            average.n_averaged.zero_()

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Returns a copy of each average, as `Attacker.weights` does."""
        return {
            name: {
                key: value.detach().clone() for key, value in average.module.state_dict().items()
            }
            for name, average in self._averages.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        return {name: average.state_dict() for name, average in self._averages.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        for name, average in self._averages.items():
            average.load_state_dict(state[name])
