"""What every attacker is to the loop that saturates it.

The base owns what must be the same for all (scores, in-place optimiser, best weights); a family
owns its nets, its training step and its score.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from trainables.encodings import CodeBatch
from trainables.nets.backbones import CodeSpec
from trainables.nets.config import ModelConfig
from trainables.scores import Scores
from trainables.settings import Settings

Kind = Literal["reconstruction", "attribute"]


class AttackerConfig(Settings):
    """Fixed hyperparameters of one named attacker.

    Attributes:
        name: The attacker's name in tables.
    """

    name: str

    @property
    def kind(self) -> Kind:
        """What the attacker is after; decides its score."""
        raise TypeError(f"{type(self).__name__} does not say its kind")

    @property
    def needs_perceptual(self) -> bool:
        """Whether its loss uses `g`."""
        return False


@dataclass(frozen=True)
class Target:
    """What an attacker must know about the encoder it attacks.

    Attributes:
        spec: Shape of the codes.
        model: The network the encoder is a part of.
        height: Image height in pixels.
        width: Image width in pixels.
        private_columns: Label columns of the private attributes.
        private_names: Their names.
        positive_rates: Their rates in the public split, [P].
        device: Where the nets live.
        perceptual: The frozen network `g`, or None.
        num_categories: Number of categories where the attributes are such, one per image; else 0.
    """

    spec: CodeSpec
    model: ModelConfig
    height: int
    width: int
    private_columns: tuple[int, ...]
    private_names: tuple[str, ...]
    positive_rates: tuple[float, ...]
    device: torch.device
    perceptual: nn.Module | None = None
    num_categories: int = 0

    @property
    def categorical(self) -> bool:
        """Whether the attributes are categories."""
        return self.num_categories > 0


class Attacker(ABC):
    """One attacker in training.

    Attributes:
        config: Its hyperparameters.
        task: Label columns by which its batches are balanced; none for plain batches.
    """

    config: AttackerConfig
    task: tuple[int, ...] = ()

    @abstractmethod
    def nets(self) -> dict[str, nn.Module]:
        """Every net of the attacker by name."""

    @abstractmethod
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimiser of the attacker by name."""

    @abstractmethod
    def train_step(self, batch: CodeBatch) -> None:
        """One update on public codes; nets are in training mode."""

    @abstractmethod
    def evaluate(self, batches: Iterable[CodeBatch]) -> Scores:
        """Scores the attacker on a split, nets in evaluation mode."""

    def set_rate(self, rate: float) -> None:
        """Sets the learning rate of every optimiser."""
        for optimiser in self.optimisers().values():
            for group in optimiser.param_groups:
                group["lr"] = rate

    def weights(self) -> dict[str, dict[str, Tensor]]:
        """Returns a copy of every net's state dict."""
        return {
            name: {key: value.detach().clone() for key, value in net.state_dict().items()}
            for name, net in self.nets().items()
        }

    def load_weights(self, weights: dict[str, dict[str, Tensor]]) -> None:
        """Restores what `weights` returned."""
        for name, net in self.nets().items():
            net.load_state_dict(weights[name])

    def state_dict(self) -> dict[str, Any]:
        """Nets and optimisers."""
        return {
            "nets": self.weights(),
            "optimisers": {name: part.state_dict() for name, part in self.optimisers().items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self.load_weights(state["nets"])
        for name, part in self.optimisers().items():
            part.load_state_dict(state["optimisers"][name])
