"""The attribute attack: a fresh classifier of the private attributes behind the frozen encoder."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from trainables.attackers.base import Attacker, AttackerConfig, Kind, Target
from trainables.encodings import CodeBatch
from trainables.information import usable_information
from trainables.losses import balanced_attribute_loss
from trainables.metrics import category_weights
from trainables.nets.probes import Architecture, build_probe
from trainables.scores import Scores, attribute_scores


class AttributeConfig(AttackerConfig):
    """A classifier of private attributes.

    Attributes:
        architecture: `same` as the service's own classifier behind the cut, or one that no
            protector trains against: `other`, `linear`, `mlp`.
        only: The one private attribute it infers; None for all at once.
    """

    architecture: Architecture = "same"
    only: str | None = None

    @property
    def kind(self) -> Kind:
        """An attribute attack, scored by balanced accuracy."""
        return "attribute"


class AttributeAttacker(Attacker):
    """Infers private attributes; its score is their mean balanced accuracy.

    Args:
        config: Its hyperparameters.
        target: What is attacked.

    Raises:
        ValueError: If it has no attribute to infer, or one of which the public split has examples
            of one value alone.
    """

    config: AttributeConfig

    def __init__(self, config: AttributeConfig, target: Target) -> None:
        if not target.private_columns:
            raise ValueError(f"attacker {config.name!r} needs data.private: no attribute is named")
        own = [
            index for index, name in enumerate(target.private_names) if config.only in (None, name)
        ]
        if not own:
            known = ", ".join(target.private_names)
            raise ValueError(
                f"attacker {config.name!r} infers {config.only!r}, which is not private: {known}"
            )
        self.config = config
        self.names = tuple(target.private_names[index] for index in own)
        self.columns = [target.private_columns[index] for index in own]
        # On the device: a list of columns would be copied there at every step.
        self.index = torch.tensor(self.columns, device=target.device)
        rates = tuple(target.positive_rates[index] for index in own)
        self.categorical = target.categorical
        self.public_rates = torch.tensor(rates, dtype=torch.float64)
        self.rates = torch.tensor(rates, device=target.device)
        if not bool(((self.rates > 0) & (self.rates < 1)).all()):
            raise ValueError(
                f"private attributes {self.names} have rates {rates} in the public "
                "split: an attacker needs examples of both values"
            )
        if len(self.columns) < target.num_categories:
            # One category is rare among many: equal parts of each private one and of all others.
            self.task = tuple(self.columns)
            self.rates = torch.full_like(self.rates, 1 / (len(self.columns) + 1))
        self.classifier = build_probe(
            config.architecture, target.model, target.spec, len(self.columns)
        )
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
        labels = batch.labels.index_select(1, self.index)
        loss = balanced_attribute_loss(logits, labels, self.rates)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()

    def evaluate(self, batches: Iterable[CodeBatch]) -> Scores:
        """Balanced accuracy, accuracy, AUC and majority rate of each private attribute."""
        pairs = [self._answers(batches)]
        return attribute_scores(self.config.name, pairs, self.columns, self.names, self.categorical)

    def information(
        self, selection: Iterable[CodeBatch], test: Iterable[CodeBatch]
    ) -> dict[str, float]:
        """Bits that the codes tell about each attribute; see `usable_information`.

        Returns:
            `usable_information/NAME` by attribute.
        """
        known_logits, known = self._answers(selection)
        logits, labels = self._answers(test)
        weights = (
            (category_weights(labels), category_weights(known)) if self.categorical else (None,) * 2
        )
        bits = usable_information(
            logits,
            labels[:, self.columns],
            known_logits,
            known[:, self.columns],
            self.public_rates,
            *weights,
        )
        return {
            f"usable_information/{name}": float(value)
            for name, value in zip(self.names, bits, strict=True)
        }

    @torch.no_grad()
    def _answers(self, batches: Iterable[CodeBatch]) -> tuple[Tensor, Tensor]:
        """Logits [N, P] and all labels [N, A] of a split."""
        self.classifier.eval()
        pairs = [(self.classifier(batch.codes), batch.labels) for batch in batches]
        logits, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return logits, labels
