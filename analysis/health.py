"""Whether the attackers work: the health checks that a study stored, as table and as sentences."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.cells import Cell, number_cell
from analysis.load import StudyTables

HEALTH_FILE = "health.json"
CHECKS: Mapping[str, str] = {
    "ceiling": "from an encoder that sends the image itself the image must be rebuilt and whatever "
    "else is asked be learned",
    "floor": "from one that sends a constant nothing may be learned but what is known without it",
    "planted": "an attribute written into an otherwise constant code must be found",
}
"""What each check asks, in a sentence."""

MAX_NAMED = 6
"""Failed checks that the banner names; the table has all of them."""


@dataclass(frozen=True)
class HealthCheck:
    """One check of one attacker: its measured value, None if there is none, and what it needs."""

    check: str
    attacker: str
    kind: str
    value: float | None
    needed: str
    passed: bool
    note: str


@dataclass(frozen=True)
class Health:
    """The health of a suite on a study's data.

    Attributes:
        suite: Name of the suite.
        suite_version: Its version, as text.
        passed: Whether every check passed.
        checks: The checks, in the order in which they were stored.
    """

    suite: str
    suite_version: str
    passed: bool
    checks: tuple[HealthCheck, ...]

    @property
    def failed(self) -> tuple[HealthCheck, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passed)


def read_health(tables: StudyTables) -> Health | None:
    """The health checks of a study; None if it stored none.

    A file that does not say that its checks passed, or has a failed one, has not passed.

    Raises:
        AnalysisError: The file is there, but is no JSON.
    """
    content = tables.mapping(HEALTH_FILE)
    if not content:
        return None
    listed = content.get("checks")
    checks = tuple(
        HealthCheck(
            check=text_of(entry, "check"),
            attacker=text_of(entry, "attacker"),
            kind=text_of(entry, "kind"),
            value=number_of(entry.get("value")),
            needed=text_of(entry, "needed"),
            passed=entry.get("passed") is True,
            note=text_of(entry, "note"),
        )
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict)
    )
    passed = content.get("passed") is True and all(check.passed for check in checks)
    return Health(text_of(content, "suite"), text_of(content, "suite_version"), passed, checks)


def health_banner(health: Health | None) -> str:
    """What the top of the page says of failed checks; empty if none failed."""
    if health is None or health.passed:
        return ""
    named = [_named(check) for check in health.failed[:MAX_NAMED]]
    more = len(health.failed) - len(named)
    named += [f"{more} more"] if more else []
    which = f": {'; '.join(named)}" if named else ""
    return (
        f"The attackers failed their health checks{which}. An attacker that does not work looks "
        "like privacy: the leakages of this study prove nothing."
    )


def _named(check: HealthCheck) -> str:
    value = "no value" if check.value is None else f"{check.value:.3f}"
    needed = f", needed {check.needed}" if check.needed else ""
    return f"{check.check} of {check.attacker or 'the suite'} ({value}{needed})"


def health_sentence(health: Health | None) -> list[str]:
    """Whether the attackers are known to work, for the part on how sure the answer is."""
    if health is None or (health.passed and not health.checks):
        return []
    count, failed = len(health.checks), len(health.failed)
    if health.passed:
        return [f"The attackers passed all {count} of their health checks." if count > 1 else
                "The attackers passed their health check."]  # fmt: skip
    which = f"{failed} of {count} health checks" if failed else "their health checks"
    return [f"The attackers failed {which}: nothing here is proven."]


def health_table(health: Health | None) -> dict[str, Any]:
    """Head and rows of the table of checks, the failed ones first."""
    checks = health.checks if health else ()
    has_notes = any(check.note for check in checks)
    head = ["check", "attacker", "kind", "value", "needed", "passed", *(["note"] * has_notes)]
    rows = [
        {
            "class": "" if check.passed else "failed",
            "cells": [
                Cell(check.check, check.check),
                Cell(check.attacker or "–", check.attacker or None),
                Cell(check.kind or "–", check.kind or None),
                number_cell(math.nan if check.value is None else check.value),
                Cell(check.needed or "–", check.needed or None),
                Cell("yes" if check.passed else "no", float(check.passed)),
                *([Cell(check.note or "–", check.note or None, "wrap")] * has_notes),
            ],
        }
        for check in sorted(checks, key=lambda check: check.passed)
    ]
    return {"head": head, "rows": rows, "asked": _asked(checks)}


def _asked(checks: tuple[HealthCheck, ...]) -> list[tuple[str, str]]:
    """What the checks that were made ask."""
    made = dict.fromkeys(check.check.split(" ")[0] for check in checks)  # "planted at conv3"
    return [(name, CHECKS[name]) for name in made if name in CHECKS]


def text_of(stored: Mapping[str, Any], name: str) -> str:
    """A stored value as text; empty if it is not there."""
    value = stored.get(name)
    return "" if value is None else str(value)


def number_of(value: Any) -> float | None:
    """A stored value as a finite number; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
