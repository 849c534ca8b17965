"""Reads YAML, of recipes and of values given on a command line, and a command's words."""

import re
from collections.abc import Sequence
from typing import Any

import yaml

from trainables.errors import ConfigError

UNREADABLE = (yaml.YAMLError, ValueError, RecursionError)
"""What is raised for no YAML, no UTF-8, no such day, a number of thousands of digits, a nesting of
thousands of brackets."""


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


def read_yaml(text: str) -> Any:
    """What a text in YAML says; raises one of `UNREADABLE` for what is none."""
    return yaml.load(text, _Loader)


def split_words(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Parts a command's words, in any order: a recipe, and `part.field=value`.

    Returns:
        The recipe, None if there is none, and all other words.

    Raises:
        ConfigError: If more than one word is no `part.field=value`.
    """
    recipes = [word for word in words if "=" not in word]
    if len(recipes) > 1:
        raise ConfigError(
            f"one recipe at most, got {', '.join(recipes)}; a value is written part.field=value"
        )
    return (recipes[0] if recipes else None), [word for word in words if "=" in word]
