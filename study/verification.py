"""From the scores of all attackers of one encoder to its verified leakage.

The worst attacker is chosen on the selection split, by what it leaks there less one standard error,
and reported on the test split: rank-1 over a few dozen probes would otherwise win by luck, and its
test figure stand in the place of what others surely leak. The in-loop adversaries are attackers
too: worst leakage is never below what any of them reaches. Attackers that were weakened on purpose,
or that see the encoder's gradients, are measured and do not count.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trainables.attackers.in_loop import IN_LOOP, IN_LOOP_ATTRIBUTE, IN_LOOP_NAMES
from trainables.attackers.suite import ATTACKERS, scale_of
from trainables.metrics import leakage

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
        floor: Its test score on a constant encoder.
        ceiling: The best test score on the identity encoder of an attacker after the same thing,
            chosen on selection.
        leakage_test: Leakage of the test score; None where floor and ceiling do not differ.
        leakage_selection: Leakage of the selection score; None likewise.
        selection_error: Standard error of `leakage_selection`, those of its floor and ceiling
            included; they are taken for independent.
        problem: Why there is no leakage; empty if there is.
    """

    attacker: str
    seed: int
    result: Mapping[str, Any]
    floor: float
    ceiling: float
    leakage_test: float | None
    leakage_selection: float | None
    selection_error: float = 0.0
    problem: str = ""

    @property
    def saturated(self) -> bool:
        """Whether it stopped because it had learned all it could."""
        return bool(self.result["saturated"])

    @property
    def counts(self) -> bool:
        """Whether it is one of the black-box suite, of which the worst is sought."""
        return bool(self.result.get("counts", True))


@dataclass(frozen=True)
class Verdict:
    """What a frozen encoder leaks.

    Attributes:
        figures: Every attacker and seed, in-loop adversaries included.
        worst_attacker: The one that leaks most on the selection split, less a standard error; may
            be an in-loop one.
        worst_selection: Its leakage there; what the search is told.
        worst_leakage: Its leakage on the test split, or an in-loop adversary's if that is higher.
        by_attacker: Test leakage per label, of the seed that leaks most on selection.
        saturated: Whether every retrained attacker that counts saturated.
        by_kind: Test leakage, per kind (`reconstruction`, `attribute`, `feature`, `identity`), of
            the retrained attacker of that kind that leaks most on selection.
        gaps: Per kind, that leakage minus the in-loop adversary's of the same kind; only kinds with
            an in-loop adversary.
        saturation_gap: The largest of them; None without an in-loop adversary.
        num_public: Public images the attackers had.
        notes: Attackers that could not be measured, and why.
    """

    figures: tuple[AttackFigures, ...]
    worst_attacker: str
    worst_selection: float
    worst_leakage: float
    by_attacker: Mapping[str, float]
    saturated: bool
    by_kind: Mapping[str, float]
    gaps: Mapping[str, float]
    saturation_gap: float | None
    num_public: int
    notes: tuple[str, ...]


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


def judge(figures: Sequence[AttackFigures]) -> Verdict:
    """Finds the worst attacker of an encoder.

    Raises:
        ValueError: If no attacker's leakage can be measured.
    """
    measured = [f for f in figures if f.leakage_selection is not None]
    notes = tuple(dict.fromkeys(f.problem for f in figures if f.problem))
    if all(f.attacker in IN_LOOP_NAMES or not f.counts for f in measured):
        raise ValueError("no attacker's leakage can be measured: " + "; ".join(notes))
    every = _best_seeds(measured)
    by_attacker = {label: _test(figure) for label, figure in every.items()}
    best_seed = {label: figure for label, figure in every.items() if figure.counts}
    worst = max(best_seed.values(), key=_surely)
    retrained = [f for f in best_seed.values() if f.attacker not in IN_LOOP_NAMES]
    by_kind = {
        kind: _test(max((f for f in retrained if _kind(f) == kind), key=_selection))
        for kind in dict.fromkeys(_kind(f) for f in retrained)
    }
    in_loop = {_kind(f): _test(f) for f in best_seed.values() if f.attacker in IN_LOOP_NAMES}
    gaps = {kind: by_kind[kind] - score for kind, score in in_loop.items() if kind in by_kind}
    return Verdict(
        figures=tuple(figures),
        worst_attacker=worst.attacker,
        worst_selection=_selection(worst),
        worst_leakage=max(_test(worst), *in_loop.values(), 0.0),
        by_attacker=by_attacker,
        saturated=all(f.saturated for f in figures if f.counts and f.attacker not in IN_LOOP_NAMES),
        by_kind=by_kind,
        gaps=gaps,
        saturation_gap=max(gaps.values(), default=None),
        num_public=max(int(f.result["num_public"]) for f in measured),
        notes=notes,
    )


