"""What every attacker is to the loop that saturates it.

The base owns what must be the same for all (scores, in-place optimiser, best weights); a family
owns its nets, its training step and its score.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from trainables.encodings import CodeBatch
from trainables.metrics import ssim
from trainables.nets.backbones import CodeSpec
from trainables.nets.config import ModelConfig
from trainables.scores import Scores, reconstruction_scores
from trainables.settings import Settings

Kind = Literal["reconstruction", "attribute", "feature", "identity"]
MONITORED = 128
"""Images on which reconstructions are compared by Φ while an attacker trains."""
Features = Callable[[Tensor], Tensor]
"""The identity model Φ: images [B, 3, H, W] in [0, 1] to features [B, D]."""


class AttackerConfig(Settings):
    """Fixed hyperparameters of one named attacker.

    Attributes:
        name: The attacker's name in tables.
        data: Share of the public split it trains on; the smaller shares are parts of the larger.
        extra: Whether it trains on `data.extra_public` too; those images have no attributes.
        budget: Steps after which it stops, saturated or not; None for `attack.max_steps`.
    """

    name: str
    data: float = Field(default=1.0, gt=0, le=1)
    extra: bool = False
    budget: int | None = Field(default=None, ge=1)

    @property
    def kind(self) -> Kind:
        """What the attacker is after; decides its score."""
        raise TypeError(f"{type(self).__name__} does not say its kind")

    @property
    def needs_perceptual(self) -> bool:
        """Whether its loss uses `g`."""
        return False

    @property
    def needs_identity(self) -> bool:
        """Whether it learns or is scored by the identity model Φ; without one it is left out."""
        return False

    @property
    def white_box(self) -> bool:
        """Whether it sees the encoder's gradients: a stronger threat than the black-box one."""
        return False

    @property
    def counts(self) -> bool:
        """Whether its leakage is a part of the worst black-box leakage.

        What was weakened on purpose, as a rung of the strength ladder, says nothing about the
        worst attacker, and its budget nothing about saturation.
        """
        return self.data == 1 and self.budget is None and not self.white_box


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
        features: The identity model Φ, frozen; None if the study has none.
        encode: The encoder as a function of images that passes gradients, to standardised codes;
            None where there is none that could (a stochastic encoder, the true labels).
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
    features: Features | None = None
    encode: Callable[[Tensor], Tensor] | None = None

    @property
    def categorical(self) -> bool:
        """Whether the attributes are categories."""
        return self.num_categories > 0


class Attacker(ABC):
    """One attacker in training.

    Attributes:
        config: Its hyperparameters.
        task: Label columns by which its batches are balanced; none for plain batches.
        trains: Whether it learns from public codes; one that does not is scored as it is.
        wants_features: Whether the batches it learns from must hold Φ's features of the images.
    """

    config: AttackerConfig
    task: tuple[int, ...] = ()
    trains: ClassVar[bool] = True
    wants_features: ClassVar[bool] = False

    @abstractmethod
    def nets(self) -> dict[str, nn.Module]:
        """Every net of the attacker by name."""

    @abstractmethod
    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimiser of the attacker by name."""

    @abstractmethod
    def train_step(self, batch: CodeBatch) -> None:
        """One update on public codes; nets are in training mode."""

    def settle(self, selection: Iterable[CodeBatch]) -> None:  # noqa: B027  most fit nothing
        """Fits an operating point to the selection split, once the weights are final."""

    @abstractmethod
    def evaluate(self, batches: Iterable[CodeBatch]) -> Scores:
        """Scores the attacker on a split, nets in evaluation mode."""

    def monitor(self, batches: Iterable[CodeBatch]) -> float:
        """The score that saturation is judged by, on the selection split.

        By default that of `evaluate`; a family whose score takes long has a cheaper one here.
        """
        return self.evaluate(batches).score

    def monitored(self, batches: Iterable[CodeBatch]) -> tuple[float, ...]:
        """The score as `monitor`, then any other measure whose rise shows that it learns still."""
        return (self.monitor(batches),)

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


class Reconstructor(Attacker):
    """An attacker that rebuilds images.

    Its score is the mean cosine of Φ(x) and Φ(x̂) where there is an identity model, else SSIM.
    While it trains it is followed by the same measure, with Φ on a part of the split: Φ takes
    longer than the attacker itself. Then SSIM is followed too: to Φ blurred faces are nobody's, and
    its cosine stands still for thousands of steps in which they become clearer.

    Attributes:
        features: The identity model; None without one.
    """

    features: Features | None = None

    @abstractmethod
    def reconstruct(self, codes: Tensor) -> Tensor:
        """Returns images [B, 3, H, W] in [0, 1] for standardised codes, in evaluation mode."""

    def evaluate(self, batches: Iterable[CodeBatch]) -> Scores:
        """Every score of reconstructions; see `reconstruction_scores`."""
        answered = (
            (self.reconstruct(batch.codes), batch.images, batch.features) for batch in batches
        )
        return reconstruction_scores(answered, self.features)

    def monitor(self, batches: Iterable[CodeBatch]) -> float:
        """Mean SSIM or, with Φ, mean cosine on the first `MONITORED` images."""
        if self.features is not None:
            return self._followed(self.features, batches)[0]
        values = [ssim(self.reconstruct(batch.codes), batch.images) for batch in batches]
        return float(torch.cat(values).double().mean())

    def monitored(self, batches: Iterable[CodeBatch]) -> tuple[float, ...]:
        """Mean SSIM or, with Φ, mean cosine and mean SSIM, on the first `MONITORED` images."""
        if self.features is None:
            return super().monitored(batches)
        return self._followed(self.features, batches)

    def _followed(self, features: Features, batches: Iterable[CodeBatch]) -> tuple[float, float]:
        rebuilt: list[Tensor] = []
        images: list[Tensor] = []
        faces: list[Tensor] = []
        left = MONITORED
        for batch in batches:
            known = features(batch.images[:left]) if batch.features is None else batch.features
            rebuilt.append(self.reconstruct(batch.codes[:left]))
            images.append(batch.images[:left])
            faces.append(known[:left])
            left -= len(rebuilt[-1])
            if left <= 0:
                break
        answers = torch.cat(rebuilt)
        cosine = F.cosine_similarity(features(answers), torch.cat(faces))
        likeness = ssim(answers, torch.cat(images))
        return float(cosine.double().mean()), float(likeness.double().mean())
