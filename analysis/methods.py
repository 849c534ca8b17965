"""The methods of a study side by side: which there are, and what each one's encoders came to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.kinds import KINDS, saturation_gap, worst_leakage
from analysis.tables import (
    FRONTIER_ROLES,
    best_trade,
    frontier,
    is_saturated,
    measured,
    study_hypervolume,
)

METHODS = (
    "reconstruction", "label_flip", "obfuscator", "none", "identity", "blur", "noise", "labels",
)  # fmt: skip
"""Protectors in the order in which they are listed; others follow by name."""


@dataclass(frozen=True)
class MethodSummary:
    """What the encoders of one method came to.

    Attributes:
        method: The protector.
        is_searched: Whether its settings were searched; a baseline's were given.
        num_encoders: Its encoders in whatever state.
        num_verified: Those that may be compared.
        num_lower_bounds: Those of them whose leakage is a lower bound.
        num_collapsed: Those that finished, but with a collapsed code.
        num_dominated: Those that were attacked no further, others being better already.
        num_failed: Those that failed or diverged.
        num_on_frontier: Those on the frontier of the whole study.
        hypervolume: Area that its own frontier commands; None where it has none, because no
            encoder of it was measured with all attackers saturated.
        best_trade: `analysis.tables.best_trade` among its encoders.
        median_leakage: Per kind the median of its verified encoders' worst leakage.
        median_gap: Per kind the median of their saturation gaps.
        worst_attackers: How many of its verified encoders each attacker is the worst of.
    """

    method: str
    is_searched: bool
    num_encoders: int
    num_verified: int
    num_lower_bounds: int
    num_collapsed: int
    num_dominated: int
    num_failed: int
    num_on_frontier: int
    hypervolume: float | None
    best_trade: Mapping[str, Any] | None
    median_leakage: Mapping[str, float]
    median_gap: Mapping[str, float]
    worst_attackers: Mapping[str, int]


def searched_methods(encoders: pd.DataFrame) -> list[str]:
    """The protectors whose settings the study searched, in order."""
    return _methods(encoders, ["searched"])


def compares_methods(encoders: pd.DataFrame) -> bool:
    """Whether an encoder's method must be told: several were searched, or there are baselines."""
    return len(searched_methods(encoders)) > 1 or bool((encoders["role"] == "baseline").any())


def of_method(encoders: pd.DataFrame, method: str) -> pd.DataFrame:
    """The encoders of one protector that are judged, in whatever state."""
    return encoders[encoders["role"].isin(FRONTIER_ROLES) & (encoders["protector"] == method)]


def method_summaries(encoders: pd.DataFrame) -> tuple[MethodSummary, ...]:
    """One summary per method of the study, the undefended encoders' `none` included."""
    searched = searched_methods(encoders)
    best = frontier(encoders)
    return tuple(
        _summary(encoders, method, method in searched, best)
        for method in _methods(encoders, list(FRONTIER_ROLES))
    )


def _methods(encoders: pd.DataFrame, roles: list[str]) -> list[str]:
    found = set(encoders.loc[encoders["role"].isin(roles), "protector"]) - {""}
    known = [method for method in METHODS if method in found]
    return [*known, *sorted(found - set(known))]


def _summary(
    encoders: pd.DataFrame, method: str, is_searched: bool, best: pd.DataFrame
) -> MethodSummary:
    own = of_method(encoders, method)
    verified = own[measured(own)]
    saturated = is_saturated(verified)
    leakages = {kind: worst_leakage(verified, kind).dropna() for kind in KINDS}
    gaps = {kind: saturation_gap(verified, kind).dropna() for kind in KINDS}
    attackers = verified.loc[verified["worst_attacker"] != "", "worst_attacker"].value_counts()
    return MethodSummary(
        method=method,
        is_searched=is_searched,
        num_encoders=len(own),
        num_verified=len(verified),
        num_lower_bounds=int((~saturated).sum()),
        num_collapsed=int((own["status"] == "collapsed").sum()),
        num_dominated=int((own["status"] == "dominated").sum()),
        num_failed=int(own["status"].isin(["failed", "diverged"]).sum()),
        num_on_frontier=int(best["encoder_id"].isin(own["encoder_id"]).sum()),
        hypervolume=study_hypervolume(own) if saturated.any() else None,
        best_trade=best_trade(encoders, method=method),
        median_leakage={k: float(v.median()) for k, v in leakages.items() if not v.empty},
        median_gap={k: float(v.median()) for k, v in gaps.items() if not v.empty},
        worst_attackers={
            name: int(attackers[name])
            for name in sorted(attackers.index, key=lambda name: (-attackers[name], name))
        },
    )
