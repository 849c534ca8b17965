"""Re-identification: which of the gallery's people sent this code?

Beyond the papers. The attacker holds one picture of each person it looks for, turned into features
by the face-verification network Φ, and asks whose features are nearest to M(z), learned as in the
feature-level attack but for retrieval. Reconstructions are looked up the same way, by Φ(x̂); see
`trainables.people.reidentify`.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from trainables.attackers.base import AttackerConfig, Kind, Target
from trainables.attackers.feature import FeatureRegressor, feature_loss
from trainables.encodings import CodeBatch
from trainables.people import reidentify
from trainables.scores import Scores

SHORTEST = 0.1
"""Length below which M(z) is not scaled to 1 in the contrastive loss: an untrained M answers 0, and
the gradient of a direction grows without bound towards it."""
_ROWS_AT_ONCE = 1024


class ReidentifyConfig(AttackerConfig):
    """A regressor of Φ's features that is trained to tell people apart.

    Attributes:
        channels: Of its convolutions.
        hidden: Width of its fully connected layers.
        contrast: Weight of the contrastive loss beside the feature loss.
        temperature: Divides the cosines in it.
    """

    channels: int = Field(default=64, ge=1)
    hidden: int = Field(default=512, ge=1)
    contrast: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=0.1, gt=0)

    @property
    def kind(self) -> Kind:
        """Re-identification, scored by rank-1."""
        return "identity"

    @property
    def needs_identity(self) -> bool:
        """Φ tells the people apart."""
        return True


def contrastive_loss(
    predicted: Tensor, features: Tensor, people: Tensor | None, temperature: float
) -> Tensor:
    """InfoNCE over the batch: which of its images is the one that M(z) was made from?

    The cross-entropy of a softmax over the batch's Φ(x), by cosine over `temperature`. Other images
    of the same person are as right as the image itself and share its weight.

    Args:
        predicted: M(z), [B, D].
        features: Φ(x), [B, D].
        people: [B], who is on each image; None where nobody knows: then everybody is another.
        temperature: Above 0.
    """
    cosines = F.normalize(predicted, eps=SHORTEST) @ F.normalize(features).T
    if people is None:
        people = torch.arange(len(predicted), device=predicted.device)
    same = (people.view(-1, 1) == people.view(1, -1)).to(cosines.dtype)
    return F.cross_entropy(cosines / temperature, same / same.sum(dim=1, keepdim=True))


def own_image_rank(predicted: Tensor, features: Tensor, people: Tensor | None) -> float:
    """How near M(z) is to each image's own Φ(x), by rank among those of all other people.

    The mean of 1 − log(rank) / log(last rank): 1 where each is its own nearest, 0 where each comes
    last, 1 / log(last rank) or so by chance. In the logarithm coming from the thousandth to the
    hundredth place counts as much as from there to the tenth, so that whoever learns slowly in a
    large split is seen to. Of features that tie, half come first.

    Args:
        predicted: M(z), [N, D].
        features: Φ(x), [N, D].
        people: [N], or None: then everybody is another.
    """
    if people is None:
        people = torch.arange(len(predicted), device=predicted.device)
    unit, total = F.normalize(features).double(), 0.0
    # In rows: all pairs of a large split would not fit into memory.
    for start in range(0, len(predicted), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        cosines = F.normalize(predicted[rows]).double() @ unit.T
        own = cosines.diagonal(start).unsqueeze(1)
        others = people[rows].view(-1, 1) != people.view(1, -1)
        before = ((cosines > own) & others).sum(dim=1) + ((cosines == own) & others).sum(dim=1) / 2
        last = torch.log1p(others.sum(dim=1).double()).clamp_min(1e-9)
        total += float((1 - torch.log1p(before) / last).sum())
    return total / len(predicted)


class ReidentifyAttacker(FeatureRegressor):
    """Finds people in a gallery; its score is rank-1."""

    config: ReidentifyConfig

    def __init__(self, config: ReidentifyConfig, target: Target) -> None:
        super().__init__(config, target, config.channels, config.hidden)

    def loss(self, predicted: Tensor, features: Tensor, batch: CodeBatch) -> Tensor:
        """`feature_loss` plus the weighted `contrastive_loss`."""
        contrast = contrastive_loss(predicted, features, batch.people, self.config.temperature)
        return feature_loss(predicted, features) + self.config.contrast * contrast

    def evaluate(self, batches: Iterable[CodeBatch]) -> Scores:
        """Rank-1, rank-5, TPR at 1% FMR, the chance of rank-1 and the number of probes.

        Raises:
            ValueError: If the batches do not say who is on the images, or as `reidentify`.
        """
        predicted, features, people = self._collect(batches)
        if people is None:
            raise ValueError(
                f"attacker {self.config.name!r} needs to know who is on each image: use data with "
                "identities (avatars, celeba)"
            )
        scores = reidentify(predicted, features, people)
        rank1 = scores["rank1"]
        error = (rank1 * (1 - rank1) / scores["num_probes"]) ** 0.5
        return Scores(rank1, scores, error=error)

    def monitor(self, batches: Iterable[CodeBatch]) -> float:
        """`own_image_rank` over all images of the split.

        Few people have two images in a small selection split: rank-1 over them is too coarse to
        stop by. This asks the same of every image.
        """
        return own_image_rank(*self._collect(batches))

    def _collect(self, batches: Iterable[CodeBatch]) -> tuple[Tensor, Tensor, Tensor | None]:
        """M(z), Φ(x) and the people of all batches."""
        predicted, features, people = [], [], []
        for batch in batches:
            predicted.append(self.predict(batch))
            features.append(self.features_of(batch))
            people.append(batch.people)
        known = [part for part in people if part is not None]
        who = torch.cat(known) if len(known) == len(people) else None
        return torch.cat(predicted), torch.cat(features), who
