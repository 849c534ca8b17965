"""Whether the attackers are well: an attacker that is not looks like privacy.

Three checks (methods, section 3), made of the same trials that measure floors and ceilings: on the
identity encoder the attackers reach what can be reached, on a constant one they stay at what is
known without it, and an attribute planted in an otherwise constant code is found. They are run
once per data set and suite, and kept beside the references.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from study.leakages import aim_of
from study.records import Result
from trainables.attackers.suite import SUITE_VERSION
from trainables.frozen import CONSTANT, IDENTITY, PLANTED
from trainables.metrics import MIN_RANGE

PLANTED_ACCURACY = 0.99
"""Least balanced accuracy on planted attributes."""
REBUILT = 0.85
"""Least similarity of what is rebuilt from the image itself, SSIM or cosine of faces."""
CHANCE_MARGIN = 0.03
"""How far from chance an attacker may be that was shown nothing."""
FLOOR_MARGIN = 0.05
"""How far a decoder that was shown nothing may fall behind the best one: a floor too low makes
every leakage look higher."""


@dataclass(frozen=True)
class Check:
    """One check of one attacker.

    Attributes:
        check: `ceiling`, `floor` or `planted`.
        attacker: Its label.
        kind: What it is after.
        value: What it reached.
        needed: What it should have reached, in words.
        passed: Whether it did.
        note: What a failure means.
    """

    check: str
    attacker: str
    kind: str
    value: float
    needed: str
    passed: bool
    note: str = ""


@dataclass(frozen=True)
class Health:
    """All checks of a suite on a data set."""

    suite: str
    checks: tuple[Check, ...]

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    def dump(self) -> dict[str, Any]:
        """JSON-able, as it is stored with the study's run."""
        return {
            "suite": self.suite,
            "suite_version": SUITE_VERSION,
            "passed": not self.failures,
            "checks": [asdict(check) for check in self.checks],
        }


def examine(suite: str, references: Mapping[tuple[str, str, int], Result]) -> Health:
    """Judges the attackers by what they reached on the references.

    Args:
        suite: Name of the suite.
        references: (constant, identity or planted, attacker, seed) → that attacker's result.
    """
    checks = [
        check
        for (which, label, seed), result in sorted(references.items())
        if seed == 0
        for check in _checks(which, label, result, references)
    ]
    return Health(suite, tuple(checks))


def _checks(
    which: str,
    label: str,
    result: Result,
    references: Mapping[tuple[str, str, int], Result],
) -> list[Check]:
    kind, score = str(result["kind"]), float(result["test"])
    if which.startswith(PLANTED):
        where = which.removeprefix(PLANTED).replace("-", " at ")
        note = "a code that is nothing but the attribute was not read"
        return [_at_least(f"planted{where}", label, kind, score, PLANTED_ACCURACY, note)]
    if which == IDENTITY and kind == "reconstruction":
        note = "the image itself was not rebuilt"
        return [_at_least("ceiling", label, kind, score, REBUILT, note)]
    if which == IDENTITY:
        # The linear attacker need not read an image: what counts is whether any of its kind does.
        best = max(
            float(peer["test"])
            for (encoder, _, _), peer in references.items()
            if encoder == IDENTITY and aim_of(peer) == aim_of(result)
        )
        least = float(references[CONSTANT, label, 0]["test"]) + MIN_RANGE
        note = "no attacker learns this from the image itself: leakage of it means nothing"
        return [_at_least("ceiling", label, kind, best, least, note)]
    if which == CONSTANT and kind == "attribute":
        passed = abs(score - 0.5) <= CHANCE_MARGIN
        note = "" if passed else "a constant code told something: labels leak into the attack"
        needed = f"0.5 ± {CHANCE_MARGIN:g}"
        return [Check("floor", label, kind, score, needed, passed, note)]
    if which == CONSTANT and kind == "reconstruction":
        # By SSIM, with an identity model too: a face that is the mean of all has no identity, and
        # what a network says of it differs from one mean face to the next.
        best = max(
            _ssim(peer)
            for (encoder, _, _), peer in references.items()
            if encoder == CONSTANT and peer["kind"] == kind
        )
        note = "it cannot even draw the mean image"
        return [_at_least("floor", label, kind, _ssim(result), best - FLOOR_MARGIN, note)]
    if which == CONSTANT and kind == "identity":
        chance = float(result["metrics"]["chance_rank1"])
        passed = score <= chance + CHANCE_MARGIN
        note = "" if passed else "a constant code told people apart"
        needed = f"≤ {chance + CHANCE_MARGIN:.3g}"
        return [Check("floor", label, kind, score, needed, passed, note)]
    return []


def _ssim(result: Result) -> float:
    return float(result["metrics"]["ssim"])


def _at_least(check: str, label: str, kind: str, value: float, least: float, note: str) -> Check:
    passed = value >= least
    return Check(check, label, kind, value, f"≥ {least:.3g}", passed, "" if passed else note)
