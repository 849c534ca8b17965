"""The named attackers and the suites made of them.

A suite is a frozen list with fixed hyperparameters: figures from different suites or versions are
never compared, so its version is logged with every result.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trainables.attackers.attribute import AttributeAttacker, AttributeConfig
from trainables.attackers.base import Attacker, AttackerConfig, Target
from trainables.attackers.decoder import DecoderAttacker, DecoderConfig

SUITE_VERSION = 1
IN_LOOP = "in_loop"
"""Name of the attacker that is the in-loop decoder as it stands at the end of training."""
IN_LOOP_ATTRIBUTE = "in_loop_attribute"
"""Likewise of the in-loop attribute classifier."""
IN_LOOP_NAMES = (IN_LOOP, IN_LOOP_ATTRIBUTE)
"""Both: adversaries that are evaluated as they are, not trained again."""


@dataclass(frozen=True)
class _Family:
    config: type[AttackerConfig]
    build: Callable[[Any, Target], Attacker]


_FAMILIES: dict[type[AttackerConfig], _Family] = {
    DecoderConfig: _Family(DecoderConfig, DecoderAttacker),
    AttributeConfig: _Family(AttributeConfig, AttributeAttacker),
}

ATTACKERS: dict[str, AttackerConfig] = {
    config.name: config
    for config in (
        DecoderConfig(name="decoder"),
        DecoderConfig(name="decoder_strong", mu1=1e-4, mu2=3e-3, saturating=False),
        AttributeConfig(name="attribute"),
    )
}
"""Every attacker by name. `decoder` is Xiao's weak attacker, `decoder_strong` his strong one."""

SUITES: dict[str, tuple[str, ...]] = {
    "quick": ("decoder", "decoder_strong", "attribute"),
}
"""Suites by name."""


def resolve_attackers(
    suite: str | tuple[str, ...], private: tuple[str, ...]
) -> list[AttackerConfig]:
    """Returns the attackers of a suite; attribute attackers only where something is private.

    Raises:
        ValueError: If a name is unknown, given twice, or an attribute attacker is asked for by
            name while no attribute is private.
    """
    if isinstance(suite, str) and suite not in SUITES and suite not in ATTACKERS:
        raise ValueError(_unknown("suite", suite, [*SUITES, *ATTACKERS]))
    by_name = not (isinstance(suite, str) and suite in SUITES)
    names = (suite,) if isinstance(suite, str) else suite
    names = SUITES[names[0]] if not by_name else names
    if not names:
        raise ValueError("attack.suite: the list is empty; name at least one attacker")
    for index, name in enumerate(names):
        if name not in ATTACKERS:
            raise ValueError(_unknown("attacker", name, list(ATTACKERS)))
        if name in names[:index]:
            raise ValueError(f"attack.suite: attacker {name!r} is given twice")
        if by_name and ATTACKERS[name].kind == "attribute" and not private:
            raise ValueError(f"attack.suite: {name!r} needs data.private, which names nothing")
    configs = [ATTACKERS[name] for name in names]
    return [config for config in configs if config.kind != "attribute" or private]


def _unknown(what: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"attack.suite: unknown {what} {name!r}{hint} Known: {', '.join(known)}"


def build_attacker(settings: dict[str, Any], target: Target) -> Attacker:
    """Builds a named attacker from its settings, as a trial receives them.

    Raises:
        ValueError: If the settings are not those of the attacker of that name: results of
            different hyperparameters must never share a name.
    """
    config = ATTACKERS.get(settings["name"])
    if config is None or config.model_dump(mode="json") != settings:
        raise ValueError(f"attacker settings {settings} are not those of suite v{SUITE_VERSION}")
    return _FAMILIES[type(config)].build(config, target)
