"""From a recipe and `key=value` words to a checked `StudyConfig`.

A value that is written is fixed. A searched value that is not written is proposed by the
protector's search space; a list in its place is the choices, a mapping `{low, high}` the range.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from search_spaces import (
    CUT_POINT,
    SPACES,
    Domain,
    ResolvedSpace,
    SearchSpace,
    Value,
    read_domain,
)
from study.config import ResourcesConfig, StudyConfig, StudyPart, absolute_root
from study.errors import ConfigError, from_validation, unknown
from trainables.attackers.config import AttackConfig
from trainables.attackers.suite import resolve_attackers
from trainables.data.config import DataConfig
from trainables.nets.config import CUT_POINTS, ModelConfig, check_size_fits
from trainables.protectors import PROTECTORS
from trainables.settings import Settings

RECIPES = Path(__file__).parent / "recipes"
DEFAULT_PROTECTOR = "reconstruction"
PARTS = ("study", "data", "model", "protector", "attack", "resources")
Parts = dict[str, dict[str, Any]]


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-3 is a number, as everyone but YAML 1.1 thinks."""


_Loader.yaml_implicit_resolvers = dict(yaml.SafeLoader.yaml_implicit_resolvers)
for _first in "-+.0123456789":
    _Loader.yaml_implicit_resolvers[_first] = [
        (
            "tag:yaml.org,2002:float",
            re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
        ),
        *_Loader.yaml_implicit_resolvers.get(_first, []),
    ]


