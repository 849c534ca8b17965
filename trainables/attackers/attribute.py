"""The attribute attack: a fresh classifier of the private attributes behind the frozen encoder."""

from collections.abc import Iterable

import torch
from torch import nn

from trainables.attackers.base import Attacker, AttackerConfig, Kind, Target
from trainables.encodings import CodeBatch
from trainables.losses import balanced_attribute_loss
from trainables.nets.backbones import build_classifier
from trainables.scores import Scores, attribute_scores


class AttributeConfig(AttackerConfig):
    """The same architecture as the service's own classifier behind the cut."""

    @property
    def kind(self) -> Kind:
        """An attribute attack, scored by balanced accuracy."""
        return "attribute"


class AttributeAttacker(Attacker):
    """Infers all private attributes at once; its score is their mean balanced accuracy."""

    config: AttributeConfig

    def __init__(self, config: AttributeConfig, target: Target) -> None:
        if not target.private_columns:
            raise ValueError(f"attacker {config.name!r} needs data.private: no attribute is named")
        self.config = config
        self.names = target.private_names
        self.columns = list(target.private_columns)
        self.categorical = target.categorical
        self.rates = torch.tensor(target.positive_rates, device=target.device)
        if not bool(((self.rates > 0) & (self.rates < 1)).all()):
            raise ValueError(
                f"private attributes {self.names} have rates {target.positive_rates} in the public "
                "split: an attacker needs examples of both values"
            )
        if len(self.columns) < target.num_categories:
            # One category is rare among many: equal parts of each private one and of all others.
            self.task = target.private_columns
            self.rates = torch.full_like(self.rates, 1 / (len(self.columns) + 1))
        self.classifier = build_classifier(target.model, target.spec, len(self.columns))
        self.classifier.to(target.device)
        self.optimiser = torch.optim.Adam(self.classifier.parameters(), fused=True)

    def nets(self) -> dict[str, nn.Module]:
        """The classifier."""
        return {"classifier": self.classifier}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """The classifier's."""
        return {"classifier": self.optimiser}

    def train_step(self, batch: CodeBatch) -> None:
        """One step of class-balanced cross-entropy on true labels."""
        self.classifier.train()
        logits = self.classifier(batch.codes)
        loss = balanced_attribute_loss(logits, batch.labels[:, self.columns], self.rates)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()

    @torch.no_grad()
    def evaluate(self, batches: Iterable[CodeBatch]) -> Scores:
        """Balanced accuracy, accuracy, AUC and majority rate of each private attribute."""
        self.classifier.eval()
        pairs = [(self.classifier(batch.codes), batch.labels) for batch in batches]
        return attribute_scores(self.config.name, pairs, self.columns, self.names, self.categorical)