def _best_seeds(figures: Sequence[AttackFigures]) -> dict[str, AttackFigures]:
    """Of each attacker the seed that leaks most on selection."""
    best: dict[str, AttackFigures] = {}
    for figure in figures:
        known = best.get(figure.attacker)
        if known is None or _selection(figure) > _selection(known):
            best[figure.attacker] = figure
    return best


def _figures(seed: int, result: Mapping[str, Any], references: References) -> AttackFigures:
    label = str(result["attacker"])
    ends = _ends(label, seed, references)
    if ends is None:
        problem = f"{label}: the suite has no attacker whose floor and ceiling it could have"
        return AttackFigures(label, seed, result, math.nan, math.nan, None, None, problem=problem)
    floor, ceiling = ends
    figures = AttackFigures(
        label, seed, result, float(floor["test"]), float(ceiling["test"]), None, None
    )
    try:
        # Each split against its own floor and ceiling: choices made on selection must not depend
        # on test, not even through a normalisation.
        test, selection = (
            leakage(float(result[split]), float(floor[split]), float(ceiling[split]))
            for split in ("test", "selection")
        )
    except ValueError as error:
        return replace(figures, problem=f"{label}: {error}")
    return replace(
        figures,
        leakage_test=test,
        leakage_selection=selection,
        selection_error=_error(result, floor, ceiling, selection),
    )


def _error(
    result: Mapping[str, Any],
    floor: Mapping[str, Any],
    ceiling: Mapping[str, Any],
    leaked: float,
) -> float:
    """Standard error of a leakage on selection, from those of the three scores it is made of."""
    parts = ((result, 1.0), (floor, 1 - leaked), (ceiling, leaked))
    scores = math.hypot(*(part * float(one.get("selection_error", 0.0)) for one, part in parts))
    return scores / (float(ceiling["selection"]) - float(floor["selection"]))


def _ends(
    label: str, seed: int, references: References
) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Whose scores an attacker's are set against: floor and ceiling; None where there are none.

    The ceiling is the best of all attackers after the same thing. A linear attacker reads less from
    pixels than from the codes of a network: set against its own ceiling it would seem to learn all
    there is where it learned little.
    """
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
    label = scale_of(label)
    own = references[("identity", label, seed)]
    peers = [
        result
        for (which, _, number), result in references.items()
        if (which, number) == ("identity", seed) and aim_of(result) == aim_of(own)
    ]
    ceiling = max(peers, key=lambda result: float(result["selection"]))
    return references[("constant", label, seed)], ceiling


def aim_of(result: Mapping[str, Any]) -> tuple[str, str | None]:
    """What an attacker is after: its kind, and the attribute that it infers alone."""
    return str(result["kind"]), (result.get("settings") or {}).get("only")


def _kind(figure: AttackFigures) -> str:
    return str(figure.result["kind"])


def _selection(figure: AttackFigures) -> float:
    assert figure.leakage_selection is not None
    return figure.leakage_selection


def _surely(figure: AttackFigures) -> float:
    return _selection(figure) - figure.selection_error


def _test(figure: AttackFigures) -> float:
    assert figure.leakage_test is not None
    return figure.leakage_test
