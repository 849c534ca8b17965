"""What every protector is to the trial that trains it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from trainables.data.batches import Batch
from trainables.nets.backbones import CodeSpec, build_classifier, build_encoder, code_spec
from trainables.nets.config import ModelConfig
from trainables.protectors.config import ProtectorConfig, staged_rate

NextBatch = Callable[[], Batch]
"""Hands over the next batch of one split; called as often as an update needs."""


@dataclass(frozen=True)
class Setting:
    """What a protector must know about the study around it.

    Attributes:
        model: The network and its cut.
        height: Image height in pixels.
        width: Image width in pixels.
        utility_columns: Columns of the labels that the service predicts.
        device: Where the nets live.
        perceptual: The frozen network `g`, or None where no term needs it.
    """

    model: ModelConfig
    height: int
    width: int
    utility_columns: tuple[int, ...]
    device: torch.device
    perceptual: nn.Module | None = None

    @property
    def code(self) -> CodeSpec:
        """The shape of z."""
        return code_spec(self.model, self.height, self.width)


class Protector(ABC):
    """An encoder and `f` in training, with whatever adversaries the method trains against.

    Attributes:
        config: The method's settings.
        setting: The study around it.
        encoder: `Enc`, images to z.
        head: `f` after the cut, z to utility logits.
    """

    needs_public: ClassVar[bool] = True

    def __init__(self, config: ProtectorConfig, setting: Setting) -> None:
        self.config = config
        self.setting = setting
        self.encoder = build_encoder(setting.model).to(setting.device)
        self.head = build_classifier(setting.model, setting.code, len(setting.utility_columns)).to(
            setting.device
        )
        self.rounds = 0
        self.optimiser = torch.optim.Adam(
            [*self.encoder.parameters(), *self.head.parameters()], lr=config.encoder_lr, fused=True
        )

    def round(self, private: NextBatch, public: NextBatch) -> dict[str, Tensor]:
        """Runs one round and returns its loss terms, detached and still on the device.

        Nothing here waits for the device: the trial reads the terms when it reports.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = staged_rate(self.config, self.rounds)
        terms = self.update(private, public)
        self.rounds += 1
        return terms

    @abstractmethod
    def update(self, private: NextBatch, public: NextBatch) -> dict[str, Tensor]:
        """The method's updates of one round."""

    def utility_labels(self, batch: Batch) -> Tensor:
        """Returns the labels that `f` predicts, [B, U]."""
        return batch.labels[:, list(self.setting.utility_columns)]

    @torch.no_grad()
    def utility_logits(self, images: Tensor) -> Tensor:
        """Returns `f(Enc(x))` with both nets in evaluation mode, [B, U]."""
        self.encoder.eval()
        self.head.eval()
        logits: Tensor = self.head(self.encoder(images))
        return logits

    def in_loop_decoder(self) -> nn.Module | None:
        """Returns the in-loop reconstruction adversary, or None where the method has none."""
        return None

    def nets(self) -> dict[str, nn.Module]:
        """Every net of the method by name; all of them are checkpointed."""
        return {"encoder": self.encoder, "head": self.head}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimiser of the method by name."""
        return {"protector": self.optimiser}

    def state_dict(self) -> dict[str, Any]:
        """All state: nets, optimisers, completed rounds."""
        return {
            "rounds": self.rounds,
            "nets": {name: net.state_dict() for name, net in self.nets().items()},
            "optimisers": {name: part.state_dict() for name, part in self.optimisers().items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self.rounds = state["rounds"]
        for name, net in self.nets().items():
            net.load_state_dict(state["nets"][name])
        for name, part in self.optimisers().items():
            part.load_state_dict(state["optimisers"][name])
