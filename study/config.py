"""The configuration of a study: what it is made of, and how a job's settings follow from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from analysis.addresses import without_password
from search_spaces import CUT_POINT, ResolvedSpace, Value
from trainables.attackers.config import AttackConfig
from trainables.data.config import DataConfig
from trainables.nets.config import ModelConfig
from trainables.settings import Settings

Baseline = Literal["none", "labels"]

MAY_CHANGE = ("study.num_encoders", "study.max_concurrent", "study.storage", "resources.")
"""What may differ when a study is resumed: how much, how fast and where it is kept, but not what is
measured."""


class StudyPart(Settings):
    """How the study searches.

    Attributes:
        name: Its name in MLflow, in Optuna's storage and under the results folder; the recipe's
            name by default.
        seed: Every trial's seed is derived from this and from the trial's own configuration.
        num_encoders: Encoders to train and verify, undefended ones included; `labels` is free.
        max_concurrent: Trials at a time; None follows from the resources per trial and the cores.
        sampler: Optuna's `tpe`, `nsga2`, `gp` or `random`.
        num_startup: Random points before `tpe` and `gp` trust their model; the population of
            `nsga2`.
        storage: Address of Optuna's storage; None means a SQLite file in the results folder. A
            password in it is used and never kept or shown.
        utility_floor: Least `mean_mcc` worth proposing for, a constraint of the search.
        baselines: Encoders to measure beside the searched ones: `labels`, the reference point of
            methods section 2.4, and `none`, the undefended encoder at every cut point listed.
    """

    name: str = Field(default="study", pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=100)
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    num_encoders: int = Field(default=10, ge=1)
    max_concurrent: int | None = Field(default=None, ge=1)
    sampler: Literal["tpe", "nsga2", "gp", "random"] = "tpe"
    num_startup: int = Field(default=6, ge=2)
    storage: str | None = None
    utility_floor: float | None = Field(default=None, ge=-1, le=1)
    baselines: tuple[Baseline, ...] = ("none", "labels")


class ResourcesConfig(Settings):
    """What one trial holds while it runs; torch gets as many threads as there are CPUs.

    Attributes:
        cpus_per_protect: Cores of a trial that trains an encoder.
        gpus_per_protect: Devices of it; a fraction shares one.
        cpus_per_attack: Cores of a trial that attacks a frozen encoder.
        gpus_per_attack: Devices of it.
        precision: Arithmetic of the networks.
    """

    cpus_per_protect: int = Field(default=1, ge=1)
    gpus_per_protect: float = Field(default=0, ge=0)
    cpus_per_attack: int = Field(default=1, ge=1)
    gpus_per_attack: float = Field(default=0, ge=0)
    precision: Literal["fp32"] = "fp32"


@dataclass(frozen=True)
class StudyConfig:
    """A study, checked. Values that are searched hold their defaults in `model` and `protector`.

    Attributes:
        recipe: Name of the recipe it came from.
        study: How it searches.
        data: What it is measured on.
        model: The network that is split.
        protector: Settings of the protector.
        attack: The suite and how long it trains.
        resources: What a trial holds.
        space: What is searched.
        left_out: Cut points that were not given and do not fit the image size.
        listed_cut_points: Cut points the user named; empty if the choice was left to the study.
        dropped: Keys of the recipe that another protector than the recipe's has no use for.
    """

    recipe: str
    study: StudyPart
    data: DataConfig
    model: ModelConfig
    protector: Settings
    attack: AttackConfig
    resources: ResourcesConfig
    space: ResolvedSpace
    left_out: tuple[str, ...]
    listed_cut_points: tuple[str, ...]
    dropped: tuple[str, ...] = ()

    @property
    def protector_name(self) -> str:
        """The protector's name in the registry."""
        return str(self.protector.model_dump()["name"])

    def resolved(self) -> dict[str, dict[str, Any]]:
        """Everything, JSON-able; a searched value stands as its choices or its range.

        The password of the storage's address is left out: what is returned is kept and shown.
        """
        parts = {
            part: getattr(self, part).model_dump(mode="json")
            for part in ("study", "data", "model", "protector", "attack", "resources")
        }
        for dotted, domain in self.space.domains.items():
            part, name = dotted.split(".", 1)
            parts[part][name] = domain.dump()
        if self.study.storage is not None:
            parts["study"]["storage"] = without_password(self.study.storage)
        return parts

    def to_yaml(self) -> str:
        """The resolved configuration as YAML; given as a recipe it is the same study again."""
        return yaml.safe_dump(self.resolved(), sort_keys=False, width=100)

    def dropped_line(self) -> str:
        """Says what of the recipe was left aside because the protector has no such setting."""
        names = ", ".join(self.dropped)
        return f"left aside from the recipe: {names} (protector {self.protector_name} has none)"

    def at(self, point: Mapping[str, Value]) -> tuple[ModelConfig, Settings]:
        """The model's and the protector's settings with a point's values put in."""
        values: dict[str, dict[str, Value]] = {"model": {}, "protector": {}}
        for dotted, value in point.items():
            part, name = dotted.split(".", 1)
            values[part][name] = value
        model = ModelConfig(**{**self.model.model_dump(), **values["model"]})
        protector = type(self.protector)(**{**self.protector.model_dump(), **values["protector"]})
        return model, protector

    def undefended_cut_points(self) -> tuple[str, ...]:
        """Where the undefended encoder is measured: each listed cut, else the default one."""
        return self.listed_cut_points or (str(self.space.default_point()[CUT_POINT]),)


def changed_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Names the fields in which two resolved configurations differ and must not on resume."""
    before, after = _flat(old), _flat(new)
    names = sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )
    return [name for name in names if not name.startswith(MAY_CHANGE)]


def describe_change(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> str:
    """Says what a changed field was and is now."""
    return f"{name}: was {_flat(old).get(name)!r}, now {_flat(new).get(name)!r}"


def _flat(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()
    }


def absolute_root(data: DataConfig) -> DataConfig:
    """The same settings with an absolute folder: trials run in another working directory."""
    if data.root is None:
        return data
    return DataConfig(**{**data.model_dump(), "root": Path(data.root).expanduser().resolve()})
