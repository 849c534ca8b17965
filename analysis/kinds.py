"""The two kinds of leakage, and the in-loop adversary of each.

An attacker rebuilds the image or infers a private attribute. A method trains against one of them
or both, so what its own adversary showed is compared with retrained attackers of the same kind.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

KINDS = ("reconstruction", "attribute")

IN_LOOP: Mapping[str, str] = {"reconstruction": "in_loop", "attribute": "in_loop_attribute"}
"""Per kind the adversary that is evaluated as training left it."""

IN_LOOP_NAMES = tuple(IN_LOOP.values())
"""Attackers that are not trained on the frozen encoder: they have nothing to saturate."""

KIND_NAMES: Mapping[str, str] = {
    "reconstruction": "reconstruction",
    "attribute": "attribute inference",
}
"""What an attacker of a kind does, in a sentence."""

ADVERSARIES: Mapping[str, str] = {
    "in_loop": "in-loop decoder",
    "in_loop_attribute": "in-loop attribute classifier",
}


def attacker_name(label: str) -> str:
    """An attacker as it is called in the page."""
    return ADVERSARIES.get(label, label)


def in_loop_leakage(encoders: pd.DataFrame, kind: str) -> pd.Series:
    """Leakage to the in-loop adversary of a kind, in [0, 1]; NaN where there was none."""
    return encoders[f"leakage/{IN_LOOP[kind]}"]


def worst_leakage(encoders: pd.DataFrame, kind: str) -> pd.Series:
    """Test leakage to the worst retrained attacker of a kind, in [0, 1]; NaN where not known.

    A study from before leakage was told apart by kind has it for reconstruction alone, as what
    its saturation gap was measured from.
    """
    values = encoders[f"leakage/worst_{kind}"]
    if kind != "reconstruction":
        return values
    return values.where(~_before_kinds(encoders), _old_sum(encoders))


def saturation_gap(encoders: pd.DataFrame, kind: str) -> pd.Series:
    """Worst retrained leakage of a kind minus its in-loop adversary's; NaN without both.

    The gap of a study from before leakage was told apart by kind is one of reconstruction.
    """
    values = encoders[f"saturation_gap/{kind}"]
    if kind != "reconstruction":
        return values
    return values.where(~_before_kinds(encoders), encoders["saturation_gap"])


def _before_kinds(encoders: pd.DataFrame) -> pd.Series:
    names = [f"{part}{kind}" for part in ("leakage/worst_", "saturation_gap/") for kind in KINDS]
    return encoders[names].isna().all(axis=1)


def _old_sum(encoders: pd.DataFrame) -> pd.Series:
    total = encoders["leakage/in_loop"] + encoders["saturation_gap"]
    return total.where(np.isfinite(total))
