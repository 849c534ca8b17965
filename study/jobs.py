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
from trainables.attackers.suite import (
    SUITE_VERSION,
    Circumstances,
    named_attacker,
    resolve_attackers,
    scale_of,
)
from trainables.frozen import PLANTED
from trainables.nets.config import CUT_POINTS, DEFAULT_CUTS, CutPoint, ModelConfig
from trainables.protectors import PROTECTORS
from trainables.seeding import config_hash, derive_seed, file_hash
from trainables.settings import Settings

JobKind = Literal["protect", "attack", "reference"]
Role = Literal["undefended", "labels", "baseline", "searched", "confirmation"]
REFERENCES = ("constant", "identity")
"""The stand-ins for an encoder that give each attacker's floor and ceiling."""
ATTACKERS_ALONE = {"extra_public", "extra_images"}
"""Settings of the data that the attacker alone has to do with."""
NO_GRADIENTS = ("labels", "noise")
"""Encoders that a white-box attacker cannot follow: there is no gradient, or it is never the same.
"""


@dataclass(frozen=True)
class Job:
    """One trial.

    Attributes:
        key: Its identity; the name of its files.
        kind: Whether it trains an encoder, attacks one, or measures a floor or ceiling.
        encoder_id: The encoder it is about; for a reference `constant`, `identity`, `planted-CUT`.
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
        circumstances = Circumstances.of(config.data, config.attack)
        attackers = {
            attacker.name: attacker.model_dump(mode="json")
            for attacker in resolve_attackers(config.attack.suite, circumstances)
        }
        self.suite = Suite(attackers, config.attack.seeds, config.attack.group)
        self._planted = _planted_cuts(config)
        self._scales = list(dict.fromkeys(scale_of(name) for name in attackers))
        weights = config.model.perceptual_weights, config.attack.identity_weights
        self._hashes = [None if path is None else file_hash(path) for path in weights]

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

    def repeated(self, protect: Job, number: int) -> Job:
        """A trial that trains an encoder again from a fresh seed.

        Args:
            protect: The trial that trained it first.
            number: Which of its repetitions, from 1.
        """
        seed = derive_seed(self.config.study.seed, protect.encoder_id, "confirmation", number)
        encoder_id = config_hash({"confirms": protect.encoder_id, "seed": seed})
        config = {
            **protect.config,
            "encoder_id": encoder_id,
            "seed": seed,
            "output": str(self.folder.encoder(encoder_id)),
        }
        label = f"{protect.label} (again, {number})"
        return Job(encoder_id, "protect", encoder_id, config, label)

    def attacks(self, protect: Job, has_in_loop: bool) -> list[Job]:
        """The trials that attack a finished encoder.

        Args:
            protect: The job that trained it.
            has_in_loop: Whether it has an in-loop adversary; the first trial evaluates it.
        """
        jobs: list[Job] = []
        names = list(self.suite.attackers)
        if protect.config["protector"]["name"] in NO_GRADIENTS:
            names = [name for name in names if not named_attacker(name).white_box]
        for seed in range(self.suite.num_seeds):
            for labels in self.suite.chunks(names):
                config = {
                    "encoder": str(self.folder.encoder(protect.encoder_id) / "encoder.pt"),
                    "model": protect.config["model"],
                    "output": str(self._pictures(protect.encoder_id, seed)),
                    "in_loop": has_in_loop and not jobs,
                    "people": not jobs,
                    "seed": derive_seed(self.config.study.seed, protect.encoder_id, seed),
                }
                label = f"{', '.join(labels)} on {protect.label}"
                jobs.append(self._attack("attack", protect.encoder_id, labels, seed, config, label))
        return jobs

    def references(self, missing: set[tuple[str, str, int]]) -> list[Job]:
        """The trials that measure floors and ceilings.

        Args:
            missing: (constant, identity or planted-CUT, attacker, seed) of those to be measured.
        """
        jobs: list[Job] = []
        for which in (*REFERENCES, *self._planted):
            for seed in range(self.suite.num_seeds):
                wanted = [name for name in self._scales if (which, name, seed) in missing]
                for labels in self.suite.chunks(wanted):
                    config = {
                        "encoder": PLANTED if which in self._planted else which,
                        "model": self._reference_model(which),
                        "output": str(self._pictures(which, seed)),
                        "in_loop": False,
                        # Not of the study's seed: references serve every study on this data.
                        "seed": derive_seed("reference", which, seed),
                    }
                    label = f"{', '.join(labels)} on {which}"
                    jobs.append(self._attack("reference", which, labels, seed, config, label))
        return jobs

    def all_references(self) -> set[tuple[str, str, int]]:
        """Every (constant, identity or planted-CUT, attacker, seed) the study needs.

        The planted attributes are for the attackers of attributes, once: a check of health.
        """
        seeds = range(self.suite.num_seeds)
        ends = {
            (which, name, seed) for which in REFERENCES for name in self._scales for seed in seeds
        }
        inferring = [name for name in self._scales if named_attacker(name).kind == "attribute"]
        return ends | {(which, name, 0) for which in self._planted for name in inferring}

    def reference_key(self, which: str, attacker: str, seed: int) -> str:
        """Identity of a floor or ceiling: data, attacker, attack settings, seed."""
        names = ("content_hash", "splits_hash", "height", "width", "utility", "private")
        return config_hash(
            {
                "which": which,
                "data": {name: self._data[name] for name in names},
                "extra": self._extra_identity([attacker]),
                "model": self._by_content(self._reference_model(which)),
                "attacker": named_attacker(attacker).model_dump(mode="json"),
                "attack": self._attack_settings(),
                "seed": seed,
                **self._arithmetic(),
            }
        )

    def _protect(self, model: ModelConfig, protector: Settings) -> Job:
        model = _one_name(model, is_cut(protector.model_dump()["name"]))
        settings = {
            "data": self.config.data.model_dump(mode="json", exclude=ATTACKERS_ALONE),
            "model": model.model_dump(mode="json"),
            "protector": protector.model_dump(mode="json"),
        }
        identity = {
            **settings,
            "data": self._data_identity(),
            "model": self._by_content(settings["model"]),
            "protector": _as_before(settings["protector"]),
            **self._arithmetic(),
        }
        seed = derive_seed(self.config.study.seed, config_hash(identity))
        encoder_id = config_hash({**identity, "seed": seed})
        config = {
            "kind": "protect",
            "encoder_id": encoder_id,
            **settings,
            "seed": seed,
            "output": str(self.folder.encoder(encoder_id)),
            **self._arithmetic(),
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
        attackers = [named_attacker(name).model_dump(mode="json") for name in labels]
        identity = {
            "data": self._data_identity(),
            "extra": self._extra_identity(labels),
            "attack": self._attack_settings(),
            "attackers": attackers,
            "model": self._by_content(config["model"]),
            **{name: config[name] for name in ("in_loop", "seed")},
            **self._arithmetic(),
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
            **self._arithmetic(),
            **self._surroundings("attack"),
        }
        return Job(key, kind, encoder_id, full, label, labels, seed)

    def _data_identity(self) -> dict[str, Any]:
        """What is measured on: its settings and its content, wherever the files lie.

        Without the extra images: they are the attacker's, and no encoder depends on them.
        """
        settings = self.config.data.model_dump(mode="json", exclude={"root", *ATTACKERS_ALONE})
        hashes = {name: self._data[name] for name in ("content_hash", "splits_hash")}
        return {**settings, **hashes}

    def _extra_identity(self, attackers: Sequence[str]) -> str | None:
        """The extra images' content, where an attacker uses them."""
        used = any(named_attacker(name).extra for name in attackers)
        return str(self._data["extra_hash"]) if used else None

    def _by_content(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """A model's settings with what the weights are in the place of where they lie."""
        return {**model, "perceptual_weights": self._hashes[0]}

    def _pictures(self, encoder_id: str, seed: int) -> Path:
        """Folder of an encoder's reconstructions; repetitions must not overwrite the first."""
        folder = self.folder.encoder(encoder_id)
        return folder / f"repetition-{seed}" if seed else folder

    def _attack_settings(self) -> dict[str, Any]:
        """What of the attack's settings an attacker's result depends on."""
        settings = self.config.attack.model_dump(mode="json")
        kept = {k: v for k, v in settings.items() if k not in {"suite", "group", "seeds"}}
        kept["identity_weights"] = self._hashes[1]
        return {**kept, "suite_version": SUITE_VERSION}

    def _reference_model(self, which: str) -> dict[str, Any]:
        """The network attackers are shaped after on references.

        The planted attributes stand in a code like those of the study; elsewhere no cut is made.
        """
        fixed = self.config.model.model_dump(mode="json")
        if which in self._planted:
            return {**fixed, "cut_point": self._planted[which]}
        plain = ModelConfig().model_dump(mode="json")
        return {
            **fixed,
            "cut_point": DEFAULT_CUTS[self.config.model.backbone],
            "code_width": plain["code_width"],
        }

    def _arithmetic(self) -> dict[str, str]:
        """The precision, where it is not the one that studies had before there was a choice."""
        precision = self.config.precision
        return {} if precision == "fp32" else {"precision": precision}

    def _surroundings(self, kind: Literal["protect", "attack"]) -> dict[str, Any]:
        """What a trial is given that must not change its result."""
        resources = self.config.resources.model_dump()
        return {
            "cache": str(self.folder.cache),
            "content_hash": self._data["content_hash"],
            "threads": resources[f"cpus_per_{kind}"],
            "device": "cuda" if resources[f"gpus_per_{kind}"] > 0 else "cpu",
            "pictures": self.config.report.reconstructions,
        }


def _planted_cuts(config: StudyConfig) -> dict[str, CutPoint]:
    """Name → cut point of the codes that attributes are planted in: the shallowest, the deepest."""
    cuts = [cut for cut in CUT_POINTS[config.model.backbone] if cut in config.cut_points]
    ends = dict.fromkeys([cuts[0], cuts[-1]] if cuts else [config.model.cut_point])
    return {f"{PLANTED}-{cut}": cut for cut in ends}


def _as_before(protector: dict[str, Any]) -> dict[str, Any]:
    """Without a share of the images that is all: encoders older than the choice keep their name."""
    return {key: value for key, value in protector.items() if (key, value) != ("share", 1.0)}


def _one_name(model: ModelConfig, cut: bool) -> ModelConfig:
    """Resets what makes no difference: two names for one encoder would be two trials."""
    values = model.model_dump()
    if not cut:
        values["cut_point"] = DEFAULT_CUTS[model.backbone]
    if not cut or model.cut_point != "fc":  # only this cut has a code width
        values["code_width"] = type(model)().code_width
    return type(model)(**values)
