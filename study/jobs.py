"""The jobs of a study: what each trial is given, and how it is identified.

A job's key is a hash of everything its result depends on, and nothing else: the same work has the
same key in a resumed study, whatever the machine, the number of cores or the order was.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from search_spaces import CUT_POINT, SPACES, Value
from study.config import StudyConfig
from study.folder import StudyFolder
from study.naming import is_cut, run_name
from trainables.attackers.suite import SUITE_VERSION, resolve_attackers
from trainables.nets.config import DEFAULT_CUTS, ModelConfig
from trainables.protectors import PROTECTORS
from trainables.seeding import config_hash, derive_seed, file_hash
from trainables.settings import Settings

JobKind = Literal["protect", "attack", "reference"]
Role = Literal["undefended", "labels", "baseline", "searched"]
REFERENCES = ("constant", "identity")
"""The stand-ins for an encoder that give each attacker's floor and ceiling."""


@dataclass(frozen=True)
class Job:
    """One trial.

    Attributes:
        key: Its identity; the name of its files.
        kind: Whether it trains an encoder, attacks one, or measures a floor or ceiling.
        encoder_id: The encoder it is about; `constant` or `identity` for a reference.
        config: What the trial is built from.
        label: A few words for a person.
        attackers: Labels of the attackers it carries.
        seed: Number of the repetition, from 0.
    """

    key: str
    kind: JobKind
    encoder_id: str
    config: Mapping[str, Any]
    label: str
    attackers: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Suite:
    """The attackers of a study: label and settings, in order."""

    attackers: Mapping[str, Mapping[str, Any]]
    num_seeds: int
    group: int

    def num_trials(self) -> int:
        """Attack trials per encoder."""
        return self.num_seeds * len(list(self.chunks(list(self.attackers))))

    def chunks(self, labels: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Cuts labels into the groups that share a trial."""
        for start in range(0, len(labels), self.group):
            yield tuple(labels[start : start + self.group])


class JobFactory:
    """Makes every job of one study.

    Args:
        config: The study.
        folder: Its files.
        data: `Dataset.describe()`; its hashes are part of every job's identity.
    """

    def __init__(self, config: StudyConfig, folder: StudyFolder, data: Mapping[str, Any]) -> None:
        self.config = config
        self.folder = folder
        self._data = data
        attackers = {
            attacker.name: attacker.model_dump(mode="json")
            for attacker in resolve_attackers(config.attack.suite, config.data.private)
        }
        self.suite = Suite(attackers, config.attack.seeds, config.attack.group)
        weights = config.model.perceptual_weights
        self._weights_hash = None if weights is None else file_hash(weights)

    def searched(self, point: Mapping[str, Value]) -> Job:
        """The trial that trains the encoder of a point of the search space."""
        model, protector = self.config.at(point)
        return self._protect(model, protector)

    def baselines(self) -> list[tuple[Role, Job]]:
        """The encoders to measure beside the searched ones.

        `labels` first, then the undefended encoder at every cut, then those that are not cut.
        All are trained exactly as the first protector's encoders are, but for the defence.
        """
        listed = self.config.study.baselines
        default = self.config.space.default_point()
        cut_points = self.config.undefended_cut_points()
        jobs: list[tuple[Role, Job]] = []
        if "labels" in listed:
            model, _ = self.config.at({**default, CUT_POINT: cut_points[0]})
            jobs.append(("labels", self._protect(model, PROTECTORS["labels"].config())))
        if "none" in listed:
            for cut_point in cut_points:
                model, _ = self.config.at({**default, CUT_POINT: cut_point})
                jobs.append(("undefended", self._protect(model, self.config.baseline("none"))))
        model, _ = self.config.at(default)
        for name in dict.fromkeys(name for name in listed if not SPACES[name].has_cut):
            jobs.append(("baseline", self._protect(model, self.config.baseline(name))))
        return jobs

    def attacks(self, protect: Job, has_in_loop: bool) -> list[Job]:
        """The trials that attack a finished encoder.

        Args:
            protect: The job that trained it.
            has_in_loop: Whether it has an in-loop adversary; the first trial evaluates it.
        """
        jobs: list[Job] = []
        for seed in range(self.suite.num_seeds):
            for labels in self.suite.chunks(list(self.suite.attackers)):
                config = {
                    "encoder": str(self.folder.encoder(protect.encoder_id) / "encoder.pt"),
                    "model": protect.config["model"],
                    "output": str(self._pictures(protect.encoder_id, seed)),
                    "in_loop": has_in_loop and not jobs,
                    "seed": derive_seed(self.config.study.seed, protect.encoder_id, seed),
                }
                label = f"{', '.join(labels)} on {protect.label}"
                jobs.append(self._attack("attack", protect.encoder_id, labels, seed, config, label))
        return jobs

    def references(self, missing: set[tuple[str, str, int]]) -> list[Job]:
        """The trials that measure floors and ceilings.

        Args:
            missing: (constant or identity, attacker, seed) of those to be measured.
        """
        jobs: list[Job] = []
        for which in REFERENCES:
            for seed in range(self.suite.num_seeds):
                wanted = [name for name in self.suite.attackers if (which, name, seed) in missing]
                for labels in self.suite.chunks(wanted):
                    config = {
                        "encoder": which,
                        "model": self._reference_model(),
                        "output": str(self._pictures(which, seed)),
                        "in_loop": False,
                        # Not of the study's seed: references serve every study on this data.
                        "seed": derive_seed("reference", which, seed),
                    }
                    label = f"{', '.join(labels)} on {which}"
                    jobs.append(self._attack("reference", which, labels, seed, config, label))
        return jobs

    def all_references(self) -> set[tuple[str, str, int]]:
        """Every (constant or identity, attacker, seed) the study needs."""
        seeds = range(self.suite.num_seeds)
        names = self.suite.attackers
        return {(which, name, seed) for which in REFERENCES for name in names for seed in seeds}

    def reference_key(self, which: str, attacker: str, seed: int) -> str:
        """Identity of a floor or ceiling: data, attacker, attack settings, seed."""
        names = ("content_hash", "splits_hash", "height", "width", "utility", "private")
        return config_hash(
            {
                "which": which,
                "data": {name: self._data[name] for name in names},
                "model": self._by_content(self._reference_model()),
                "attacker": self.suite.attackers[attacker],
                "attack": self._attack_settings(),
                "seed": seed,
            }
        )

    def _protect(self, model: ModelConfig, protector: Settings) -> Job:
        model = _one_name(model, is_cut(protector.model_dump()["name"]))
        settings = {
            "data": self.config.data.model_dump(mode="json"),
            "model": model.model_dump(mode="json"),
            "protector": protector.model_dump(mode="json"),
        }
        identity = {
            **settings,
            "data": self._data_identity(),
            "model": self._by_content(settings["model"]),
        }
        seed = derive_seed(self.config.study.seed, config_hash(identity))
        encoder_id = config_hash({**identity, "seed": seed})
        config = {
            "kind": "protect",
            "encoder_id": encoder_id,
            **settings,
            "seed": seed,
            "output": str(self.folder.encoder(encoder_id)),
            **self._surroundings("protect"),
        }
        name = run_name(settings["model"], settings["protector"])
        return Job(encoder_id, "protect", encoder_id, config, name)

    def _attack(
        self,
        kind: JobKind,
        encoder_id: str,
        labels: tuple[str, ...],
        seed: int,
        config: dict[str, Any],
        label: str,
    ) -> Job:
        attackers = [self.suite.attackers[name] for name in labels]
        identity = {
            "data": self._data_identity(),
            "attack": self._attack_settings(),
            "attackers": attackers,
            "model": self._by_content(config["model"]),
            **{name: config[name] for name in ("in_loop", "seed")},
        }
        key = f"{encoder_id}-{config_hash(identity)}"
        full = {
            "kind": "attack",
            "attack_id": key,
            "encoder_id": encoder_id,
            "attackers": attackers,
            "data": self.config.data.model_dump(mode="json"),
            "attack": self.config.attack.model_dump(mode="json"),
            **config,
            **self._surroundings("attack"),
        }
        return Job(key, kind, encoder_id, full, label, labels, seed)

    def _data_identity(self) -> dict[str, Any]:
        """What is measured on: its settings and its content, wherever the files lie."""
        settings = self.config.data.model_dump(mode="json", exclude={"root"})
        hashes = {name: self._data[name] for name in ("content_hash", "splits_hash")}
        return {**settings, **hashes}

    def _by_content(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """A model's settings with what the weights are in the place of where they lie."""
        return {**model, "perceptual_weights": self._weights_hash}

    def _pictures(self, encoder_id: str, seed: int) -> Path:
        """Folder of an encoder's reconstructions; repetitions must not overwrite the first."""
        folder = self.folder.encoder(encoder_id)
        return folder / f"repetition-{seed}" if seed else folder

    def _attack_settings(self) -> dict[str, Any]:
        """What of the attack's settings an attacker's result depends on."""
        settings = self.config.attack.model_dump(mode="json")
        kept = {k: v for k, v in settings.items() if k not in {"suite", "group", "seeds"}}
        return {**kept, "suite_version": SUITE_VERSION}

    def _reference_model(self) -> dict[str, Any]:
        """The network attackers are shaped after on references: no cut is made there."""
        fixed = self.config.model.model_dump(mode="json")
        plain = ModelConfig().model_dump(mode="json")
        return {
            **fixed,
            "cut_point": DEFAULT_CUTS[self.config.model.backbone],
            "code_width": plain["code_width"],
        }

    def _surroundings(self, kind: Literal["protect", "attack"]) -> dict[str, Any]:
        """What a trial is given that must not change its result."""
        resources = self.config.resources.model_dump()
        return {
            "cache": str(self.folder.cache),
            "threads": resources[f"cpus_per_{kind}"],
            "device": "cuda" if resources[f"gpus_per_{kind}"] > 0 else "cpu",
        }


def _one_name(model: ModelConfig, cut: bool) -> ModelConfig:
    """Resets what makes no difference: two names for one encoder would be two trials."""
    values = model.model_dump()
    if not cut:
        values["cut_point"] = DEFAULT_CUTS[model.backbone]
    if not cut or model.cut_point != "fc":  # only this cut has a code width
        values["code_width"] = type(model)().code_width
    return type(model)(**values)
