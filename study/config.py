"""The configuration of a study: what it is made of, and how a job's settings follow from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field

from analysis.addresses import without_password
from search_spaces import PROTECTOR_NAME, JointSpace, ResolvedSpace, Value, default_cut
from trainables.attackers.config import AttackConfig
from trainables.attackers.suite import Circumstances, left_out
from trainables.data.config import DataConfig
from trainables.nets.config import ModelConfig
from trainables.pictures import NUM_PICTURES
from trainables.precision import Precision
from trainables.protectors import PROTECTORS
from trainables.settings import Settings

Baseline = Literal["none", "labels", "identity", "blur", "noise"]

PARTS = ("study", "data", "model", "protector", "attack", "resources", "report")
MAY_CHANGE = (
    "study.num_encoders", "study.max_concurrent", "study.storage", "study.early_stopping_margin",
    "resources.cpus_", "resources.gpus_", "report.",
)  # fmt: skip
"""What may differ when a study is resumed: how much, how fast and where it is kept, but not what is
measured."""


class StudyPart(Settings):
    """How the study searches.

    Attributes:
        name: Its name in MLflow, in Optuna's storage and under the results folder; the recipe's
            name by default.
        seed: Every trial's seed is derived from this and from the trial's own configuration.
        num_encoders: Encoders to train and verify, baselines included; `labels` is free. `+N`, as
            an override, is N more than there were when the study last came to its end.
        max_concurrent: Trials at a time; None follows from the resources per trial and the cores.
        sampler: Optuna's `tpe`, `nsga2`, `gp` or `random`. With several protectors `tpe` learns
            each one's values; `nsga2` and `gp` see only what every encoder has (which protector,
            which cut) and draw the rest at random.
        num_startup: Random points before `tpe` and `gp` trust their model; the population of
            `nsga2`.
        storage: Address of Optuna's storage; None means $OPTUNA_STORAGE, else a SQLite file in the
            results folder. A password in it is used and never kept or shown.
        utility_floor: Least `mean_mcc` worth proposing for, a constraint of the search.
        baselines: Encoders to measure beside the searched ones: `labels`, the reference point that
            sends the true labels; `none`, the undefended encoder at every cut point listed; and
            `identity`, `blur`, `noise`, which send the image as it is, blurred or noisy. They train
            as the first protector does.
        early_stopping_margin: Spend no more attackers on a searched encoder that is dominated
            already: another one, verified and of no less utility, leaks less than it is known to
            leak, by more than this (leakage is within [0, 1]; both on the selection split). None,
            the default, attacks every encoder with all of the suite. On resume it may be changed:
            without it the attackers that were spared follow.
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
    early_stopping_margin: float | None = Field(default=None, ge=0, le=1)


class ResourcesConfig(Settings):
    """What one trial holds while it runs; torch gets as many threads as there are CPUs.

    Attributes:
        cpus_per_protect: Cores of a trial that trains an encoder.
        gpus_per_protect: Devices of it; a fraction shares one.
        cpus_per_attack: Cores of a trial that attacks a frozen encoder.
        gpus_per_attack: Devices of it.
        precision: Arithmetic of the networks while they are trained: `fp32`, `bf16` (bfloat16
            within the networks; weights, losses and scores in float32), or `auto`: whichever a
            short measurement at the start of the study finds the faster. No mere resource: another
            precision is another encoder.
    """

    cpus_per_protect: int = Field(default=1, ge=1)
    gpus_per_protect: float = Field(default=0, ge=0)
    cpus_per_attack: int = Field(default=1, ge=1)
    gpus_per_attack: float = Field(default=0, ge=0)
    precision: Literal["fp32", "bf16", "auto"] = "fp32"


