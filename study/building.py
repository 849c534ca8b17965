"""From the parts of a configuration, as written, to a checked `StudyConfig`.

A value that is written is fixed. A searched value that is not written is proposed by the
protector's search space; a list in its place is the choices, a mapping `{low, high}` the range.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

from pydantic import ValidationError

from search_spaces import (
    CUT_POINT,
    SPACES,
    Domain,
    ResolvedSpace,
    SearchSpace,
    Value,
    default_cut,
    read_domain,
)
from study.config import (
    ReportConfig,
    ResourcesConfig,
    StudyConfig,
    StudyPart,
    absolute_root,
    as_baseline,
)
from study.protectors import own_values
from trainables.attackers.config import AttackConfig
from trainables.attackers.suite import Circumstances, resolve_attackers
from trainables.data.config import DataConfig
from trainables.errors import ConfigError, from_validation, unknown
from trainables.nets.config import CUT_POINTS, STRIDES, CutPoint, ModelConfig, check_size_fits
from trainables.protectors import PROTECTORS
from trainables.settings import Settings

Parts = dict[str, dict[str, Any]]
MODELS: dict[str, type[Settings]] = {
    "study": StudyPart, "data": DataConfig, "model": ModelConfig, "attack": AttackConfig,
    "resources": ResourcesConfig, "report": ReportConfig,
}  # fmt: skip
"""The parts that every protector shares."""
MODEL_DOMAINS: dict[str, Domain] = {
    dotted: domain
    for space in SPACES.values()
    for dotted, domain in space.domains.items()
    if dotted.startswith("model.")
}
"""What of `model` any protector searches: also given where none of the study's does."""


@dataclass(frozen=True)
class _Given:
    """What was written of one part: fixed values and domains under dotted names, and its settings.

    Attributes:
        label: The part, as the user knows it.
        fixed: Searched names with a value.
        domains: Searched names with choices or a range.
        settings: The part with the defaults of its model where `domains` stand.
        variants: The part at every choice and both ends of every range.
    """

    label: str
    fixed: Mapping[str, Value]
    domains: Mapping[str, Domain]
    settings: Settings
    variants: tuple[Settings, ...]

    def all(self) -> dict[str, Value | Domain]:
        """Fixed values and domains together."""
        return {**self.fixed, **self.domains}


def build_config(parts: Parts, recipe: str) -> StudyConfig:
    """Checks the parts of a configuration and puts them together.

    Raises:
        ConfigError: Naming the field, its value and what is allowed.
    """
    values = own_values(parts.get("protector", {}))
    for part, component in MODELS.items():
        for name in parts.get(part, {}):
            if name not in component.model_fields:
                raise unknown(f"key in part {part!r}:", name, component.model_fields)
    built = {
        part: _build(part, component, parts.get(part, {}))
        for part, component in MODELS.items()
        if part != "model"
    }
    data, study = cast(DataConfig, built["data"]), cast(StudyPart, built["study"])
    network = _read("model", "model", ModelConfig, parts.get("model", {}), MODEL_DOMAINS)
    model = cast(ModelConfig, network.settings)
    methods = {
        name: _read(
            "protector" if len(values) == 1 else f"protector.{name}",
            "protector", PROTECTORS[name].config, {**own, "name": name}, SPACES[name].domains,
        )
        for name, own in values.items()
    }  # fmt: skip
    listed = _listed(network)
    cut_points, left_out = _cut_points(data, model, listed, methods)
    attack = cast(AttackConfig, built["attack"])
    _check_suite(data, attack)
    spaces = {
        name: _resolve(SPACES[name], network, given, cut_points) for name, given in methods.items()
    }
    protectors = {
        name: _with_defaults("protector", given.settings, spaces[name])
        for name, given in methods.items()
    }
    first = next(iter(spaces.values()))
    model = cast(ModelConfig, _with_defaults("model", model, first, default_cut(cut_points)))
    _check_baselines(study, model, data, next(iter(protectors.values())))
    return StudyConfig(
        recipe=recipe,
        study=study,
        data=absolute_root(data),
        model=model,
        protectors=protectors,
        attack=attack,
        resources=cast(ResourcesConfig, built["resources"]),
        report=cast(ReportConfig, built["report"]),
        spaces=spaces,
        cut_points=cut_points,
        left_out=left_out,
        listed_cut_points=listed,
    )


def _read(
    label: str,
    part: str,
    model: type[Settings],
    values: Mapping[str, Any],
    searched: Mapping[str, Domain],
) -> _Given:
    """Sorts what was written for a part, and checks it.

    Every choice and both ends of every range must be values the component accepts.
    """
    names: list[str] = []
    domains: dict[str, Domain] = {}
    for dotted, own in searched.items():
        name = dotted.removeprefix(f"{part}.")
        if not dotted.startswith(f"{part}.") or name not in values:
            continue
        if not isinstance(values[name], list | dict):
            names.append(name)
            continue
        try:
            domains[dotted] = read_domain(values[name], own)
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigError(f"{label}.{name}: {error}") from error
    plain = {k: v for k, v in values.items() if f"{part}.{k}" not in domains}
    settings = _build(label, model, plain)
    ends = {dotted.split(".", 1)[1]: domain.ends() for dotted, domain in domains.items()}
    some = {**plain, **{name: values[0] for name, values in ends.items()}}
    switches = {name: values for name, values in ends.items() if {*values} == {True, False}}
    variants = tuple(
        _build(label, model, {**some, **own})
        for own in (
            *({name: value} for name, values in ends.items() for value in values),
            # Of what can be off, not everything need be able to be off at once.
            *(dict(zip(switches, each, strict=True)) for each in product(*switches.values())),
        )
    )
    # As the components understood them: 0 has become 0.0 where a float is meant.
    fixed: dict[str, Value] = {f"{part}.{name}": getattr(settings, name) for name in names}
    return _Given(label, fixed, domains, settings, variants)


