"""From the score of one attacker to its leakage: between which floor and which ceiling it lies.

An attacker of several private attributes leaks what it tells of the one that it tells most of: an
average would hide an attribute that is laid open behind others that are not. Which one that is,
like every choice, is settled on the selection split; the test split has no part in it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainables.attackers.in_loop import IN_LOOP, IN_LOOP_ATTRIBUTE
from trainables.attackers.suite import ATTACKERS, scale_of
from trainables.metrics import MIN_RANGE, leakage

References = Mapping[tuple[str, str, int], Mapping[str, Any]]
"""(constant, identity or planted, attacker, seed) → that attacker's result."""
NEAREST = {IN_LOOP: ("reconstruction", "decoder"), IN_LOOP_ATTRIBUTE: ("attribute", "attribute")}
"""Kind of each in-loop adversary, and the retrained attacker that is nearest to it."""


@dataclass(frozen=True)
class AttackFigures:
    """One attacker on one encoder.

    Attributes:
        attacker: Its label.
        seed: Number of the repetition, from 0.
        result: What the trial reported.
        floor: Its test score on a constant encoder; like the score that of all its attributes.
        ceiling: The best test score on the identity encoder of an attacker after the same thing,
            chosen on selection; likewise.
        leakage_test: Leakage of the test score; None where there is none on selection.
        leakage_selection: Leakage of the selection score; None where floor and ceiling of that
            split do not differ.
        selection_error: Standard error of `leakage_selection`, those of its floor and ceiling
            included; they are taken for independent.
        test_error: Likewise of `leakage_test`.
        attribute: Of an attacker of several private attributes the one that the leakage is of;
            empty elsewhere.
        by_attribute: Of such an attacker the test leakage of every attribute that has one.
        problem: Why there is no leakage, or of which attribute there is none; empty if of all.
    """

    attacker: str
    seed: int
    result: Mapping[str, Any]
    floor: float
    ceiling: float
    leakage_test: float | None
    leakage_selection: float | None
    selection_error: float = 0.0
    test_error: float = 0.0
    attribute: str = ""
    by_attribute: Mapping[str, float] | None = None
    problem: str = ""

    @property
    def saturated(self) -> bool:
        """Whether it stopped because it had learned all it could."""
        return bool(self.result["saturated"])

    @property
    def counts(self) -> bool:
        """Whether it is one of the black-box suite, of which the worst is sought."""
        return bool(self.result.get("counts", True))

    @property
    def surely(self) -> float:
        """What it leaks on selection less one standard error; minus infinity for nothing."""
        if self.leakage_selection is None:
            return -math.inf
        return self.leakage_selection - self.selection_error


def figures_of(
    results: Sequence[tuple[int, Mapping[str, Any]]], references: References
) -> list[AttackFigures]:
    """Sets each (seed, result) against its floor and ceiling.

    The floor is the attacker's own score on a constant encoder; the ceiling the score on the
    identity encoder of the best attacker after the same thing. An in-loop adversary is normalised
    by the references of the retrained attacker nearest to it: `decoder` or `attribute`, or any of
    the same kind where the suite has none of that name.
    """
    return [_figures(seed, result, references) for seed, result in results]


def aim_of(result: Mapping[str, Any]) -> tuple[str, str | None]:
    """What an attacker is after: its kind, and the attribute that it infers alone."""
    return str(result["kind"]), (result.get("settings") or {}).get("only")