class ReportConfig(Settings):
    """What of the images is kept to be looked at.

    Attributes:
        reconstructions: Test images, the first of the split, that are kept beside what each
            attacker made of them: with the encoder, in MLflow and in the report; with the encoder
            and in MLflow also another image of each person on them, for the quiz. 0 keeps none, and
            no codes for the report's pictures of codes either: reconstructions of faces are as
            sensitive as the faces.
    """

    reconstructions: int = Field(default=NUM_PICTURES, ge=0, le=64)


@dataclass(frozen=True)
class StudyConfig:
    """A study, checked. Values that are searched hold their defaults in `model` and `protectors`.

    Attributes:
        recipe: Name of the recipe it came from.
        study: How it searches.
        data: What it is measured on.
        model: The network that is split.
        protectors: Settings of every protector, in the order listed.
        attack: The suite and how long it trains.
        resources: What a trial holds.
        report: What is kept to be looked at.
        spaces: What is searched of each protector.
        cut_points: Where encoders may be cut: as the user named, else wherever they can be.
        left_out: Cut points that were not named and cannot be used, each with the reason.
        listed_cut_points: Cut points the user named; empty if the choice was left to the study.
        dropped: Keys of the recipe that are not meant for the protectors chosen instead of its own.
        measured: What `resources.precision=auto` was found to be; None before it was looked for.
        adds: Whether `study.num_encoders` is how many more than the study has, not yet a total.
    """

    recipe: str
    study: StudyPart
    data: DataConfig
    model: ModelConfig
    protectors: Mapping[str, Settings]
    attack: AttackConfig
    resources: ResourcesConfig
    report: ReportConfig
    spaces: Mapping[str, ResolvedSpace]
    cut_points: tuple[str, ...]
    left_out: Mapping[str, str]
    listed_cut_points: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    measured: Precision | None = None
    adds: bool = False

    @property
    def precision(self) -> Precision:
        """The arithmetic of the trials' networks."""
        own = self.resources.precision
        return (self.measured or "fp32") if own == "auto" else own

    @property
    def protector_name(self) -> str:
        """The first protector's name in the registry."""
        return next(iter(self.protectors))

    @property
    def protector(self) -> Settings:
        """The first protector's settings: the baselines are trained as it is."""
        return self.protectors[self.protector_name]

    @property
    def space(self) -> ResolvedSpace:
        """What is searched of the first protector."""
        return self.spaces[self.protector_name]

    @property
    def joint(self) -> JointSpace:
        """What Optuna is asked: which protector, if there are several, and its values."""
        return JointSpace(self.spaces)

    def resolved(self) -> dict[str, dict[str, Any]]:
        """Everything, JSON-able; a searched value stands as its choices or its range.

        Of several protectors each has its own mapping under its name. The password of the
        storage's address is left out: what is returned is kept and shown.
        """
        parts: dict[str, dict[str, Any]] = {
            part: getattr(self, part).model_dump(mode="json")
            for part in PARTS
            if part != "protector"
        }
        if len(self.listed_cut_points) > 1:
            parts["model"]["cut_point"] = list(self.listed_cut_points)
        own: dict[str, dict[str, Any]] = {}
        for name, settings in self.protectors.items():
            own[name] = settings.model_dump(mode="json")
            for dotted, domain in self.spaces[name].domains.items():
                part, field = dotted.split(".", 1)
                (own[name] if part == "protector" else parts[part])[field] = domain.dump()
        if len(own) == 1:
            parts["protector"] = own[self.protector_name]
        else:
            for values in own.values():
                del values["name"]
            parts["protector"] = {"name": list(own), **own}
        if self.study.storage is not None:
            parts["study"]["storage"] = without_password(self.study.storage)
        return {part: parts[part] for part in PARTS}

    def to_yaml(self) -> str:
        """The resolved configuration as YAML; given as a recipe it is the same study again."""
        return yaml.safe_dump(self.resolved(), sort_keys=False, width=100)

    def remarks(self) -> list[str]:
        """What was left out or aside, and why: cut points, attackers, keys of the recipe."""
        lines = [f"cut point {cut} is left out: {why}" for cut, why in self.left_out.items()]
        circumstances = Circumstances.of(self.data, self.attack)
        without = left_out(self.attack.suite, circumstances)
        lines += [f"attacker {name} is left out: it {why}" for name, why in without.items()]
        if self.dropped:
            names, protectors = ", ".join(self.dropped), ", ".join(self.protectors)
            lines.append(f"left aside from the recipe: {names} (not meant for {protectors})")
        return lines

    def at(self, point: Mapping[str, Value]) -> tuple[ModelConfig, Settings]:
        """The model's and the protector's settings with a point's values put in.

        A point that does not say of which protector it is, is of the first.
        """
        settings = self.protectors[str(point.get(PROTECTOR_NAME, self.protector_name))]
        values: dict[str, dict[str, Value]] = {"model": {}, "protector": {}}
        for dotted, value in point.items():
            part, name = dotted.split(".", 1)
            if dotted != PROTECTOR_NAME:
                values[part][name] = value
        model = ModelConfig(**{**self.model.model_dump(), **values["model"]})
        return model, type(settings)(**{**settings.model_dump(), **values["protector"]})

    def baseline(self, name: str) -> Settings:
        """Settings of a baseline: trained as the first protector is by default, not defended."""
        _, protector = self.at(self.space.default_point())
        return as_baseline(name, protector)

    def undefended_cut_points(self) -> tuple[str, ...]:
        """Where the undefended encoder is measured: each listed cut, else the default one."""
        return self.listed_cut_points or (default_cut(self.cut_points),)


