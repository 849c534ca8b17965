"""The baselines: no defence, a code that needs no training, and the labels alone."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from trainables.frozen import BLUR, IDENTITY, NOISE, FixedCode, build_fixed
from trainables.nets.backbones import CodeSpec
from trainables.nets.config import ModelConfig
from trainables.nets.fixed import BLUR_STRIDE, GaussianNoise
from trainables.protectors.base import NextBatch, Protector, take_step
from trainables.protectors.config import ProtectorConfig
from trainables.settings import Settings


class NoneConfig(ProtectorConfig):
    """No defence: the encoder and `f` minimise `L_u` alone (`reconstruction` at λ1 = λ2 = 0)."""

    name: Literal["none"] = "none"


class LabelsConfig(Settings):
    """The reference point: z is the true utility labels (methods, section 2.4); nothing trains."""

    name: Literal["labels"] = "labels"


class FixedConfig(ProtectorConfig):
    """A code that needs no training; `f` alone trains, at `encoder_lr` and its schedule."""

    @property
    def fixed_code(self) -> FixedCode:
        """What the encoder file says of it."""
        raise TypeError(f"{type(self).__name__} does not say its code")


class IdentityConfig(FixedConfig):
    """The raw image is sent."""

    name: Literal["identity"] = "identity"

    @property
    def fixed_code(self) -> FixedCode:
        """The image."""
        return FixedCode(IDENTITY)


class BlurConfig(FixedConfig):
    """The image behind a mean filter, at an eighth of its size (Pittaluga, section 4.3).

    Attributes:
        kernel: Side of the filter as a share of the image's; the paper's 120 of 224 pixels.
    """

    name: Literal["blur"] = "blur"
    kernel: float = Field(default=120 / 224, gt=0, le=1)

    @property
    def fixed_code(self) -> FixedCode:
        """The blurred image."""
        return FixedCode(BLUR, self.kernel)

    def check_fits(self, model: ModelConfig, height: int, width: int, num_private: int) -> None:
        """The image must have eighths."""
        if height % BLUR_STRIDE or width % BLUR_STRIDE:
            raise ValueError(
                f"blur makes images {BLUR_STRIDE} times smaller: sides must be multiples of "
                f"{BLUR_STRIDE} pixels, got {height}x{width}"
            )


class NoiseConfig(FixedConfig):
    """The image under Gaussian noise, drawn anew whenever it is sent (DeepObfuscator, section 4.3).

    Attributes:
        sigma: Deviation of the noise, in units of the image's range [0, 1].
    """

    name: Literal["noise"] = "noise"
    sigma: float = Field(default=0.3, gt=0)

    @property
    def fixed_code(self) -> FixedCode:
        """The noisy image."""
        return FixedCode(NOISE, self.sigma)


class Undefended(Protector):
    """Trains for utility alone: what the same network leaks when nobody defends it."""

    needs_public: ClassVar[bool] = False
    config: NoneConfig

    def update(self, private: NextBatch, public: NextBatch) -> dict[str, Tensor]:
        """One update of the encoder and `f` on `L_u`, both in training mode."""
        batch = self.utility_batch(private)
        self.encoder.train()
        self.head.train()
        loss = self.utility_loss(self.head(self.encoder(batch.images)), self.utility_labels(batch))
        take_step(self.optimiser, loss)
        return {"utility_loss": loss.detach()}


class FixedEncoder(Protector):
    """Trains `f` on a code that needs no training."""

    needs_public: ClassVar[bool] = False
    config: FixedConfig

    def _build_encoder(self) -> nn.Module:
        setting = self.setting
        return build_fixed(self.config.fixed_code, setting.height, setting.width)

    @property
    def code(self) -> CodeSpec:
        """The whole image, or a smaller one."""
        return self.config.fixed_code.spec(self.setting.height, self.setting.width)

    def update(self, private: NextBatch, public: NextBatch) -> dict[str, Tensor]:
        """One update of `f` on `L_u`."""
        batch = self.utility_batch(private)
        if isinstance(self.encoder, GaussianNoise):
            codes = self.encoder.noisy(batch.images, seed=self.rounds + 1)
        else:
            codes = self.encoder(batch.images)
        self.head.train()
        loss = self.utility_loss(self.head(codes), self.utility_labels(batch))
        take_step(self.optimiser, loss)
        return {"utility_loss": loss.detach()}
