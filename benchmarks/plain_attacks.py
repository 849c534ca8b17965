"""The attackers as a paper's repository trains them: what ours are compared with.

The same nets, losses and batch size, and none of the levers: every attacker reads image files,
runs the whole frozen network again at every step, keeps weight gradients on in nets that stand
still, and reads its loss back at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.plain import Labelled, plainly, train_discriminator
from trainables.attackers.attribute import AttributeAttacker
from trainables.attackers.base import Attacker
from trainables.attackers.decoder import DecoderAttacker
from trainables.encodings import CodeBatch
from trainables.losses import (
    adversarial_loss,
    balanced_attribute_loss,
    perceptual_loss,
    pixel_loss,
)


class PlainAttack(ABC):
    """One attacker that asks the frozen network for every code anew.

    Args:
        ours: Its nets are taken over: it is not to be trained any more.
        network: The frozen encoder and the rest of the service's network behind it.
        standardise: What makes codes comparable, as the attackers of ours get them.
        rate: Of every optimiser.
    """

    def __init__(
        self,
        ours: Attacker,
        network: tuple[nn.Module, nn.Module],
        standardise: Callable[[Tensor], Tensor],
        rate: float,
    ) -> None:
        self.ours, self.standardise = ours, standardise
        self.encoder, self.head = (plainly(part).eval() for part in network)
        self.optimisers = {
            name: torch.optim.Adam(plainly(net).parameters(), rate)
            for name, net in ours.nets().items()
        }

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

    def _step(self, net: str, loss: Tensor) -> float:
        self.optimisers[net].zero_grad()
        loss.backward()
        self.optimisers[net].step()
        return loss.item()


class PlainDecoder(PlainAttack):
    """Xiao's weak or strong attacker, or one of DeepObfuscator's."""

    ours: DecoderAttacker

    def _update(self, codes: Tensor, images: Tensor, labels: Tensor) -> float:
        config, discriminator = self.ours.config, self.ours.discriminator
        self.ours.decoder.train()
        rebuilt = self.ours.decoder(codes)
        loss = pixel_loss(rebuilt, images)
        if config.mu2 > 0:
            network = self.ours.perceptual
            assert network is not None, "checked when the attacker was built"
            loss = loss + config.mu2 * perceptual_loss(network(rebuilt), network(images))
        if discriminator is not None:
            train_discriminator(discriminator, self.optimisers["discriminator"], images, rebuilt)
            fooled = adversarial_loss(discriminator(rebuilt), config.saturating)
            loss = loss + config.mu1 * fooled
        return self._step("decoder", loss)


class PlainAttribute(PlainAttack):
    """A classifier of private attributes."""

    ours: AttributeAttacker

    def _update(self, codes: Tensor, images: Tensor, labels: Tensor) -> float:
        self.ours.classifier.train()
        logits = self.ours.classifier(codes)
        own = labels[:, self.ours.columns]
        return self._step("classifier", balanced_attribute_loss(logits, own, self.ours.rates))


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
