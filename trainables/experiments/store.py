"""Where an experiment's results lie: a folder per encoder, named after all that it depends on."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.attackers.in_loop import IN_LOOP_NAMES
from trainables.attackers.suite import SUITE_VERSION, named_attacker
from trainables.checkpoint import write_text
from trainables.experiments.config import CONSTANT, PlannedEncoder
from trainables.experiments.inputs import known_images, weights_hash
from trainables.provenance import ROOT, code_version, device, machine, versions
from trainables.seeding import config_hash

TRAINED = "protect.json"
CODES = "codes.json"
ENCODERS = "encoders"
NO_ATTACK = ("suite", "group", "seeds")
"""Settings of the attack that no attacker's result depends on."""


@dataclass(frozen=True)
class EncoderFolder:
    """The results of one encoder and seed.

    Attributes:
        path: The folder.
        encoder: What it holds.
        seed: Which of its trainings.
    """

    path: Path
    encoder: PlannedEncoder
    seed: int

    @property
    def reference(self) -> str:
        """What an attack trial is told to attack."""
        if self.encoder.protector is None:
            return CONSTANT
        return str(self.path / "encoder.pt")

    @property
    def training(self) -> dict[str, Any] | None:
        """What came of the training; None before it has ended, and where nothing is trained."""
        path = self.path / TRAINED
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    @property
    def untrained(self) -> bool:
        """Whether the encoder is still to be trained."""
        return self.encoder.protector is not None and not (self.path / TRAINED).exists()

    @property
    def missing(self) -> list[str]:
        """Attackers that are still to attack; none attacks an encoder whose training diverged."""
        if self._diverged:
            return []
        names = (*self.encoder.attack.suite, *self.encoder.probes.values())
        return [name for name in names if not self._attack(name).exists()]

    @property
    def unmeasured(self) -> bool:
        """Whether it is still to be measured how far the codes tell people apart."""
        return self.encoder.people and not self._diverged and not (self.path / CODES).exists()

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.untrained and not self.missing and not self.unmeasured

    @property
    def attacks(self) -> list[dict[str, Any]]:
        """What came of the attacks so far, in the suite's order, in-loop adversaries first."""
        names = (*IN_LOOP_NAMES, *self.encoder.attack.suite, *self.encoder.probes.values())
        paths = [self._attack(name) for name in names]
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]

    @property
    def codes(self) -> dict[str, float]:
        """How far the codes tell people apart; empty if it was not measured."""
        path = self.path / CODES
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def keep_training(self, result: Mapping[str, Any]) -> None:
        """Keeps what came of the training."""
        self._keep({**result, "made": made()}, self.path / TRAINED)

    def keep_attacks(self, result: Mapping[str, Any]) -> None:
        """Keeps what came of an attack trial, attacker by attacker."""
        if self.unmeasured:  # then it was asked for; of images without people there is nothing
            self._keep(result["codes"], self.path / CODES)
        for entry in result["results"]:
            self._keep({**entry, "made": made()}, self._attack(str(entry["attacker"])))

    def summary(self) -> str:
        """One line: how the training ended and what the attackers got."""
        training = self.training or {}
        parts = []
        if training.get("status") in ("diverged", "collapsed"):
            parts.append(f"{training['status']} ({training['reason']})")
        if "utility/mean_mcc" in training:
            parts.append(f"mean MCC {training['utility/mean_mcc']:.3f}")
        for entry in self.attacks:
            bound = "" if entry["saturated"] else "≥ "
            parts.append(f"{entry['attacker']} {bound}{entry['test']:.3f}")
        return ", ".join(parts)

    @property
    def progress(self) -> Path:
        """Where whoever works on it notes how far it is."""
        return self.path / "progress.json"

    @property
    def lock(self) -> Path:
        """What whoever works on it holds."""
        return self.path / "lock"

    def checkpoint(self, group: Sequence[str] | None) -> Path:
        """Where a trial of some attackers keeps how far it is; for None that of the training."""
        if group is None:
            return self.path / "training.checkpoint"
        identity = [self._identity(name) for name in group]
        return self.path / f"attack-{config_hash({'attackers': identity})}.checkpoint"

    def _attack(self, name: str) -> Path:
        return self.path / "attacks" / f"{name}-{config_hash(self._identity(name))}.json"

    def _identity(self, name: str) -> dict[str, Any]:
        """All that an attacker's result depends on beside the encoder."""
        own = name if name in IN_LOOP_NAMES else named_attacker(name).model_dump(mode="json")
        return {
            "attack": attack_identity(self.encoder),
            "attacker": own,
            "suite": SUITE_VERSION,
            "extra": known_images(self.encoder.data)["extra_images"],
        }

    @property
    def _diverged(self) -> bool:
        training = self.training
        return training is not None and training["status"] == "diverged"

    def _keep(self, value: Mapping[str, Any], path: Path) -> None:
        write_text(json.dumps(value), path)


def encoder_folder(encoder: PlannedEncoder, seed: int, work: Path) -> EncoderFolder:
    """The folder of an encoder's results below `work`.

    Raises:
        DataError: If files of the data are missing or malformed.
    """
    # It does not matter where files lie. The extra images are the attacker's: no encoder depends on
    # them.
    elsewhere = {"root", "extra_public", "extra_images"}
    identity = {
        "data": encoder.data.model_dump(mode="json", exclude=elsewhere),
        "images": known_images(encoder.data)["images"],
        "model": encoder.model.model_dump(mode="json", exclude={"perceptual_weights"}),
        "perceptual_weights": weights_hash(encoder.model.perceptual_weights),
        "protector": CONSTANT
        if encoder.protector is None
        else encoder.protector.model_dump(mode="json"),
        "precision": encoder.precision,
        "seed": seed,
    }
    return EncoderFolder(work / ENCODERS / config_hash(identity), encoder, seed)


def attack_identity(encoder: PlannedEncoder) -> dict[str, Any]:
    """What of the attack's settings an attacker's result depends on; weights by their content."""
    settings = encoder.attack.model_dump(mode="json")
    settings["identity_weights"] = weights_hash(encoder.attack.identity_weights)
    return {key: value for key, value in settings.items() if key not in NO_ATTACK}


@functools.cache
def made() -> Mapping[str, Any]:
    """By which code, on which machine, with which versions: those of this process's first call."""
    return {
        "code": code_version(ROOT),
        "machine": f"{device()}; {machine()}",
        "torch": versions().get("torch", ""),
    }
