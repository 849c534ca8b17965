"""Settings of the verification: which attackers, how many seeds, when they count as saturated."""

from pydantic import Field

from trainables.identity import IdentityConfig
from trainables.saturation import SaturationConfig


class AttackConfig(SaturationConfig, IdentityConfig):
    """How every frozen encoder is attacked.

    Attributes:
        suite: Name of a suite, or a list of attackers.
        group: Attackers carried by one attack trial, sharing its encoding pass.
        seeds: Times each attacker is trained from a fresh initialisation.
        batch_size: Public images per step; all there are, where they are fewer.
        augment: Whether attackers also learn from scaled and cropped views, encoded anew for every
            batch. An attacker may query the encoder with any image; give it what the encoder was
            trained with (`protector.augment`).
    """

    suite: str | tuple[str, ...] = "quick"
    group: int = Field(default=3, ge=1)
    seeds: int = Field(default=1, ge=1)
    batch_size: int = Field(default=32, ge=2)
    augment: bool = False
