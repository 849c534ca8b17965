"""Adversarial reconstruction learning (Xiao): an encoder that a decoder cannot undo.

Each round first lets the adversary learn to invert the encoder as it stands, on public images,
then moves the encoder and `f`, on private images, towards utility and away from what the decoder
reconstructs (Xiao, eq. 5 and 9).
"""

from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from trainables.losses import adversarial_loss, discriminator_loss, perceptual_loss, pixel_loss
from trainables.nets.backbones import base_channels
from trainables.nets.decoders import build_decoder, build_discriminator
from trainables.nets.modes import frozen
from trainables.protectors.base import NextBatch, Protector, Setting, take_step
from trainables.protectors.config import ProtectorConfig


class ReconstructionConfig(ProtectorConfig):
    """Settings of the reconstruction defence.

    Attributes:
        lambda1: Weight of the negative pixel loss in the protector's objective.
        lambda2: Weight of the negative perceptual loss in the protector's objective.
        mu1: Weight of the adversarial (GAN) loss in the adversary's objective.
        mu2: Weight of the perceptual loss in the adversary's objective.
        adversary_steps: Adversary updates before each protector update.
        adversary_lr: The adversary's rate, constant. The default is the retrained attackers' in the
            quickstart, meant to keep the adversary from lagging behind the encoder.
        warmup: Rounds at the start in which λ1 = λ2 = 0: the adversary learns to invert an encoder
            that does not defend yet, so that what the encoder then runs from can follow.
        saturating: True for `log(1 - D)` as printed in the paper, False for `-log D`.
    """

    name: Literal["reconstruction"] = "reconstruction"
    lambda1: float = Field(default=1.0, ge=0)
    lambda2: float = Field(default=0.0, ge=0)
    mu1: float = Field(default=0.0, ge=0)
    mu2: float = Field(default=0.0, ge=0)
    adversary_steps: int = Field(default=1, ge=1)
    adversary_lr: float = Field(default=3e-3, gt=0)
    warmup: int = Field(default=0, ge=0)
    saturating: bool = True

    @model_validator(mode="after")
    def _defence_begins(self) -> "ReconstructionConfig":
        if self.warmup >= self.rounds:
            raise ValueError(
                f"warmup: must be below rounds ({self.rounds}), got {self.warmup}: the defence "
                "would never begin"
            )
        return self

    @property
    def needs_perceptual(self) -> bool:
        """Whether any term uses `g`."""
        return self.lambda2 > 0 or self.mu2 > 0


