"""What a user got wrong, said so that it can be put right: field, value, what is allowed."""

import difflib
from collections.abc import Iterable

from pydantic import ValidationError


class ConfigError(ValueError):
    """Input that cannot be used; nothing has been started. The program ends with exit code 2."""


def unknown(what: str, name: str, known: Iterable[str]) -> ConfigError:
    """An error for a name that is not known, with the closest known one."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return ConfigError(f"unknown {what} {name!r}; {hint}known: {', '.join(names)}")


def from_validation(part: str, error: ValidationError) -> ConfigError:
    """Turns pydantic's findings into one line per field, in the words of the configuration."""
    lines = []
    for finding in error.errors():
        keys = [str(key) for key in finding["loc"] if not _is_type_label(key)]
        field = ".".join([part, *keys])
        message = finding["msg"]
        if finding["type"] == "value_error":
            # A component's own rule: its message names field, value and rule already.
            own = str(finding["ctx"]["error"])
            lines.append(f"{field}: {own}" if keys else f"{part}.{own}")
        elif finding["type"] == "string_pattern_mismatch":
            lines.append(
                f"{field}: only letters, digits, '.', '_' and '-' are allowed, the first one "
                f"no '.' or '-'; got {finding['input']!r}"
            )
        else:
            message = message[0].lower() + message[1:]
            message = message.replace("input should", "must")
            lines.append(f"{field}: {message}, got {finding['input']!r}")
    return ConfigError("\n".join(dict.fromkeys(lines)))


def _is_type_label(key: object) -> bool:
    """Whether a step of a location names a member of a union rather than a field."""
    text = str(key)
    return (
        "[" in text
        or text.startswith(("function-", "literal", "tuple", "constrained-"))
        or (text in {"int", "float", "str", "bool", "none"})
    )
