"""The `protector` part of a configuration: which protectors, and which of its keys each one gets.

A key that stands directly under `protector` is for every listed protector that has such a setting;
one in a mapping under a protector's own name is for that one alone, and beats the shared one.
"""

from collections.abc import Mapping
from typing import Any

from search_spaces import SPACES
from trainables.errors import ConfigError, unknown
from trainables.protectors import PROTECTORS
from trainables.protectors.config import ProtectorConfig

DEFAULT_PROTECTOR = "reconstruction"


def protector_names(part: Mapping[str, Any]) -> list[str]:
    """The protectors that `protector.name` lists.

    Raises:
        ConfigError: If one is unknown or stands twice, or there is none.
    """
    given = part.get("name", DEFAULT_PROTECTOR)
    names = [str(name) for name in given] if isinstance(given, list | tuple) else [str(given)]
    if not names:
        raise ConfigError("protector.name: name at least one protector, got []")
    for name in names:
        if name not in PROTECTORS:
            raise unknown("protector (protector.name)", name, PROTECTORS)
    if "labels" in names and len(names) > 1:
        raise ConfigError(
            "protector.name: labels is a reference point, nothing to choose; give it as "
            f"study.baselines=[labels], got {names}"
        )
    if len(set(names)) < len(names):
        raise ConfigError(f"protector.name: every protector once, got {names}")
    return names


def own_values(part: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What was given for each listed protector: shared keys first, its own over them.

    Raises:
        ConfigError: If a key is no setting of any listed protector, or a mapping is given for one
            that is not listed.
    """
    names = protector_names(part)
    fields = {name: set(PROTECTORS[name].config.model_fields) - {"name"} for name in names}
    known = list(
        dict.fromkeys(field for name in names for field in PROTECTORS[name].config.model_fields)
    )
    values: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in part.items():
        if key in PROTECTORS:
            continue
        if key not in known:
            raise unknown("key in part 'protector':", key, known)
        having = [name for name in names if key in fields[name]]
        # Choices are for whoever searches them; where nobody does, the error says so.
        for name in [n for n in having if not _is_foreign(n, key, value)] or having:
            values[name][key] = value
    for name in part.keys() & PROTECTORS.keys():
        if name not in names:
            raise ConfigError(
                f"protector.{name}: settings for a protector that is not studied; protector.name "
                f"is {', '.join(names)}"
            )
        own = {} if part[name] is None else part[name]
        if not isinstance(own, Mapping):
            raise ConfigError(f"protector.{name}: must be a mapping of its keys, got {own!r}")
        for key, value in own.items():
            if key not in fields[name]:
                raise unknown(f"key in part 'protector.{name}':", str(key), sorted(fields[name]))
            values[name][key] = value
    return values


def _is_foreign(name: str, key: str, value: Any) -> bool:
    """Whether a value is choices or a range of what a protector does not search."""
    return isinstance(value, list | dict) and f"protector.{key}" not in SPACES[name].domains


def set_value(part: dict[str, Any], name: str, value: Any) -> None:
    """Lays a word of the command line over a recipe's `protector` part.

    The command line is the later word: a shared key of it replaces a protector's own of the recipe.

    Args:
        part: The part, changed in place.
        name: A key, or a protector's name and a key such as `obfuscator.lambda1`.
        value: Its value.
    """
    owner, dot, key = name.partition(".")
    if dot and owner in PROTECTORS:
        own = part.get(owner)
        part[owner] = {**(own if isinstance(own, Mapping) else {}), key: value}
        return
    part[name] = value
    for owner in part.keys() & PROTECTORS.keys():
        if isinstance(part[owner], Mapping) and owner != name:
            part[owner] = {k: v for k, v in part[owner].items() if k != name}


def drop_foreign(part: dict[str, Any], given: Any) -> tuple[str, ...]:
    """Takes out of a recipe's part what is not meant for the protectors named instead of its own.

    The training loop's settings (rounds, batches, the encoder's rate) are for whoever is trained.
    All others are the recipe's protectors' own: the λ1 of one method is not the λ1 of another. The
    user did not write these keys; those that the user wrote are not here yet.

    Args:
        part: The part, changed in place.
        given: The value of `protector.name` on the command line.

    Returns:
        The dotted names taken out altogether.
    """
    try:
        names, before = protector_names({"name": given}), protector_names(part)
    except ConfigError:  # said later, and better, when the configuration is built
        return ()
    if names == before:
        return ()
    foreign = [key for key in part if key in PROTECTORS and key not in names]
    for key in [key for key in part if key != "name" and key not in PROTECTORS]:
        has = [name for name in names if key in PROTECTORS[name].config.model_fields]
        has = [name for name in has if not _is_foreign(name, key, part[key])]
        if key in ProtectorConfig.model_fields and has:
            continue
        heirs = [name for name in has if name in before]
        for name in heirs:
            part[name] = {key: part[key], **(part.get(name) or {})}
        foreign += [] if heirs else [key]
        if heirs:
            del part[key]
    for key in foreign:
        del part[key]
    return tuple(f"protector.{key}" for key in foreign)
