"""Label flip (Pittaluga): an encoder from which a private attribute cannot be learned again.

The objective is `min_E I_u(E) - α I_v(E)` (eq. 4): classifiers of the private attribute `u` and of
the desirable attributes `v` train on true labels, the encoder trains to leave the first unsure and
the second right.
"""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from trainables.data.batches import Batch
from trainables.losses import (
    exclusive_logits,
    exclusive_loss,
    flip_loss,
)
from trainables.nets.config import EncoderStyle, ModelConfig
from trainables.nets.modes import frozen
from trainables.protectors.base import NextBatch, Protector, Setting, take_step
from trainables.protectors.config import ProtectorConfig

PrivacyLoss = Literal["flip", "gan", "negative"]


class LabelFlipConfig(ProtectorConfig):
    """Settings of the label-flip defence.

    Attributes:
        privacy_loss: What the encoder minimises on the private classifier. `flip`: cross-entropy
            against the opposite of what the classifier now predicts (the paper's). `gan`:
            cross-entropy against the wrong label. `negative`: minus the cross-entropy.
        normalisation: After every convolution of the encoder: `per_location` (the paper's),
            `batch`, `per_location_bias`, `none`, or `none_bias`; only a bias has parameters. The
            code has zero mean and unit variance by a layer of the same kind, before a tanh.
        alpha: Weight of the desirable attributes' loss; 0 leaves the encoder the constraint on its
            variance alone (`f` is still trained on its codes, to measure what they are good for).
        desirable: `exclusive`: one classifier of N+1 classes, the last being "none of them";
            `separate`: a yes or no for each; `auto`: `exclusive` where no image has two of them.
        adversary_steps: Classifier updates before each encoder update.
        adversary_lr: Rate of the classifiers, constant.
        warmup: Rounds before the first encoder update in which only the classifiers learn.
    """

    name: Literal["label_flip"] = "label_flip"
    batch_size: int = Field(default=128, ge=2)
    privacy_loss: PrivacyLoss = "flip"
    normalisation: Literal["per_location", "batch", "per_location_bias", "none", "none_bias"] = (
        "per_location"
    )
    alpha: float = Field(default=2**-4, ge=0)
    desirable: Literal["auto", "exclusive", "separate"] = "auto"
    adversary_steps: int = Field(default=1, ge=1)
    adversary_lr: float = Field(default=1e-3, gt=0)
    warmup: int = Field(default=50, ge=0)

    @property
    def preparation_rounds(self) -> int:
        """The classifiers' warm-up."""
        return self.warmup

    @property
    def style(self) -> EncoderStyle:
        """The chosen normalisation throughout, and a code of unit variance behind a tanh."""
        return EncoderStyle(normalisation=self.normalisation, constrained=True)

    def check_fits(self, model: ModelConfig, height: int, width: int, num_private: int) -> None:
        """A label to flip is needed."""
        if num_private == 0:
            raise ValueError(
                "label_flip inhibits the private attributes, and data.private names none"
            )


