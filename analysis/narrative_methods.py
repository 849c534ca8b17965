"""The report's sentences about methods: which holds the frontier, and what each one leaks to."""

from typing import Any

import pandas as pd

from analysis.kinds import ADVERSARIES, IN_LOOP, KIND_NAMES, KINDS, attacker_name
from analysis.methods import MethodSummary, compares_methods, method_summaries

NOTICEABLE = 0.02
"""Leakage below which a gap is no more than the noise of a few hundred images."""


def searched_sentence(encoders: pd.DataFrame) -> list[str]:
    """Which methods were compared; empty where there is one."""
    if not compares_methods(encoders):
        return []
    summaries = method_summaries(encoders)
    searched = [one.method for one in summaries if one.is_searched]
    baselines = sorted(set(encoders.loc[encoders["role"] == "baseline", "protector"]) - {""})
    beside = f", beside the {'baseline' if len(baselines) == 1 else 'baselines'} "
    text = f"The settings of {listed(searched)} were searched" if searched else (
        "No method was searched"
    )  # fmt: skip
    return [text + (beside + listed(baselines) if baselines else "") + "."]


def method_sentences(encoders: pd.DataFrame, facts: dict[str, Any]) -> list[str]:
    """Who holds the frontier, and where each defence gives way; empty where there is one method."""
    if not compares_methods(encoders):
        return []
    summaries = method_summaries(encoders)
    sentences = [_holders(summaries, facts["frontier_size"])] if facts["frontier_size"] else []
    defences = [one for one in summaries if one.method not in ("none", "identity")]
    weak = [_weakness(one) for one in defences if one.median_leakage or one.worst_attackers]
    if weak:
        median = ", in the median of its verified encoders"
        known = any(one.median_leakage for one in defences)
        sentences.append(f"Where each leaks most{median if known else ''}: {'; '.join(weak)}.")
    without = [one.method for one in defences if one.is_searched and not one.num_verified]
    if without:
        sentences.append(f"No encoder of {listed(without)} has been verified.")
    return sentences


def gap_sentences(facts: dict[str, Any]) -> list[str]:
    """What retrained attackers found beyond the in-loop adversary, per kind of leakage."""
    gaps = facts["saturation_gaps"]
    kinds = [kind for kind in KINDS if kind in gaps]
    more = [kind for kind in kinds if gaps[kind]["median"] > NOTICEABLE]
    who = {kind: f"attackers retrained for {KIND_NAMES[kind]}" for kind in kinds}
    if len(kinds) == 1:
        who = {kinds[0]: "retrained attackers"}
    sentences = []
    if more:
        found = [
            f"{who[kind]} found {gaps[kind]['median']:.3f} more leakage than the "
            f"{ADVERSARIES[IN_LOOP[kind]]} in the median and up to {gaps[kind]['max']:.3f} more"
            for kind in more
        ]
        looked = "During training encoders looked more private than they were"
        sentences.append(f"{looked}: {'; '.join(found)}.")
    return sentences + [
        f"{who[kind][0].upper()}{who[kind][1:]} found hardly more, or less, than the "
        f"{ADVERSARIES[IN_LOOP[kind]]} in the median (difference {gaps[kind]['median']:+.3f}, "
        f"largest {gaps[kind]['max']:+.3f})."
        for kind in kinds
        if kind not in more
    ]


def collapsed_sentence(facts: dict[str, Any]) -> list[str]:
    """That collapsed encoders are no failures; empty where there is none."""
    count = facts["num_collapsed"]
    if not count:
        return []
    its, noun = ("its", "failure") if count == 1 else ("their", "failures")
    return [
        f"{count} of {facts['num_encoders']} encoders finished training, but with a collapsed "
        f"code: not attacked and on no frontier, though no {noun}; {its} figures are listed below."
    ]


def dominated_sentence(facts: dict[str, Any]) -> list[str]:
    """What early stopping spared; empty where it spared nothing."""
    count = facts["num_dominated"]
    if not count:
        return []
    what = "attack trial" if facts["num_spared"] == 1 else "attack trials"
    return [
        f"{count} of {facts['num_encoders']} encoders were attacked no further, another one being "
        f"better on the selection split already ({facts['num_spared']} {what} spared by "
        "study.early_stopping_margin): they are compared with none, and listed below."
    ]


def listed(names: list[str]) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _holders(summaries: tuple[MethodSummary, ...], size: int) -> str:
    on = sorted((one for one in summaries if one.num_on_frontier), key=_by_count)
    without = [_whose(one) for one in summaries if one.is_searched and not one.num_on_frontier]
    if len(on) == 1:
        whose = "is" if size == 1 else "are all"
        encoders = "The one encoder" if size == 1 else f"The {size} encoders"
        text = f"{encoders} on the frontier {whose} {_whose(on[0])}"
    else:
        counts = [f"{one.num_on_frontier} {'is' if one.num_on_frontier == 1 else 'are'} "
                  f"{_whose(one)}" for one in on]  # fmt: skip
        text = f"Of the {size} encoders on the frontier {listed(counts)}"
    return text + (f"; none is {' or '.join(without)}." if without
                   else ".")  # fmt: skip


def _by_count(one: MethodSummary) -> int:
    return -one.num_on_frontier


def _whose(one: MethodSummary) -> str:
    if one.method == "none":
        return "undefended"
    return f"of {one.method}" if one.is_searched else f"of the baseline {one.method}"


def _weakness(one: MethodSummary) -> str:
    """The kind of leakage with the higher median; the attackers most often worst if not known."""
    least = "at least " if one.num_lower_bounds else ""
    kinds = sorted(one.median_leakage, key=lambda kind: -one.median_leakage[kind])
    if kinds:
        most, *other = [f"{one.median_leakage[kind]:.3f}" for kind in kinds]
        against = f", against {other[0]} to {KIND_NAMES[kinds[1]]}" if other else ""
        return f"{one.method} to {KIND_NAMES[kinds[0]]} ({least}{most}{against})"
    count = max(one.worst_attackers.values())
    names = [attacker_name(name) for name, times in one.worst_attackers.items() if times == count]
    each = "" if len(names) == 1 else " each"
    return f"{one.method} to {listed(names)} (worst of {count} of {one.num_verified}{each})"
