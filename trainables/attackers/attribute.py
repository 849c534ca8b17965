"""The attribute attack: a fresh classifier of the private attributes behind the frozen encoder."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from trainables import metrics
from trainables.attackers.base import Attacker, AttackerConfig, Kind, Scores, Target
from trainables.encodings import CodeBatch
from trainables.losses import balanced_attribute_loss
from trainables.nets.backbones import build_classifier


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
        self.rates = torch.tensor(target.positive_rates, device=target.device)
        if not bool(((self.rates > 0) & (self.rates < 1)).all()):
            raise ValueError(
                f"private attributes {self.names} have rates {target.positive_rates} in the public "
                "split: an attacker needs examples of both values"
            )
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
        pairs = [(self.classifier(b.codes), b.labels[:, self.columns]) for b in batches]
        logits, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        # A NaN is not above the threshold: it would pass for a "no" and look like privacy.
        if not bool(logits.isfinite().all()):
            raise ValueError(f"attacker {self.config.name!r} answered with numbers not finite")
        figures: dict[str, Tensor] = {
            "balanced_accuracy": metrics.balanced_accuracy(logits, labels),
            "accuracy": metrics.accuracy(logits, labels),
            "auc": metrics.auc(logits, labels),
            "majority": metrics.majority_rate(labels),
        }
        named = {
            f"{figure}/{name}": float(values[index])
            for figure, values in figures.items()
            for index, name in enumerate(self.names)
        }
        return Scores(float(figures["balanced_accuracy"].mean()), named)
