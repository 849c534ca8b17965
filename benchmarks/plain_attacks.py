"""The attackers as a paper's repository trains them: what ours are compared with.

The same nets, losses and batch size, and none of the levers: every attacker reads image files,
runs the whole frozen network again at every step, keeps weight gradients on in nets that stand
still, and reads its loss back at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.plain import Labelled, plainly
from trainables.attackers.attribute import AttributeAttacker
from trainables.attackers.base import Attacker
from trainables.attackers.decoder import DecoderAttacker
from trainables.encodings import CodeBatch
from trainables.losses import (
    adversarial_loss,
    balanced_attribute_loss,
    discriminator_loss,
    perceptual_loss,
    pixel_loss,
)


class PlainAttack(ABC):
    """One attacker that asks the frozen network for every code anew.

    Args:
        ours: Its nets are taken over: it is not to be trained any more.
        network: The frozen encoder and the rest of the service's network behind it.
        standardise: What makes codes comparable, as the attackers of ours get them.
    """

    def __init__(
        self,
        ours: Attacker,
        network: tuple[nn.Module, nn.Module],
        standardise: Callable[[Tensor], Tensor],
    ) -> None:
        self.ours, self.standardise = ours, standardise
        self.encoder, self.head = (plainly(part).eval() for part in network)
        for net in ours.nets().values():
            plainly(net)

    def codes(self, images: Tensor) -> Tensor:
        """Z of images, from a run of the whole network."""
        codes = self.encoder(images)
        self.head(codes)
        return self.standardise(codes).detach()

    def train_step(self, images: Tensor, labels: Tensor) -> float:
        """One update; returns the loss."""
        return self._update(self.codes(images), images, labels)

    def evaluate(self, batches: Iterator[Labelled]) -> float:
        """The score on images that are read and encoded again."""
        return self.ours.evaluate(self._encoded(batches)).score

    @torch.no_grad()
    def _encoded(self, batches: Iterator[Labelled]) -> Iterator[CodeBatch]:
        for images, labels in batches:
            yield CodeBatch(self.codes(images), images, labels)

    @abstractmethod
    def _update(self, codes: Tensor, images: Tensor, labels: Tensor) -> float: ...


class PlainDecoder(PlainAttack):
    """Xiao's weak or strong attacker, or one of DeepObfuscator's."""

    def __init__(
        self,
        ours: DecoderAttacker,
        network: tuple[nn.Module, nn.Module],
        standardise: Callable[[Tensor], Tensor],
        rate: float,
    ) -> None:
        super().__init__(ours, network, standardise)
        self.config, self.decoder, self.discriminator = (
            ours.config, ours.decoder, ours.discriminator,
        )  # fmt: skip
        self.perceptual = None if ours.config.mu2 == 0 else ours.perceptual
        self.optimiser = torch.optim.Adam(self.decoder.parameters(), rate)
        if self.discriminator is not None:
            self.discriminator_optimiser = torch.optim.Adam(self.discriminator.parameters(), rate)

    def _update(self, codes: Tensor, images: Tensor, labels: Tensor) -> float:
        self.decoder.train()
        rebuilt = self.decoder(codes)
        loss = pixel_loss(rebuilt, images)
        if self.perceptual is not None:
            distance = perceptual_loss(self.perceptual(rebuilt), self.perceptual(images))
            loss = loss + self.config.mu2 * distance
        if self.discriminator is not None:
            real, fake = self.discriminator(images), self.discriminator(rebuilt.detach())
            own = discriminator_loss(real, fake)
            self.discriminator_optimiser.zero_grad()
            own.backward()
            self.discriminator_optimiser.step()
            own.item()
            fooled = adversarial_loss(self.discriminator(rebuilt), self.config.saturating)
            loss = loss + self.config.mu1 * fooled
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.item()


class PlainAttribute(PlainAttack):
    """A classifier of private attributes."""

    def __init__(
        self,
        ours: AttributeAttacker,
        network: tuple[nn.Module, nn.Module],
        standardise: Callable[[Tensor], Tensor],
        rate: float,
    ) -> None:
        super().__init__(ours, network, standardise)
        self.classifier, self.columns, self.rates = ours.classifier, ours.columns, ours.rates
        self.optimiser = torch.optim.Adam(self.classifier.parameters(), rate)

    def _update(self, codes: Tensor, images: Tensor, labels: Tensor) -> float:
        self.classifier.train()
        logits = self.classifier(codes)
        loss = balanced_attribute_loss(logits, labels[:, self.columns], self.rates)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.item()


def plain_attack(
    ours: Attacker,
    network: tuple[nn.Module, nn.Module],
    standardise: Callable[[Tensor], Tensor],
    rate: float,
) -> PlainAttack:
    """The plain counterpart of a decoder or an attribute attacker."""
    if isinstance(ours, DecoderAttacker):
        return PlainDecoder(ours, network, standardise, rate)
    assert isinstance(ours, AttributeAttacker), f"no plain counterpart of {type(ours).__name__}"
    return PlainAttribute(ours, network, standardise, rate)
