"""Reads a recipe and the `key=value` words that are laid over it."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.building import Parts, build_config
from study.config import PARTS, StudyConfig
from study.protectors import drop_foreign, set_value
from trainables.errors import ConfigError, unknown
from trainables.reading import UNREADABLE, read_yaml

RECIPES = Path(__file__).parent / "recipes"


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
            dropped = drop_foreign(parts.get("protector", {}), value)
    # What is meant for one protector is laid over what is meant for all, in whatever order given.
    for part, name, value in sorted(words, key=lambda word: "." in word[1]):
        if part == "protector":
            set_value(parts.setdefault(part, {}), name, value)
        else:
            parts.setdefault(part, {})[name] = value
    parts.setdefault("study", {}).setdefault("name", path.stem)
    adds = any(re.fullmatch(r"study\.num_encoders=\+\d+", word) for word in overrides)
    return replace(build_config(parts, path.stem), dropped=dropped, adds=adds)


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
        tree = read_yaml(path.read_text(encoding="utf-8"))
    except UNREADABLE as error:
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
        value = read_yaml(text)
    except UNREADABLE as error:
        raise ConfigError(f"{key}: {text[:200]!r} is not readable as YAML") from error
    return part, name, value