def _build(label: str, model: type[Settings], values: Mapping[str, Any]) -> Settings:
    try:
        return model(**values)
    except ValidationError as error:
        raise from_validation(label, error) from error


def _resolve(
    space: SearchSpace, network: _Given, method: _Given, cut_points: tuple[str, ...]
) -> ResolvedSpace:
    shared = {k: v for k, v in network.all().items() if k in space.domains}
    settings = {f"protector.{k}": v for k, v in method.settings.model_dump().items()}
    limits = {name: float(settings[name]) for name in space.below.values()}
    return space.resolve({**shared, **method.all()}, cut_points, limits)


def _listed(network: _Given) -> tuple[str, ...]:
    """The cut points that the user named, if any."""
    if CUT_POINT in network.domains:
        return tuple(str(value) for value in network.domains[CUT_POINT].ends())
    return (str(network.fixed[CUT_POINT]),) if CUT_POINT in network.fixed else ()


def _cut_points(
    data: DataConfig, model: ModelConfig, listed: tuple[str, ...], methods: Mapping[str, _Given]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the choices, and those that are left out with the reason.

    Raises:
        ConfigError: If a cut point that the user named cannot be used, or none is left.
    """
    own = CUT_POINTS[model.backbone]
    small: dict[str, str] = {cut: reason for cut in own if (reason := _too_small(model, cut, data))}
    if len(small) == len(own):
        least = min(STRIDES[cut] for cut in own)
        raise ConfigError(
            f"data.image_size: {data.height}x{data.width} fits no cut point of {model.backbone}; "
            f"its sides must be multiples of {least} at least "
            f"({max(STRIDES[cut] for cut in own)} for all cut points): {small[own[0]]}"
        )
    for name in listed:
        if name in small:
            fits = ", ".join(cut for cut in own if cut not in small)
            raise ConfigError(
                f"{CUT_POINT}: {small[name]} (data.image_size); images of this size fit {fits}"
            )
    forbidden: dict[str, str] = {}
    for cut in listed or tuple(cut for cut in own if cut not in small):
        reason = _forbidden(data, model, cut, methods)
        if reason and listed:
            raise ConfigError(f"protector.name: {reason}")
        if reason:
            forbidden[cut] = reason
    left_out = {} if listed else {**small, **forbidden}
    choices = listed or tuple(str(cut) for cut in own if cut not in left_out)
    if not choices:
        raise ConfigError(f"protector.name: {next(iter(forbidden.values()))}")
    return choices, left_out


def _too_small(model: ModelConfig, cut_point: CutPoint, data: DataConfig) -> str:
    try:
        check_size_fits(model.backbone, cut_point, data.height, data.width)
    except ValueError as error:
        return str(error)
    return ""


def _forbidden(
    data: DataConfig, model: ModelConfig, cut_point: str, methods: Mapping[str, _Given]
) -> str:
    """Why a protector's definition forbids a cut; empty if all of them allow it."""
    for name, given in methods.items():
        network = model
        if SPACES[name].has_cut:
            network = ModelConfig(**{**model.model_dump(), "cut_point": cut_point})
        # Where something is searched, the settings hold defaults that may never be tried.
        for settings in given.variants or (given.settings,):
            reason = _why_not(settings, network, data)
            if reason:
                return reason
    return ""


def _why_not(settings: Settings, model: ModelConfig, data: DataConfig) -> str:
    """Why a protector cannot be trained so; empty if it can."""
    check = getattr(settings, "check_fits", None)  # `labels` trains nothing
    try:
        if check is not None:
            check(model, data.height, data.width, len(data.private))
    except ValueError as error:
        return str(error)
    return ""


def _check_baselines(
    study: StudyPart, model: ModelConfig, data: DataConfig, protector: Settings
) -> None:
    for name in study.baselines:
        reason = _why_not(as_baseline(name, protector), model, data)
        if reason:
            raise ConfigError(f"study.baselines: {reason}")


def _check_suite(data: DataConfig, attack: AttackConfig) -> None:
    try:
        attackers = resolve_attackers(attack.suite, Circumstances.of(data, attack))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not any(attacker.counts for attacker in attackers):
        raise ConfigError(
            f"attack.suite: of {', '.join(a.name for a in attackers)} none is a black-box attacker "
            "at its full strength, so that no leakage could be told; add one, such as 'decoder'"
        )


def _with_defaults(
    part: str, settings: Settings, space: ResolvedSpace, cut_point: str | None = None
) -> Settings:
    """Puts the default point's values where a value is searched."""
    values = {
        dotted.split(".", 1)[1]: value
        for dotted, value in space.default_point().items()
        if dotted.startswith(f"{part}.")
    }
    given = {"cut_point": cut_point} if cut_point is not None else {}
    return _build(part, type(settings), {**settings.model_dump(), **given, **values})
