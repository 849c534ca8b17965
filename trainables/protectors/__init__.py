"""The table of protectors: adding one is one file and one line here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trainables.protectors.base import Protector, Setting
from trainables.protectors.baselines import (
    BlurConfig,
    FixedEncoder,
    IdentityConfig,
    LabelsConfig,
    NoiseConfig,
    NoneConfig,
    Undefended,
)
from trainables.protectors.label_flip import LabelFlip, LabelFlipConfig
from trainables.protectors.obfuscator import Obfuscator, ObfuscatorConfig
from trainables.protectors.reconstruction import Reconstruction, ReconstructionConfig
from trainables.settings import Settings


@dataclass(frozen=True)
class ProtectorEntry:
    """A protector's settings model and the class that trains it.

    Attributes:
        config: Settings model.
        build: The class, or None where nothing trains (`labels`).
    """

    config: type[Settings]
    build: Callable[[Any, Setting], Protector] | None


PROTECTORS: dict[str, ProtectorEntry] = {
    "none": ProtectorEntry(NoneConfig, Undefended),
    "labels": ProtectorEntry(LabelsConfig, None),
    "identity": ProtectorEntry(IdentityConfig, FixedEncoder),
    "blur": ProtectorEntry(BlurConfig, FixedEncoder),
    "noise": ProtectorEntry(NoiseConfig, FixedEncoder),
    "reconstruction": ProtectorEntry(ReconstructionConfig, Reconstruction),
    "label_flip": ProtectorEntry(LabelFlipConfig, LabelFlip),
    "obfuscator": ProtectorEntry(ObfuscatorConfig, Obfuscator),
}

__all__ = ["PROTECTORS", "Protector", "ProtectorEntry"]
