"""From the scores of all attackers of one encoder to its verified leakage.

The worst attacker is chosen on the selection split, by what it leaks there less one standard error,
and reported on the test split: rank-1 over a few dozen probes would otherwise win by luck, and its
test figure stand in the place of what others surely leak. The in-loop adversaries are attackers
too: worst leakage is never below what any of them reaches. Attackers that were weakened on purpose,
or that see the encoder's gradients, are measured and do not count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.leakages import AttackFigures
from trainables.attackers.in_loop import IN_LOOP_NAMES


@dataclass(frozen=True)
class Verdict:
    """What a frozen encoder leaks.

    Attributes:
        figures: Every attacker and seed, in-loop adversaries included.
        worst_attacker: The one that leaks most on the selection split, less a standard error; may
            be an in-loop one.
        worst_selection: Its leakage there; what the search is told.
        worst_leakage: Its leakage on the test split, or an in-loop adversary's if that is higher.
        worst_error: Standard error of that leakage over the images of the test split; 0 where
            nothing is known of it.
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
    worst_error: float
    by_attacker: Mapping[str, float]
    saturated: bool
    by_kind: Mapping[str, float]
    gaps: Mapping[str, float]
    saturation_gap: float | None
    num_public: int
    notes: tuple[str, ...]


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
    worst = max(best_seed.values(), key=lambda figure: figure.surely)
    retrained = [f for f in best_seed.values() if f.attacker not in IN_LOOP_NAMES]
    by_kind = {
        kind: _test(max((f for f in retrained if _kind(f) == kind), key=_selection))
        for kind in dict.fromkeys(_kind(f) for f in retrained)
    }
    loops = [f for f in best_seed.values() if f.attacker in IN_LOOP_NAMES]
    in_loop = {_kind(f): _test(f) for f in loops}
    shown = max([worst, *loops], key=_test)
    gaps = {kind: by_kind[kind] - score for kind, score in in_loop.items() if kind in by_kind}
    return Verdict(
        figures=tuple(figures),
        worst_attacker=worst.attacker,
        worst_selection=_selection(worst),
        worst_leakage=_test(shown),
        worst_error=shown.test_error,
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


def _kind(figure: AttackFigures) -> str:
    return str(figure.result["kind"])


def _selection(figure: AttackFigures) -> float:
    assert figure.leakage_selection is not None
    return figure.leakage_selection


def _test(figure: AttackFigures) -> float:
    assert figure.leakage_test is not None
    return figure.leakage_test