def _figures(seed: int, result: Mapping[str, Any], references: References) -> AttackFigures:
    label = str(result["attacker"])
    scale = _scale(label, references)
    if scale is None:
        problem = f"{label}: the suite has no attacker whose floor and ceiling it could have"
        return AttackFigures(label, seed, result, math.nan, math.nan, None, None, problem=problem)
    peers = [
        peer
        for (which, _, number), peer in references.items()
        if (which, number) == ("identity", seed)
    ]
    floor = references["constant", scale, seed]
    aim = aim_of(references["identity", scale, seed])
    blank = AttackFigures(label, seed, result, math.nan, math.nan, None, None)
    alike = [peer for peer in peers if aim_of(peer) == aim]
    whole = _between(blank, result, floor, alike)
    names = sorted(result.get("by_attribute") or {})
    if len(names) < 2:
        return whole
    parts = []
    for name in names:
        own, least = _part(result, name), _part(floor, name)
        assert own is not None
        assert least is not None, "the same attacker's, on the same attributes"
        best = [part for peer in peers if (part := _part(peer, name)) is not None]
        parts.append(_between(replace(blank, attribute=name), own, least, best))
    return replace(
        max(parts, key=lambda part: part.surely),
        floor=whole.floor,
        ceiling=whole.ceiling,
        by_attribute={p.attribute: p.leakage_test for p in parts if p.leakage_test is not None},
        problem="; ".join(part.problem for part in parts if part.problem),
    )


def _part(result: Mapping[str, Any], attribute: str) -> Mapping[str, Any] | None:
    """The scores of one attribute; None of an attacker that does not infer it."""
    scores: Mapping[str, Any] | None = (result.get("by_attribute") or {}).get(attribute)
    return scores


def _between(
    figures: AttackFigures,
    own: Mapping[str, Any],
    floor: Mapping[str, Any],
    peers: Sequence[Mapping[str, Any]],
) -> AttackFigures:
    """Adds the leakage of scores between a floor and the best of those after the same thing.

    A linear attacker reads less from pixels than from the codes of a network: set against its own
    ceiling it would seem to learn all there is where it learned little.
    """
    ceiling = max(peers, key=lambda peer: float(peer["selection"]))
    figures = replace(figures, floor=float(floor["test"]), ceiling=float(ceiling["test"]))
    try:
        # Against the split's own floor and ceiling: a choice made on selection must not depend on
        # test, not even through a normalisation.
        chosen = leakage(*(float(one["selection"]) for one in (own, floor, ceiling)))
    except ValueError as error:
        name = f" ({figures.attribute})" if figures.attribute else ""
        return replace(figures, problem=f"{figures.attacker}{name}: {error}")
    on_test = _on_test(*(float(one["test"]) for one in (own, floor, ceiling)))
    return replace(
        figures,
        leakage_selection=chosen,
        leakage_test=on_test,
        selection_error=_error("selection", own, floor, ceiling, chosen),
        test_error=_error("test", own, floor, ceiling, on_test),
    )


def _on_test(score: float, floor: float, ceiling: float) -> float:
    """Leakage on the test split of what was measurable on selection.

    There floor and ceiling may be nearer to each other than they ought to be; to leave an attacker
    out for that would let the test split choose.
    """
    return leakage(score, floor, max(ceiling, floor + MIN_RANGE))


def _error(
    split: str,
    result: Mapping[str, Any],
    floor: Mapping[str, Any],
    ceiling: Mapping[str, Any],
    leaked: float,
) -> float:
    """Standard error of a leakage on a split, from those of the three scores it is made of."""
    parts = ((result, 1.0), (floor, 1 - leaked), (ceiling, leaked))
    scores = math.hypot(*(part * float(one.get(f"{split}_error", 0.0)) for one, part in parts))
    return scores / max(float(ceiling[split]) - float(floor[split]), MIN_RANGE)


def _scale(label: str, references: References) -> str | None:
    """The attacker whose floor and ceiling another one has; None where there is none."""
    if label in NEAREST:
        kind, nearest = NEAREST[label]
        # Not those of one attribute alone, nor those with more data: the nearest is the plainest.
        known = {
            key[1]
            for key, value in references.items()
            if aim_of(value) == (kind, None) and key[1] in ATTACKERS
        }
        names = sorted(known, key=lambda name: (name != nearest, name))
        if not names:
            return None
        label = names[0]
    return scale_of(label)
