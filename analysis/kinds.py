"""The kinds of leakage, the in-loop adversaries of two of them, and which attackers count.

An attacker rebuilds the image, infers a private attribute, finds the face's features or tells who
it is. A method trains against one of the first two or both, so what its own adversary showed is
compared with retrained attackers of the same kind.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

KINDS = ("reconstruction", "attribute", "feature", "identity")

IN_LOOP: Mapping[str, str] = {"reconstruction": "in_loop", "attribute": "in_loop_attribute"}
"""Per kind the adversary that is evaluated as training left it; the other kinds have none."""

IN_LOOP_KINDS = tuple(IN_LOOP)
"""Kinds that can have a saturation gap."""

IN_LOOP_NAMES = tuple(IN_LOOP.values())
"""Attackers that are not trained on the frozen encoder: they have nothing to saturate."""

KIND_NAMES: Mapping[str, str] = {
    "reconstruction": "reconstruction",
    "attribute": "attribute inference",
    "feature": "recovery of face features",
    "identity": "re-identification",
}
"""What an attacker of a kind does, in a sentence."""

ADVERSARIES: Mapping[str, str] = {
    "in_loop": "in-loop decoder",
    "in_loop_attribute": "in-loop attribute classifier",
}

WHITE_BOX = "white_box"
"""Threat of an attacker that sees the encoder's gradients."""


def attacker_name(label: str) -> str:
    """An attacker as it is called in the page."""
    return ADVERSARIES.get(label, label)


def is_white_box(attacks: pd.DataFrame) -> pd.Series:
    """Marks the attacks of a stronger threat than the black-box one."""
    return attacks["threat"] == WHITE_BOX


def left_out(attacks: pd.DataFrame, white_box: bool = True) -> set[str]:
    """Names of the attackers that are no part of the worst case.

    Args:
        attacks: The table of attacks.
        white_box: Whether those that see gradients are among them; without them only the rungs of
            the strength ladder are.
    """
    rows = attacks[~attacks["counts"]]
    return set(rows["attacker"] if white_box else rows.loc[~is_white_box(rows), "attacker"])


def in_loop_leakage(encoders: pd.DataFrame, kind: str) -> pd.Series:
    """Leakage to the in-loop adversary of a kind, in [0, 1]; NaN where there was none."""
    if kind not in IN_LOOP:
        return pd.Series(np.nan, index=encoders.index)
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
    if kind not in IN_LOOP:
        return pd.Series(np.nan, index=encoders.index)
    values = encoders[f"saturation_gap/{kind}"]
    if kind != "reconstruction":
        return values
    return values.where(~_before_kinds(encoders), encoders["saturation_gap"])


def _before_kinds(encoders: pd.DataFrame) -> pd.Series:
    names = [f"leakage/worst_{kind}" for kind in KINDS]
    names += [f"saturation_gap/{kind}" for kind in IN_LOOP_KINDS]
    return encoders[names].isna().all(axis=1)


def _old_sum(encoders: pd.DataFrame) -> pd.Series:
    total = encoders["leakage/in_loop"] + encoders["saturation_gap"]
    return total.where(np.isfinite(total))
