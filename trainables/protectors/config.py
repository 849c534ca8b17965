"""Settings every protector shares: the alternating loop and its schedule."""

from pydantic import Field

from trainables.nets.config import EncoderStyle, ModelConfig
from trainables.settings import Settings


class ProtectorConfig(Settings):
    """The alternating loop.

    Attributes:
        name: The method.
        rounds: Protector updates; each is preceded by `adversary_steps` adversary updates.
        batch_size: Images per update.
        encoder_lr: Initial rate of the encoder (and of whatever a method trains along with it).
        encoder_lr_decay: What that rate has been multiplied by at the end of training; 1 keeps it.
        encoder_lr_stages: Number of equal steps in which it gets there.
        augment: Whether training images are mirrored, scaled and cropped at random, anew each
            time (Pittaluga, section 4.1).
        share: Part of the private and of the public split that training sees; the same images as
            an attacker's with that share.
    """

    name: str
    rounds: int = Field(default=600, ge=1)
    batch_size: int = Field(default=64, ge=2)
    encoder_lr: float = Field(default=1e-3, gt=0)
    encoder_lr_decay: float = Field(default=1.0, gt=0, le=1)
    encoder_lr_stages: int = Field(default=4, ge=1)
    augment: bool = False
    share: float = Field(default=1.0, gt=0, le=1)

    @property
    def preparation_rounds(self) -> int:
        """Rounds before the first of `rounds`: pre-training, warm-up."""
        return 0

    @property
    def total_rounds(self) -> int:
        """Rounds of the whole training, preparation included."""
        return self.preparation_rounds + self.rounds

    @property
    def style(self) -> EncoderStyle:
        """How the encoder is normalised; by default as the backbone's paper has it."""
        return EncoderStyle()

    @property
    def needs_perceptual(self) -> bool:
        """Whether any term uses `g`."""
        return False

    def check_fits(self, model: ModelConfig, height: int, width: int, num_private: int) -> None:
        """Raises ValueError, saying why, where the method's definition forbids this combination.

        Args:
            model: The network and its cut.
            height: Image height in pixels.
            width: Image width in pixels.
            num_private: Number of private attributes (`data.private`).
        """


def staged_rate(config: ProtectorConfig, completed_rounds: int) -> float:
    """Returns the encoder's rate for the next round.

    Training after its preparation is cut into `encoder_lr_stages + 1` equal parts; at each boundary
    the rate is multiplied by the same factor, so that the last part runs at
    `encoder_lr * encoder_lr_decay` (Pittaluga, section 4, has 0.1^(1/4) every 200,000 of 860,000
    steps, so that its last part is a shorter one). The adversary's rate stays.
    """
    completed = max(0, completed_rounds - config.preparation_rounds)
    stage = completed * (config.encoder_lr_stages + 1) // config.rounds
    stage = min(stage, config.encoder_lr_stages)
    return float(config.encoder_lr * config.encoder_lr_decay ** (stage / config.encoder_lr_stages))