def as_baseline(name: str, protector: Settings) -> Settings:
    """A baseline's settings with everything of a protector's that it has too."""
    entry = PROTECTORS[name].config
    shared = entry.model_fields.keys() - {"name"}
    return entry(**{k: v for k, v in protector.model_dump().items() if k in shared})


def changed_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Names the fields in which two resolved configurations differ and must not on resume.

    A field that an older version of the project did not have yet was at its default.
    """
    before, after = _flat(old), _flat(new)
    names = sorted(
        name
        for name in before.keys() | after.keys()
        if before.get(name, _default(name, new)) != after.get(name)
    )
    return [name for name in names if not name.startswith(MAY_CHANGE)]


def describe_change(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> str:
    """Says what a changed field was and is now."""
    return f"{name}: was {_flat(old).get(name)!r}, now {_flat(new).get(name)!r}"


def _default(dotted: str, parts: Mapping[str, Any]) -> Any:
    """A field's default, as a resolved configuration shows it; None if there is no such field."""
    part, *owner, name = dotted.split(".")
    models: dict[str, type[Settings]] = {
        "study": StudyPart, "data": DataConfig, "model": ModelConfig, "attack": AttackConfig,
        "resources": ResourcesConfig, "report": ReportConfig,
    }  # fmt: skip
    protector = owner[0] if owner else str(parts.get("protector", {}).get("name"))
    if protector in PROTECTORS:
        models["protector"] = PROTECTORS[protector].config
    field = models[part].model_fields.get(name) if part in models else None
    default = None if field is None or field.is_required() else field.get_default()
    return list(default) if isinstance(default, tuple) else default


def _flat(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted name → value; a protector's own mapping is no value, a range is."""
    flat: dict[str, Any] = {}
    for part, values in parts.items():
        for name, value in values.items():
            if part == "protector" and name in PROTECTORS and isinstance(value, Mapping):
                flat |= {f"{part}.{name}.{field}": own for field, own in value.items()}
            else:
                flat[f"{part}.{name}"] = value
    return flat


def absolute_root(data: DataConfig) -> DataConfig:
    """The same settings with an absolute folder: trials run in another working directory."""
    if data.root is None:
        return data
    return DataConfig(**{**data.model_dump(), "root": Path(data.root).expanduser().resolve()})
