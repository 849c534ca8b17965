"""The reconstruction attack: a fresh decoder trained to invert the frozen encoder (Xiao, eq. 1-5).

Weak is pixel loss alone (μ1 = μ2 = 0); μ1 adds the adversarial, μ2 the perceptual term. The
decoder mirrors the encoder or has an architecture of its own, and 1 - MS-SSIM can take the pixel
loss's place (DeepObfuscator, Table 2 and eq. 6).
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from trainables.attackers.base import AttackerConfig, Kind, Reconstructor, Target
from trainables.encodings import CodeBatch
from trainables.losses import (
    adversarial_loss,
    discriminator_loss,
    ms_ssim_loss,
    perceptual_loss,
    pixel_loss,
)
from trainables.ms_ssim import MS_SSIM_MIN_SIDE
from trainables.nets.backbones import base_channels
from trainables.nets.decoders import MIN_DECODER_CHANNELS, build_discriminator
from trainables.nets.modes import frozen
from trainables.nets.reconstructors import Architecture, build_reconstructor


class DecoderConfig(AttackerConfig):
    """A decoder and its loss.

    Attributes:
        architecture: `mirror` of the encoder, or one that no protector trains against:
            `unet_deep`, `unet_shallow`, `residual` (DeepObfuscator's URec#1, URec#2, ResRec).
        loss: `mse`, or `ms_ssim` for 1 - MS-SSIM in the pixel loss's place.
        mu1: Weight of the adversarial (GAN) loss.
        mu2: Weight of the perceptual loss.
        capacity: Multiplier of the decoder's channel counts.
        saturating: True for `log(1 - D)` as printed in the paper, False for `-log D`.
    """

    architecture: Architecture = "mirror"
    loss: Literal["mse", "ms_ssim"] = "mse"
    mu1: float = Field(default=0.0, ge=0)
    mu2: float = Field(default=0.0, ge=0)
    capacity: float = Field(default=1.0, gt=0)
    saturating: bool = True

    @property
    def counts(self) -> bool:
        """As of every attacker; a smaller net is another way of being weakened."""
        return super().counts and self.capacity >= 1

    @property
    def kind(self) -> Kind:
        """A reconstruction attack."""
        return "reconstruction"

    @property
    def needs_perceptual(self) -> bool:
        """Whether the perceptual term has any weight."""
        return self.mu2 > 0

    def why_not(self, height: int, width: int) -> str:
        """Says why it cannot attack images of this size, in pixels; empty if it can."""
        if self.loss == "ms_ssim" and min(height, width) <= MS_SSIM_MIN_SIDE:
            return (
                f"needs images with sides above {MS_SSIM_MIN_SIDE} pixels for its MS-SSIM, "
                f"got {height}x{width}"
            )
        return ""


class DecoderAttacker(Reconstructor):
    """A decoder with, where its loss asks for one, a discriminator.

    Args:
        config: Its hyperparameters.
        target: What is attacked.

    Raises:
        ValueError: If its loss needs a perceptual network and there is none, or if it cannot
            attack images of this size (`DecoderConfig.why_not`).
    """

    config: DecoderConfig

    def __init__(self, config: DecoderConfig, target: Target) -> None:
        reason = config.why_not(target.height, target.width)
        if reason:
            raise ValueError(f"attacker {config.name!r}: {reason}")
        if config.mu2 > 0 and target.perceptual is None:
            raise ValueError(f"attacker {config.name!r} has mu2 > 0 but got no perceptual network")
        self.config = config
        self.perceptual = target.perceptual
        self.features = target.features
        # The narrowest decoder that will do is what capacity multiplies: at the small widths of a
        # small machine twice as much would else be nothing more.
        base = max(base_channels(target.model), MIN_DECODER_CHANNELS)
        base = max(1, round(base * config.capacity))
        self.decoder = build_reconstructor(
            config.architecture, target.spec, target.height, target.width, base
        )
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
        """`min_Dec L_p + μ1 L_adv + μ2 L_perc` on public codes (Xiao, eq. 5).

        With `loss="ms_ssim"`, `L_p` is 1 - MS-SSIM.
        """
        self.decoder.train()
        rebuilt = self.decoder(batch.codes)
        image_loss = ms_ssim_loss if self.config.loss == "ms_ssim" else pixel_loss
        loss = image_loss(rebuilt, batch.images)
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
