"""The feature-level attack: Φ's features of the image, regressed from the code (Xiao, eq. 10).

Faces need not be drawn to be recognised: whoever can tell from z what a face-verification network
Φ answers for x can look the person up.
"""

import math
from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from trainables.attackers.base import Attacker, AttackerConfig, Features, Kind, Target
from trainables.encodings import CodeBatch
from trainables.nets.blocks import resnet_block
from trainables.nets.layers import CodeSpec, ConvStack, conv_norm_relu, initialise
from trainables.scores import NotFiniteError, Scores, error_of_mean

MAX_GRID = 8
"""Cells on the longer side of the map that the fully connected layers read."""
DROPOUT = 0.5
"""Small public sets are memorised at once; without it the features of new faces come out worse."""


class FeatureConfig(AttackerConfig):
    """A regressor of Φ's features.

    Attributes:
        channels: Of its convolutions.
        hidden: Width of its fully connected layers.
    """

    channels: int = Field(default=64, ge=1)
    hidden: int = Field(default=512, ge=1)

    @property
    def kind(self) -> Kind:
        """A feature attack, scored by the cosine of features."""
        return "feature"

    @property
    def needs_identity(self) -> bool:
        """Φ is what it learns."""
        return True


class _FromVectorCode(nn.Module):
    """A linear map and a perceptron of two hidden layers, added: [B, F] to [B, D].

    A code that holds Φ(x) in another basis is read off at once by the linear part.
    """

    def __init__(self, features: int, hidden: int, num_outputs: int) -> None:
        super().__init__()
        self.linear = _last_layer(features, num_outputs)
        self.perceptron = ConvStack(
            *_hidden_layer(features, hidden),
            *_hidden_layer(hidden, hidden),
            _last_layer(hidden, num_outputs),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Returns [B, D]."""
        predicted: Tensor = self.linear(z) + self.perceptron(z)
        return predicted


def _hidden_layer(in_features: int, out_features: int) -> list[nn.Module]:
    return [
        nn.Linear(in_features, out_features, bias=False),
        nn.BatchNorm1d(out_features),
        nn.ReLU(inplace=True),
        nn.Dropout(DROPOUT),
    ]


def _last_layer(in_features: int, num_outputs: int) -> nn.Module:
    """A linear layer that answers 0 at first: at length 1 every value of Φ(x) is small."""
    last = nn.Linear(in_features, num_outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return last


def build_regressor(spec: CodeSpec, channels: int, hidden: int, num_outputs: int) -> nn.Module:
    """Builds `M`: codes to features [B, num_outputs].

    First comes a normalisation without parameters, as in the decoders. A map is halved until no
    side is above 8 cells, gets a residual block, and is read position by position: faces are
    aligned, and what is where tells them apart. Measured on 1,600 public images against the rest
    of the backbone, which averages over positions: a cosine of 0.28 instead of 0.24.
    """
    if len(spec.shape) == 1:
        norm: nn.Module = nn.BatchNorm1d(spec.shape[0], affine=False)
        return ConvStack(norm, _FromVectorCode(spec.shape[0], hidden, num_outputs))
    current, height, width = spec.shape
    parts: list[nn.Module] = [nn.BatchNorm2d(current, affine=False)]
    while max(height, width) > MAX_GRID:
        parts += [
            nn.Conv2d(current, channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
        current, height, width = channels, math.ceil(height / 2), math.ceil(width / 2)
    if current != channels:
        parts += conv_norm_relu(current, channels)
    regressor = ConvStack(
        *parts,
        resnet_block(channels, channels),
        nn.Flatten(),
        nn.Dropout(DROPOUT),
        *_hidden_layer(channels * height * width, hidden),
        _last_layer(hidden, num_outputs),
    )
    initialise(regressor)
    return regressor.to(memory_format=torch.channels_last)


def feature_loss(predicted: Tensor, features: Tensor) -> Tensor:
    """`‖M(z) − Φ(x)‖²`, summed over features, mean over the batch (Xiao, eq. 10).

    Φ(x) is taken at length 1. Faces are compared by cosine, which knows no length, and the
    minimiser `E[Φ(x)/‖Φ(x)‖ given z]` then points where the expected cosine is highest: the loss
    asks for exactly what the attack is scored by. OpenFace, the paper's Φ, gives length 1 as is.

    Args:
        predicted: M(z), [B, D].
        features: Φ(x), [B, D], of any length.
    """
    return (predicted - F.normalize(features)).square().sum(dim=1).mean()


class FeatureRegressor(Attacker):
    """What the attackers that regress Φ's features share; they differ in loss and score.

    Attributes:
        features: Φ, for batches that came without its features.
        regressor: M.
    """

    wants_features: ClassVar[bool] = True

    def __init__(self, config: AttackerConfig, target: Target, channels: int, hidden: int) -> None:
        if target.features is None:
            raise ValueError(
                f"attacker {config.name!r} learns the identity model's features, but the study has "
                "no identity model"
            )
        self.config = config
        self.features: Features = target.features
        with torch.no_grad():
            blank = torch.zeros(1, 3, target.height, target.width, device=target.device)
            num_features = self.features(blank).shape[1]
        self.regressor = build_regressor(target.spec, channels, hidden, num_features)
        self.regressor.to(target.device)
        self.optimiser = torch.optim.Adam(self.regressor.parameters(), fused=True)

    @abstractmethod
    def loss(self, predicted: Tensor, features: Tensor, batch: CodeBatch) -> Tensor:
        """The loss of M(z), [B, D], against Φ(x), [B, D]."""

    def nets(self) -> dict[str, nn.Module]:
        """The regressor."""
        return {"regressor": self.regressor}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """The regressor's."""
        return {"regressor": self.optimiser}

    def train_step(self, batch: CodeBatch) -> None:
        """One step on public codes; Φ stays as it is."""
        features = self.features_of(batch)
        self.regressor.train()
        loss = self.loss(self.regressor(batch.codes), features, batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()

    @torch.no_grad()
    def features_of(self, batch: CodeBatch) -> Tensor:
        """Φ(x) as the batch has it, computed where it has none."""
        return self.features(batch.images) if batch.features is None else batch.features

    @torch.no_grad()
    def predict(self, batch: CodeBatch) -> Tensor:
        """M(z), [B, D], in evaluation mode.

        Raises:
            NotFiniteError: If it is not finite: a NaN would look like privacy.
        """
        self.regressor.eval()
        predicted: Tensor = self.regressor(batch.codes)
        if not bool(predicted.isfinite().all()):
            raise NotFiniteError(f"attacker {self.config.name!r} answered with numbers not finite")
        return predicted


class FeatureAttacker(FeatureRegressor):
    """Regresses Φ(x); its score is the mean cosine of M(z) and Φ(x)."""

    config: FeatureConfig

    def __init__(self, config: FeatureConfig, target: Target) -> None:
        super().__init__(config, target, config.channels, config.hidden)

    def loss(self, predicted: Tensor, features: Tensor, batch: CodeBatch) -> Tensor:
        """`feature_loss`."""
        return feature_loss(predicted, features)

    def evaluate(self, batches: Iterable[CodeBatch]) -> Scores:
        """`feature_similarity`: the mean cosine of Φ(x) and M(z) (methods, section 4)."""
        cosines, answers = [], []
        for batch in batches:
            answers.append(self.predict(batch))
            cosines.append(F.cosine_similarity(answers[-1], self.features_of(batch)))
        each = torch.cat(cosines).double().cpu()
        mean = float(each.mean())
        found = {"feature_similarity": mean}
        return Scores(mean, found, each, error_of_mean(each), torch.cat(answers).cpu())
