"""The reconstruction attack: a fresh decoder trained to invert the frozen encoder (Xiao, eq. 1-5).

Weak is pixel loss alone (μ1 = μ2 = 0); strong adds the adversarial and the perceptual term.
"""

from collections.abc import Iterable

import torch
from pydantic import Field
from torch import Tensor, nn

from trainables.attackers.base import Attacker, AttackerConfig, Kind, Target
from trainables.encodings import CodeBatch
from trainables.losses import (
    adversarial_loss,
    discriminator_loss,
    perceptual_loss,
    pixel_loss,
)
from trainables.nets.backbones import base_channels
from trainables.nets.decoders import build_decoder, build_discriminator
from trainables.nets.modes import frozen
from trainables.scores import Scores, reconstruction_scores


class DecoderConfig(AttackerConfig):
    """A mirror decoder and its loss.

    Attributes:
        mu1: Weight of the adversarial (GAN) loss.
        mu2: Weight of the perceptual loss.
        capacity: Multiplier of the mirrored channel counts.
        saturating: True for `log(1 - D)` as printed in the paper, False for `-log D`.
    """

    mu1: float = Field(default=0.0, ge=0)
    mu2: float = Field(default=0.0, ge=0)
    capacity: float = Field(default=1.0, gt=0)
    saturating: bool = True

    @property
    def kind(self) -> Kind:
        """A reconstruction attack, scored by SSIM."""
        return "reconstruction"

    @property
    def needs_perceptual(self) -> bool:
        """Whether the perceptual term has any weight."""
        return self.mu2 > 0


class DecoderAttacker(Attacker):
    """A decoder with, where its loss asks for one, a discriminator."""

    config: DecoderConfig

    def __init__(self, config: DecoderConfig, target: Target) -> None:
        if config.mu2 > 0 and target.perceptual is None:
            raise ValueError(f"attacker {config.name!r} has mu2 > 0 but got no perceptual network")
        self.config = config
        self.perceptual = target.perceptual
        base = round(base_channels(target.model) * config.capacity)
        self.decoder = build_decoder(target.spec, target.height, target.width, base)
        self.decoder.to(target.device)
        self.optimiser = torch.optim.Adam(self.decoder.parameters(), fused=True)
        self.discriminator: nn.Module | None = None
        self.discriminator_optimiser: torch.optim.Optimizer | None = None
        if config.mu1 > 0:
            self.discriminator = build_discriminator(base).to(target.device)
            self.discriminator_optimiser = torch.optim.Adam(
                self.discriminator.parameters(), fused=True
            )

    def nets(self) -> dict[str, nn.Module]:
        """The decoder and, with μ1 > 0, the discriminator."""
        nets = {"decoder": self.decoder}
        if self.discriminator is not None:
            nets["discriminator"] = self.discriminator
        return nets

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """One optimiser per net."""
        optimisers: dict[str, torch.optim.Optimizer] = {"decoder": self.optimiser}
        if self.discriminator_optimiser is not None:
            optimisers["discriminator"] = self.discriminator_optimiser
        return optimisers

    def train_step(self, batch: CodeBatch) -> None:
        """`min_Dec L_p + μ1 L_adv + μ2 L_perc` on public codes (Xiao, eq. 5)."""
        self.decoder.train()
        rebuilt = self.decoder(batch.codes)
        loss = pixel_loss(rebuilt, batch.images)
        if self.config.mu2 > 0 and self.perceptual is not None:
            with torch.no_grad():
                original = self.perceptual(batch.images)
            loss = loss + self.config.mu2 * perceptual_loss(self.perceptual(rebuilt), original)
        if self.discriminator is not None and self.discriminator_optimiser is not None:
            # One pass for both: D has no normalisation over the batch.
            both = self.discriminator(torch.cat([batch.images, rebuilt.detach()]))
            real, fake = both.chunk(2)
            self.discriminator_optimiser.zero_grad(set_to_none=True)
            discriminator_loss(real, fake).backward()
            self.discriminator_optimiser.step()
            with frozen(self.discriminator, batch_statistics=False):
                logits = self.discriminator(rebuilt)
            loss = loss + self.config.mu1 * adversarial_loss(logits, self.config.saturating)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()

    @torch.no_grad()
    def reconstruct(self, codes: Tensor) -> Tensor:
        """Returns the decoder's images for standardised codes, in evaluation mode."""
        self.decoder.eval()
        images: Tensor = self.decoder(codes)
        return images

    def evaluate(self, batches: Iterable[CodeBatch]) -> Scores:
        """Mean SSIM over a split."""
        return reconstruction_scores((self.reconstruct(b.codes), b.images) for b in batches)