class Reconstruction(Protector):
    """Protector and adversary of Xiao, in training.

    Modes, which are part of the method: during the adversary's update the encoder is in evaluation
    mode, as every later attacker finds it. During the protector's update the encoder and `f` are
    in training mode, and the decoder normalises by the batch at hand without moving its running
    statistics, so that the encoder cannot escape it by merely shifting or scaling its outputs.
    """

    config: ReconstructionConfig

    def __init__(self, config: ReconstructionConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        if config.needs_perceptual and setting.perceptual is None:
            raise ValueError("lambda2 or mu2 is above 0, but no perceptual network was given")
        base = base_channels(setting.model)
        self.decoder = build_decoder(self.code, setting.height, setting.width, base).to(
            setting.device
        )
        self.decoder_optimiser = torch.optim.Adam(
            self.decoder.parameters(), config.adversary_lr, fused=True
        )
        self.discriminator: nn.Module | None = None
        self.discriminator_optimiser: torch.optim.Optimizer | None = None
        if config.mu1 > 0:
            self.discriminator = build_discriminator(base).to(setting.device)
            self.discriminator_optimiser = torch.optim.Adam(
                self.discriminator.parameters(), config.adversary_lr, fused=True
            )

    def update(self, private: NextBatch, public: NextBatch) -> dict[str, Tensor]:
        """`adversary_steps` adversary updates, each on a batch of its own, then the protector's."""
        terms: dict[str, Tensor] = {}
        for _ in range(self.config.adversary_steps):
            terms = self.adversary_update(public().images)
        batch = self.utility_batch(private)
        terms.update(self.protector_update(batch.images, self.utility_labels(batch)))
        return terms

    def adversary_update(self, images: Tensor) -> dict[str, Tensor]:
        """`min_Dec L_p + μ1 L_adv + μ2 L_perc` on public images, `Enc` and `f` fixed (eq. 5)."""
        self.encoder.eval()
        with torch.no_grad():
            codes = self.encoder(images)
        self.decoder.train()
        rebuilt = self.decoder(codes)
        weighted = {"adversary_pixel_loss": (1.0, pixel_loss(rebuilt, images))}
        if self.config.mu2 > 0:
            perceptual = self._perceptual(rebuilt, images)
            weighted["adversary_perceptual_loss"] = (self.config.mu2, perceptual)
        terms: dict[str, Tensor] = {}
        if self.discriminator is not None:
            terms["discriminator_loss"] = self._discriminator_update(images, rebuilt.detach())
            with frozen(self.discriminator, batch_statistics=False):
                logits = self.discriminator(rebuilt)
            adversarial = adversarial_loss(logits, self.config.saturating)
            weighted["adversary_adversarial_loss"] = (self.config.mu1, adversarial)
        loss, report = self.objective(weighted)
        take_step(self.decoder_optimiser, loss)
        return terms | report

    def protector_update(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """`min_{Enc,f} L_u - λ1 L_p - λ2 L_perc` on private images, `Dec` fixed (eq. 9)."""
        self.encoder.train()
        self.head.train()
        codes = self.encoder(images)
        weighted = {"utility_loss": (1.0, self.utility_loss(self.head(codes), labels))}
        lambda1, lambda2 = self._weights()
        if lambda1 > 0 or lambda2 > 0:
            with frozen(self.decoder, batch_statistics=True):
                rebuilt = self.decoder(codes)
            if lambda1 > 0:
                weighted["protector_pixel_loss"] = (-lambda1, pixel_loss(rebuilt, images))
            if lambda2 > 0:
                perceptual = self._perceptual(rebuilt, images)
                weighted["protector_perceptual_loss"] = (-lambda2, perceptual)
        loss, report = self.objective(weighted)
        take_step(self.optimiser, loss)
        return report

    def _weights(self) -> tuple[float, float]:
        if self.rounds < self.config.warmup:
            return 0.0, 0.0
        return self.config.lambda1, self.config.lambda2

    def _perceptual(self, rebuilt: Tensor, images: Tensor) -> Tensor:
        network = self.setting.perceptual
        assert network is not None, "checked when the protector was built"
        with torch.no_grad():
            original = network(images)
        return perceptual_loss(network(rebuilt), original)

    def _discriminator_update(self, real: Tensor, fake: Tensor) -> Tensor:
        """`max_D log D(x) + log(1 - D(x̂))` (eq. 3)."""
        assert self.discriminator is not None
        assert self.discriminator_optimiser is not None
        # One pass for both: D has no normalisation over the batch.
        real_logits, fake_logits = self.discriminator(torch.cat([real, fake])).chunk(2)
        loss = discriminator_loss(real_logits, fake_logits)
        take_step(self.discriminator_optimiser, loss)
        return loss.detach()

    def in_loop_decoder(self) -> nn.Module:
        """The decoder the encoder was trained against."""
        return self.decoder

    def nets(self) -> dict[str, nn.Module]:
        """Encoder, `f`, decoder and, with μ1 > 0, the discriminator."""
        nets = {**super().nets(), "decoder": self.decoder}
        if self.discriminator is not None:
            nets["discriminator"] = self.discriminator
        return nets

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """The protector's, the decoder's and, with μ1 > 0, the discriminator's."""
        optimisers: dict[str, Any] = {**super().optimisers(), "decoder": self.decoder_optimiser}
        if self.discriminator_optimiser is not None:
            optimisers["discriminator"] = self.discriminator_optimiser
        return optimisers