def list_recipes() -> dict[str, str]:
    """Names of the recipes that come with the project, with their first comment line."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in RECIPES.glob("*.yaml")}
    return {name: texts[name].splitlines()[0].lstrip("# ") for name in sorted(texts)}


def load_config(recipe: str = "quickstart", overrides: Sequence[str] = ()) -> StudyConfig:
    """Reads a recipe, lays the overrides over it and checks everything but the data's files.

    Args:
        recipe: A name in `study/recipes/`, or the path of a YAML file.
        overrides: Words `part.field=value`; the value is read as YAML.

    Raises:
        ConfigError: Naming the field, its value and what is allowed.
    """
    path = _find_recipe(recipe)
    parts = _read_parts(path)
    words = [_split_override(word) for word in overrides]
    dropped: tuple[str, ...] = ()
    for part, name, value in words:
        if (part, name) == ("protector", "name"):
            dropped = _drop_foreign(parts, value)
    for part, name, value in words:
        parts.setdefault(part, {})[name] = value
    parts.setdefault("study", {}).setdefault("name", path.stem)
    return replace(build_config(parts, path.stem), dropped=dropped)


def build_config(parts: Parts, recipe: str) -> StudyConfig:
    """Checks the parts of a configuration and puts them together.

    Raises:
        ConfigError: As `load_config`.
    """
    protector_name = str(parts.get("protector", {}).get("name", DEFAULT_PROTECTOR))
    if protector_name not in PROTECTORS:
        raise unknown("protector (protector.name)", protector_name, PROTECTORS)
    if protector_name not in SPACES:
        raise ConfigError(f"protector.name: {protector_name!r} has no search space")
    entry, space = PROTECTORS[protector_name], SPACES[protector_name]
    models: dict[str, type[Settings]] = {
        "study": StudyPart, "data": DataConfig, "model": ModelConfig,
        "protector": entry.config, "attack": AttackConfig, "resources": ResourcesConfig,
    }  # fmt: skip
    for part, values in parts.items():
        for name in values:
            if name not in models[part].model_fields:
                raise unknown(f"key in part {part!r}:", name, models[part].model_fields)
    given = _read_given(parts, space)
    fixed = {
        part: {k: v for k, v in parts.get(part, {}).items() if f"{part}.{k}" not in given[1]}
        for part in PARTS
    }
    fixed["protector"]["name"] = protector_name
    built = {part: _build(part, models[part], fixed[part]) for part in PARTS}
    _check_ends(models, fixed, given[1])
    data, model = built["data"], built["model"]
    assert isinstance(data, DataConfig)
    assert isinstance(model, ModelConfig)
    cut_points, left_out, listed = _cut_points(data, given[0], given[1])
    # As the components understood them: 0 has become 0.0 where a float is meant.
    as_built = {dotted: _value(built, dotted) for dotted in given[0]}
    searched = {**as_built, **given[1]}
    resolved = space.resolve(searched, cut_points)
    attack = built["attack"]
    assert isinstance(attack, AttackConfig)
    _check_suite(attack, data.private)
    return StudyConfig(
        recipe=recipe,
        study=built["study"],  # type: ignore[arg-type]
        data=absolute_root(data),
        model=_with_defaults("model", model, resolved),  # type: ignore[arg-type]
        protector=_with_defaults("protector", built["protector"], resolved),
        attack=attack,
        resources=built["resources"],  # type: ignore[arg-type]
        space=resolved,
        left_out=left_out,
        listed_cut_points=listed,
    )


def _drop_foreign(parts: Parts, protector: Any) -> tuple[str, ...]:
    """Takes out of a recipe what another protector than the recipe's has no field for.

    The user did not write these keys; those that the user wrote are not here yet.

    Returns:
        The dotted names taken out.
    """
    recipe = parts.get("protector", {})
    if protector not in PROTECTORS or protector == recipe.get("name", DEFAULT_PROTECTOR):
        return ()
    fields = PROTECTORS[protector].config.model_fields
    foreign = [name for name in recipe if name not in fields]
    for name in foreign:
        del recipe[name]
    return tuple(f"protector.{name}" for name in foreign)


def _find_recipe(recipe: str) -> Path:
    path = Path(recipe)
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        if not path.is_file():
            raise ConfigError(f"recipe: no file {recipe!r}")
        return path
    known = list_recipes()
    if recipe not in known:
        raise unknown("recipe", recipe, known)
    return RECIPES / f"{recipe}.yaml"


def _read_parts(path: Path) -> Parts:
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"recipe {path}: not readable as YAML: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"recipe {path}: must be a mapping of parts {', '.join(PARTS)}")
    for part, values in tree.items():
        if part not in PARTS:
            raise unknown(f"part in recipe {path.name}:", str(part), PARTS)
        if not isinstance(values, dict | None):
            raise ConfigError(f"{part}: must be a mapping of its keys, got {values!r}")
        for name in values or {}:
            if not isinstance(name, str):
                raise ConfigError(f"{part}: its keys are names, got {name!r} in {path}")
    return {part: dict(values or {}) for part, values in tree.items()}


def _split_override(word: str) -> tuple[str, str, Any]:
    key, equals, text = word.partition("=")
    part, dot, name = key.partition(".")
    if not (equals and dot and name):
        raise ConfigError(
            f"{word!r}: an override is written part.field=value, such as study.num_encoders=4"
        )
    if part not in PARTS:
        raise unknown(f"part in {word!r}:", part, PARTS)
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{key}: {text!r} is not readable as YAML") from error
    return part, name, value


def _read_given(
    parts: Parts, space: SearchSpace
) -> tuple[dict[str, Value | Domain], dict[str, Domain]]:
    """Sorts what was written for the searched names into (fixed values, domains)."""
    fixed: dict[str, Value | Domain] = {}
    domains: dict[str, Domain] = {}
    for dotted, own in space.domains.items():
        part, name = dotted.split(".", 1)
        values = parts.get(part, {})
        if name not in values:
            continue
        value = values[name]
        if isinstance(value, list | dict):
            try:
                domains[dotted] = read_domain(value, own)
            except (TypeError, ValueError, OverflowError) as error:
                raise ConfigError(f"{dotted}: {error}") from error
        else:
            fixed[dotted] = value
    return fixed, domains


def _build(part: str, model: type[Settings], values: Mapping[str, Any]) -> Settings:
    try:
        return model(**values)
    except ValidationError as error:
        raise from_validation(part, error) from error


def _value(built: Mapping[str, Settings], dotted: str) -> Value:
    part, name = dotted.split(".", 1)
    value: Value = getattr(built[part], name)
    return value


def _check_ends(
    models: Mapping[str, type[Settings]], fixed: Parts, domains: Mapping[str, Domain]
) -> None:
    """Every choice and both ends of every range must be values the component accepts."""
    for dotted, domain in domains.items():
        part, name = dotted.split(".", 1)
        for value in domain.ends():
            _build(part, models[part], {**fixed[part], name: value})


def _cut_points(
    data: DataConfig, fixed: Mapping[str, Value | Domain], domains: Mapping[str, Domain]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Returns (choices, those left out because they do not fit, those the user named)."""
    listed: tuple[str, ...] = ()
    if CUT_POINT in domains:
        listed = tuple(str(value) for value in domains[CUT_POINT].ends())
    elif CUT_POINT in fixed:
        listed = (str(fixed[CUT_POINT]),)
    fits = {}
    for cut_point in listed or CUT_POINTS:
        try:
            check_size_fits(cut_point, data.height, data.width)  # type: ignore[arg-type]
            fits[cut_point] = True
        except ValueError as error:
            if listed:
                raise ConfigError(f"{CUT_POINT}: {error} (data.image_size)") from error
            fits[cut_point] = False
    choices = tuple(name for name, fitting in fits.items() if fitting)
    if not choices:
        raise ConfigError(
            f"data.image_size: {data.height}x{data.width} fits no cut point; "
            "sides must be multiples of 4 at least (32 for all cut points)"
        )
    return choices, tuple(name for name, fitting in fits.items() if not fitting), listed


def _check_suite(attack: AttackConfig, private: tuple[str, ...]) -> None:
    try:
        resolve_attackers(attack.suite, private)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _with_defaults(part: str, settings: Settings, space: ResolvedSpace) -> Settings:
    """Puts the default point's values where a value is searched."""
    values = {
        dotted.split(".", 1)[1]: value
        for dotted, value in space.default_point().items()
        if dotted.startswith(f"{part}.")
    }
    return _build(part, type(settings), {**settings.model_dump(), **values})
