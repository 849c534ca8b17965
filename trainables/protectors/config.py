"""Settings every protector shares: the alternating loop and its schedule."""

from pydantic import Field

from trainables.settings import Settings


class ProtectorConfig(Settings):
    """The alternating loop.

    Attributes:
        name: The method.
        rounds: Protector updates; each is preceded by `adversary_steps` adversary updates.
        batch_size: Images per update, of private data for the protector, public for the adversary.
        encoder_lr: Initial rate of the encoder and of `f`.
        encoder_lr_decay: What that rate has been multiplied by at the end of training; 1 keeps it.
        encoder_lr_stages: Number of equal steps in which it gets there.
    """

    name: str
    rounds: int = Field(default=600, ge=1)
    batch_size: int = Field(default=64, ge=2)
    encoder_lr: float = Field(default=1e-3, gt=0)
    encoder_lr_decay: float = Field(default=1.0, gt=0, le=1)
    encoder_lr_stages: int = Field(default=4, ge=1)


def staged_rate(config: ProtectorConfig, completed_rounds: int) -> float:
    """Returns the encoder's rate for the next round.

    Training is cut into `encoder_lr_stages + 1` equal parts; at each boundary the rate is
    multiplied by the same factor, so that the last part runs at `encoder_lr * encoder_lr_decay`
    (Pittaluga, section 4: 0.1^(1/4) every 200,000 of 860,000 steps). The adversary's rate stays.
    """
    stage = completed_rounds * (config.encoder_lr_stages + 1) // config.rounds
    stage = min(stage, config.encoder_lr_stages)
    return float(config.encoder_lr * config.encoder_lr_decay ** (stage / config.encoder_lr_stages))