class LabelFlip(Protector):
    """Encoder and classifiers of Pittaluga, in training.

    All batches are the private split's, as the paper trains encoder and classifiers on one set, but
    no batch serves both (section 3.2).

    Modes: an encoder update normalises by the batch, encoder and classifiers alike, and moves the
    encoder's running statistics alone. In a classifier update the encoder is in evaluation mode,
    as every later attacker finds it; only in the warm-up it normalises by the batch, because it
    has no running statistics yet.
    """

    config: LabelFlipConfig
    needs_public: ClassVar[bool] = False

    def __init__(self, config: LabelFlipConfig, setting: Setting) -> None:
        if not setting.private_columns:
            raise ValueError("label_flip needs a private attribute")
        self.exclusive = _is_exclusive(config, setting)
        super().__init__(config, setting)
        self.private_classifier = self.adversary()
        self.head_optimiser, self.private_optimiser = (
            torch.optim.Adam(net.parameters(), config.adversary_lr, fused=True)
            for net in (self.head, self.private_classifier)
        )

    def scheduled(self) -> list[nn.Module]:
        """The encoder alone: the classifiers keep their rate (section 4.1)."""
        return [self.encoder]

    @property
    def num_outputs(self) -> int:
        """One logit per desirable attribute; where they exclude each other one more for none."""
        return len(self.setting.utility_columns) + int(self.exclusive)

    def update(self, private: NextBatch, public: NextBatch) -> dict[str, Tensor]:
        """`adversary_steps` updates of the classifiers, then, after the warm-up, the encoder's."""
        terms: dict[str, Tensor] = {}
        for _ in range(self.config.adversary_steps):
            terms = self.classifier_update(*self._batches(private))
        if self.rounds >= self.config.warmup:
            terms.update(self.encoder_update(*self._batches(private)))
        return terms

    def classifier_update(self, task: Batch, desirable: Batch) -> dict[str, Tensor]:
        """Each classifier minimises its cross-entropy on true labels, the encoder fixed.

        Args:
            task: Batch of the private attribute's task.
            desirable: Batch of the desirable attributes' task.
        """
        self.encoder.train(self.rounds < self.config.warmup)
        with torch.no_grad():
            codes = self._encode(task, desirable)
        self.head.train()
        self.private_classifier.train()
        private_logits = self.private_classifier(codes[0])
        private_loss = self.private_loss(private_logits, self.private_labels(task))
        take_step(self.private_optimiser, private_loss)
        desirable_loss = self.desirable_loss(self.head(codes[1]), desirable)
        take_step(self.head_optimiser, desirable_loss)
        return {
            "private_classifier_loss": private_loss.detach(),
            "desirable_classifier_loss": desirable_loss.detach(),
        }

    def encoder_update(self, task: Batch, desirable: Batch) -> dict[str, Tensor]:
        """`min_E` of the privacy term plus `α CE_v`, the classifiers fixed (eq. 4)."""
        self.encoder.train()
        codes = self._encode(task, desirable)
        with frozen(self.private_classifier, batch_statistics=True):
            logits = self.private_classifier(codes[0])
        weighted = {"privacy_loss": (1.0, self.privacy_loss(logits, self.private_labels(task)))}
        if self.config.alpha > 0:
            with frozen(self.head, batch_statistics=True):
                desirable_loss = self.desirable_loss(self.head(codes[1]), desirable)
            weighted["desirable_loss"] = (self.config.alpha, desirable_loss)
        loss, report = self.objective(weighted)
        take_step(self.optimiser, loss)
        return report

    def privacy_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The encoder's loss on the private classifier's logits [B, P], labels [B, P]."""
        if self.config.privacy_loss == "flip":
            return flip_loss(logits)
        # Having and lacking an attribute count as they do for the classifier; `flip` asks no label.
        if self.config.privacy_loss == "gan":
            # Against the wrong label: what speaks for the right one speaks as much against it.
            return self.private_loss(-logits, labels)
        return -self.private_loss(logits, labels)

    def desirable_loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """`CE_v` of the desirable classifier's logits."""
        labels = self.utility_labels(batch)
        if self.exclusive:
            return exclusive_loss(logits, labels)
        return self.utility_loss(logits, labels)

    def utility_logits(self, images: Tensor) -> Tensor:
        """Returns one logit per desirable attribute, both nets in evaluation mode, [B, U]."""
        logits = super().utility_logits(images)
        if not self.exclusive:
            return logits
        logits = exclusive_logits(logits)
        if self.setting.utility_task:
            # Trained on N + 1 equal parts, asked for one category against as many others: its odds
            # are N times those of the batches.
            logits = logits + math.log(len(self.setting.utility_task))
        return logits

    def _encode(self, task: Batch, desirable: Batch) -> tuple[Tensor, Tensor]:
        """One pass for both batches: they are normalised by the statistics of both together."""
        both: Tensor = self.encoder(torch.cat([task.images, desirable.images]))
        return both[: len(task.images)], both[len(task.images) :]

    @classmethod
    def tasks(cls, config: ProtectorConfig, setting: Setting) -> set[tuple[int, ...]]:
        """The private attributes' and the desirable ones'."""
        assert isinstance(config, LabelFlipConfig)
        _is_exclusive(config, setting)
        return {_private_task(setting), setting.utility_task}

    def _batches(self, private: NextBatch) -> tuple[Batch, Batch]:
        """A batch of the private task and one of the desirable attributes'.

        Only categories are predicted on balanced sets: elsewhere `f` must learn how common an
        attribute is, as the `f` of every other method does.
        """
        return private(_private_task(self.setting)), self.utility_batch(private)

    def in_loop_classifier(self) -> nn.Module:
        """The classifier of the private attributes."""
        return self.private_classifier

    def nets(self) -> dict[str, nn.Module]:
        """Encoder, `f` (the desirable classifier) and the private classifier."""
        return {**super().nets(), "private_classifier": self.private_classifier}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """One per net."""
        return {
            **super().optimisers(),
            "head": self.head_optimiser,
            "private_classifier": self.private_optimiser,
        }


def _is_exclusive(config: LabelFlipConfig, setting: Setting) -> bool:
    """Whether the desirable attributes share one classifier of N+1 classes."""
    if config.desirable == "exclusive" and not setting.exclusive:
        raise ValueError(
            "protector.desirable: 'exclusive' has one class per image, and some images have two of "
            "data.utility; give 'separate' or 'auto'"
        )
    return config.desirable != "separate" and setting.exclusive and len(setting.utility_columns) > 1


def _private_task(setting: Setting) -> tuple[int, ...]:
    """What batches of the private task are balanced by.

    One private attribute is half of its batches; with several that are no categories there is no
    one way, and the batch is as the data are.
    """
    if len(setting.private_columns) == 1:
        return setting.private_columns
    return setting.private_task
