"""The undefended encoder and the reference point that sends labels alone."""

from typing import ClassVar, Literal

from torch import Tensor

from trainables.losses import utility_loss
from trainables.protectors.base import NextBatch, Protector
from trainables.protectors.config import ProtectorConfig
from trainables.settings import Settings


class NoneConfig(ProtectorConfig):
    """No defence: the encoder and `f` minimise `L_u` alone (`reconstruction` at λ1 = λ2 = 0)."""

    name: Literal["none"] = "none"


class LabelsConfig(Settings):
    """The reference point: z is the true utility labels (methods, section 2.4); nothing trains."""

    name: Literal["labels"] = "labels"


class Undefended(Protector):
    """Trains for utility alone: what the same network leaks when nobody defends it."""

    needs_public: ClassVar[bool] = False
    config: NoneConfig

    def update(self, private: NextBatch, public: NextBatch) -> dict[str, Tensor]:
        """One update of the encoder and `f` on `L_u`, both in training mode."""
        batch = private()
        self.encoder.train()
        self.head.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss = utility_loss(self.head(self.encoder(batch.images)), self.utility_labels(batch))
        loss.backward()
        self.optimiser.step()
        return {"utility_loss": loss.detach()}
