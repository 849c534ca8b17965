"""Reads YAML, of recipes and of values given on a command line."""

import re
from typing import Any

import yaml

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
