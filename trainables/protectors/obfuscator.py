"""The obfuscator (DeepObfuscator): against a reconstructor and an attribute classifier at once.

Four batches make a cycle (Algorithm 1): the obfuscator against the reconstructor, the obfuscator
against the attribute classifier, both adversaries, the classifier.
"""

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from trainables.data.batches import Batch
from trainables.losses import ms_ssim_loss
from trainables.ms_ssim import ms_ssim_window
from trainables.nets.backbones import base_channels
from trainables.nets.config import ModelConfig
from trainables.nets.decoders import build_decoder
from trainables.nets.modes import frozen
from trainables.protectors.base import NextBatch, Protector, Setting, take_step
from trainables.protectors.config import ProtectorConfig


class ObfuscatorConfig(ProtectorConfig):
    """Settings of the obfuscator.

    Attributes:
        rounds: Cycles of four batches.
        lambda1: Weight of the attribute adversary's negative loss (eq. 5); 0 where that defence is
            off.
        lambda2: Weight of the reconstruction terms (eq. 9); likewise.
        defend_reconstruction: Whether step 0 fights the reconstructor; off is one half of the
            paper's section 4.2.
        defend_attributes: Whether step 1 fights the attribute classifier; off is the other half.
        joint_rounds: Batches in which obfuscator and classifier first train without privacy.
        adversary_rounds: Batches in which both adversaries then train on the fixed obfuscator.
        adversary_steps: Times the adversaries' step is taken in a cycle, each on its own batch; the
            paper takes 1.
        adversary_lr: Rate of the adversaries and of the classifier, constant.
        noise_std: Deviation of the one Gaussian noise image around 0.5, clipped to [0, 1]; not
            given in the paper.
    """

    name: Literal["obfuscator"] = "obfuscator"
    lambda1: float = Field(default=1.0, ge=0)
    lambda2: float = Field(default=1.0, ge=0)
    defend_reconstruction: bool = True
    defend_attributes: bool = True
    joint_rounds: int = Field(default=100, ge=0)
    adversary_rounds: int = Field(default=100, ge=0)
    adversary_steps: int = Field(default=1, ge=1)
    adversary_lr: float = Field(default=1e-3, gt=0)
    noise_std: float = Field(default=0.25, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _no_weight_without_defence(cls, values: Any) -> Any:
        """Two weights of a defence that is off would be two names for one encoder."""
        if isinstance(values, dict):
            for switch, weight in (
                ("defend_attributes", "lambda1"),
                ("defend_reconstruction", "lambda2"),
            ):
                if values.get(switch) is False:
                    values = {**values, weight: 0.0}
        return values

    @model_validator(mode="after")
    def _some_defence(self) -> "ObfuscatorConfig":
        if not (self.defend_reconstruction or self.defend_attributes):
            raise ValueError(
                "defend_reconstruction, defend_attributes: one must be true, got false and false; "
                "an encoder without a defence is protector.name=none"
            )
        return self

    @property
    def preparation_rounds(self) -> int:
        """Joint training, then the adversaries' pre-training."""
        return self.joint_rounds + self.adversary_rounds

    def check_fits(self, model: ModelConfig, height: int, width: int, num_private: int) -> None:
        """MS-SSIM needs a window above one pixel, the attribute defence something private."""
        if self.defend_reconstruction and min(height, width) <= 32:
            raise ValueError(
                "the obfuscator's reconstruction defence compares by MS-SSIM over five scales, "
                f"which needs sides above 32 pixels, got {height}x{width}; give a larger "
                "data.image_size or protector.defend_reconstruction=false"
            )
        if self.defend_attributes and num_private == 0:
            raise ValueError(
                "the obfuscator's attribute defence needs data.private, which names nothing; name "
                "an attribute or give protector.defend_attributes=false"
            )


class Obfuscator(Protector):
    """Obfuscator, classifier and both adversaries of DeepObfuscator, in training.

    All batches are the private split's, one of its own for every step, as in the paper. Losses over
    attributes are means, where the paper sums: weights mean the same for any number of attributes.

    Modes: where the obfuscator learns it normalises by the batch, and so do the frozen nets behind
    it; where others learn on it, it is in evaluation mode, as every later attacker finds it.
    """

    config: ObfuscatorConfig
    needs_public: ClassVar[bool] = False

    def __init__(self, config: ObfuscatorConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.classifier_optimiser = self._adam(self.head)
        self.reconstructor: nn.Module | None = None
        self.attribute_classifier: nn.Module | None = None
        if config.defend_reconstruction:
            base = base_channels(setting.model)
            decoder = build_decoder(self.code, setting.height, setting.width, base)
            self.reconstructor = decoder.to(setting.device)
            self.reconstructor_optimiser = self._adam(self.reconstructor)
            self.target = NoiseImage(setting.height, setting.width, config.noise_std)
            self.target.to(setting.device)
        if config.defend_attributes:
            if not setting.private_columns:
                raise ValueError("defend_attributes needs a private attribute")
            self.attribute_classifier = self.adversary()
            self.attribute_optimiser = self._adam(self.attribute_classifier)

    def _adam(self, net: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(net.parameters(), self.config.adversary_lr, fused=True)

    def scheduled(self) -> list[nn.Module]:
        """The obfuscator alone."""
        return [self.encoder]

    def update(self, private: NextBatch, public: NextBatch) -> dict[str, Tensor]:
        """One batch of joint training or of the adversaries' pre-training, or one cycle.

        A cycle has two objectives with an `L(C)`: their terms, and so their shares, go by the step.
        """
        if self.rounds < self.config.joint_rounds:
            return self.joint_update(self.utility_batch(private))
        if self.rounds < self.config.preparation_rounds:
            return self.adversary_update(self._adversary_batch(private))
        terms: dict[str, Tensor] = {}
        if self.reconstructor is not None:
            terms |= self.defend_against_reconstruction(self.utility_batch(private))
        if self.attribute_classifier is not None:
            batch = self.utility_batch(private)
            task = self._adversary_batch(private) if self.setting.categorical else batch
            terms |= self.defend_against_inference(batch, task)
        for _ in range(self.config.adversary_steps):
            terms |= self.adversary_update(self._adversary_batch(private))
        return terms | self.recover_classifier(self.utility_batch(private))

    def joint_update(self, batch: Batch) -> dict[str, Tensor]:
        """`min_{O,C} L(C)`, before any privacy (eq. 2)."""
        self.encoder.train()
        self.head.train()
        loss = self.utility_loss(self.head(self.encoder(batch.images)), self.utility_labels(batch))
        self.classifier_optimiser.zero_grad(set_to_none=True)
        take_step(self.optimiser, loss)
        self.classifier_optimiser.step()
        return {"utility_loss": loss.detach()}

    def defend_against_reconstruction(self, batch: Batch) -> dict[str, Tensor]:
        """Step 0: `min_O L(C) + λ2 (L(AR2) - L(AR1))` (eq. 9)."""
        assert self.reconstructor is not None
        codes, utility = self._encode(batch)
        with frozen(self.reconstructor, batch_statistics=True):
            rebuilt = self.reconstructor(codes)
        weight = self.config.lambda2
        loss, report = self.objective(
            {
                "utility_loss_step0": (1.0, utility),
                "noise_loss": (weight, ms_ssim_loss(rebuilt, self.target.image)),
                "reconstruction_loss": (-weight, ms_ssim_loss(rebuilt, batch.images)),
            }
        )
        take_step(self.optimiser, loss)
        return report

    def defend_against_inference(self, batch: Batch, task: Batch) -> dict[str, Tensor]:
        """Step 1: `min_O L(C) - λ1 L(AC)` (eq. 5).

        Args:
            batch: For `L(C)`.
            task: For `L(AC)`; where the attributes are categories its balance is another.
        """
        assert self.attribute_classifier is not None
        codes, utility = self._encode(batch)
        private_codes = codes if task is batch else self.encoder(task.images)
        with frozen(self.attribute_classifier, batch_statistics=True):
            logits = self.attribute_classifier(private_codes)
        inference = self.private_loss(logits, self.private_labels(task))
        loss, report = self.objective(
            {
                "utility_loss_step1": (1.0, utility),
                "inference_loss": (-self.config.lambda1, inference),
            }
        )
        take_step(self.optimiser, loss)
        return report

    def adversary_update(self, batch: Batch) -> dict[str, Tensor]:
        """Step 2: `min_AR L(AR1)` and `min_AC L(AC)`, the obfuscator fixed (eq. 7 and 4)."""
        terms: dict[str, Tensor] = {}
        self.encoder.eval()
        with torch.no_grad():
            codes = self.encoder(batch.images)
        if self.reconstructor is not None:
            self.reconstructor.train()
            loss = ms_ssim_loss(self.reconstructor(codes), batch.images)
            take_step(self.reconstructor_optimiser, loss)
            terms["reconstructor_loss"] = loss.detach()
        if self.attribute_classifier is not None:
            self.attribute_classifier.train()
            loss = self.private_loss(self.attribute_classifier(codes), self.private_labels(batch))
            take_step(self.attribute_optimiser, loss)
            terms["attribute_classifier_loss"] = loss.detach()
        return terms

    def recover_classifier(self, batch: Batch) -> dict[str, Tensor]:
        """Step 3: `min_C L(C)`, the obfuscator fixed."""
        self.encoder.eval()
        with torch.no_grad():
            codes = self.encoder(batch.images)
        self.head.train()
        loss = self.utility_loss(self.head(codes), self.utility_labels(batch))
        take_step(self.classifier_optimiser, loss)
        return {"classifier_loss": loss.detach()}

    def _encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Codes with the obfuscator in training mode, and `L(C)` on them with C held still."""
        self.encoder.train()
        codes: Tensor = self.encoder(batch.images)
        with frozen(self.head, batch_statistics=True):
            logits = self.head(codes)
        return codes, self.utility_loss(logits, self.utility_labels(batch))

    def _adversary_batch(self, private: NextBatch) -> Batch:
        return private(self.setting.private_task)

    @classmethod
    def tasks(cls, config: ProtectorConfig, setting: Setting) -> set[tuple[int, ...]]:
        """The utility attributes' and the private ones'."""
        return {setting.utility_task, setting.private_task}

    def constants(self) -> dict[str, float]:
        """The side of MS-SSIM's window: figures of different windows are never compared."""
        if self.reconstructor is None:
            return {}
        window = ms_ssim_window(self.setting.height, self.setting.width)
        return {"constant/ms_ssim_window": float(window)}

    def in_loop_decoder(self) -> nn.Module | None:
        """The adversary reconstructor, if there is one."""
        return self.reconstructor

    def in_loop_classifier(self) -> nn.Module | None:
        """The adversary classifier, if there is one."""
        return self.attribute_classifier

    def nets(self) -> dict[str, nn.Module]:
        """Obfuscator, classifier, the adversaries there are, and the noise image."""
        nets = super().nets()
        if self.reconstructor is not None:
            nets |= {"reconstructor": self.reconstructor, "noise": self.target}
        if self.attribute_classifier is not None:
            nets["attribute_classifier"] = self.attribute_classifier
        return nets

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """One per net that learns."""
        optimisers = {**super().optimisers(), "head": self.classifier_optimiser}
        if self.reconstructor is not None:
            optimisers["reconstructor"] = self.reconstructor_optimiser
        if self.attribute_classifier is not None:
            optimisers["attribute_classifier"] = self.attribute_optimiser
        return optimisers


class NoiseImage(nn.Module):
    """The one Gaussian noise image that reconstructions are drawn towards (eq. 8).

    Attributes:
        image: [1, 3, H, W] in [0, 1]; drawn once and kept with the nets.
    """

    image: Tensor

    def __init__(self, height: int, width: int, std: float) -> None:
        super().__init__()
        noise = 0.5 + std * torch.randn(1, 3, height, width)
        self.register_buffer("image", noise.clamp(0, 1))
