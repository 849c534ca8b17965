"""The attribute attack: a fresh classifier of the private attributes behind the frozen encoder."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from trainables.attackers.base import Attacker, AttackerConfig, Kind, Target
from trainables.calibration import balanced_weights, calibrated
from trainables.encodings import CodeBatch
from trainables.information import usable_information
from trainables.losses import balanced_attribute_loss
from trainables.metrics import balanced_accuracy, category_weights
from trainables.nets.probes import Architecture, build_probe
from trainables.scores import NotFiniteError, Scores, attribute_scores


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

    At the end its threshold is fitted to the selection split, where that does better there than
    the classifier's own. One that saturated on few images with an attribute has learned them by
    heart and says no of all others, though it ranks those with the attribute above those without:
    at its own threshold it would seem to know nothing.

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
        self._known: tuple[Tensor, Tensor] | None = None
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

    def settle(self, selection: Iterable[CodeBatch]) -> None:
        """Keeps the answers on the selection split, by which all others are calibrated."""
        self._known = self._answers(selection)

    def evaluate(self, batches: Iterable[CodeBatch]) -> Scores:
        """Balanced accuracy, accuracy, AUC and majority rate of each private attribute.

        Calibrated, if `settle` was called; at the classifier's own threshold while it trains. On a
        small split a fitted threshold would make no mistake long before there is no more to learn.
        """
        logits, labels = self._answers(batches)
        if self._known is not None:
            logits = self._calibrated(logits, *self._known)
        pairs = [(logits, labels)]
        return attribute_scores(self.config.name, pairs, self.columns, self.names, self.categorical)

    def _calibrated(self, logits: Tensor, known: Tensor, labels: Tensor) -> Tensor:
        """Logits [N, P] after Platt's scaling of each attribute in a world of balanced classes.

        The classifier's own threshold stays where it does as well on the split that is known, or
        where that split has one value alone and so cannot say where the two part.
        """
        for values in (logits, known):
            if not bool(values.isfinite().all()):
                raise NotFiniteError(
                    f"attacker {self.config.name!r} answered with numbers not finite"
                )
        categories = category_weights(labels) if self.categorical else None
        own, everyone = labels[:, self.columns], torch.cat([known, logits]).double()
        parts = []
        for index, column in enumerate(own.double().unbind(1)):
            weights, told = balanced_weights(column, categories), known[:, index].double()
            parts.append(calibrated(everyone[:, index], told, column, weights))
        fitted_known, fitted = torch.stack(parts, dim=1).tensor_split([len(known)])
        before, after = (
            balanced_accuracy(answers, own, categories) for answers in (known, fitted_known)
        )
        both_values = (own > 0.5).any(dim=0) & (own <= 0.5).any(dim=0)
        return torch.where((after > before) & both_values, fitted, logits.double())

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
