"""From the stored runs to the Parquet tables, the frontier and the figures of the summary."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.health import read_health
from analysis.kinds import IN_LOOP_KINDS, IN_LOOP_NAMES, saturation_gap
from analysis.load import StudyTables
from analysis.pareto import hypervolume, non_dominated

UTILITY = "utility/mean_mcc"
LEAKAGE = "leakage/worst"
UTILITY_ERROR = "utility/mean_mcc_error"
LEAKAGE_ERROR = "leakage/worst_error"
UTILITY_SELECTION = "utility/mean_mcc_selection"
LEAKAGE_SELECTION = "leakage/worst_selection"
FRONTIER_ROLES = ("undefended", "searched", "baseline")
"""Who may be on the frontier: `labels` cannot be deployed, floor and ceiling are measures."""

JUDGED_ROLES = (*FRONTIER_ROLES, "labels")
"""Whose codes are attacked to be told of: all but floor and ceiling."""

MAX_UTILITY_LOSS = 0.05
"""Mean MCC an encoder may lose against the undefended one and still count as a good trade."""


def measured(encoders: pd.DataFrame) -> pd.Series:
    """Marks the encoders that may be compared: verified, of the frontier's roles, and finite."""
    values = encoders[[UTILITY, LEAKAGE]].map(math.isfinite).all(axis=1)
    allowed = encoders["role"].isin(FRONTIER_ROLES) & (encoders["status"] == "verified")
    return (values & allowed).astype(bool)


def frontier(encoders: pd.DataFrame) -> pd.DataFrame:
    """The non-dominated encoders, by falling leakage; exact duplicates are all kept.

    An encoder with an unsaturated attacker is neither among them nor dominates any: its leakage is
    a lower bound (methods section 3).
    """
    rows = encoders[measured(encoders)]
    return _staircase(rows, non_dominated(rows[UTILITY], rows[LEAKAGE], is_saturated(rows)))


def provisional_frontier(encoders: pd.DataFrame) -> pd.DataFrame:
    """What `frontier` would be if lower bounds were leakages.

    Empty once there is an encoder whose attackers all saturated: lower bounds are no frontier, and
    are shown as one only while there is nothing else to show.
    """
    rows = encoders[measured(encoders)]
    if is_saturated(rows).any():
        return rows.iloc[:0]
    return _staircase(rows, non_dominated(rows[UTILITY], rows[LEAKAGE]))


def _staircase(rows: pd.DataFrame, marked: NDArray[np.bool_]) -> pd.DataFrame:
    order = [LEAKAGE, UTILITY, "encoder_id"]
    return rows[marked].sort_values(order, ascending=[False, False, True])


def study_hypervolume(encoders: pd.DataFrame) -> float:
    """Hypervolume of the frontier; 0 while every leakage is a lower bound."""
    rows = encoders[measured(encoders)]
    return hypervolume(rows[UTILITY], rows[LEAKAGE], is_saturated(rows))


def is_saturated(encoders: pd.DataFrame) -> pd.Series:
    """Marks the encoders whose attackers all trained until they saturated."""
    return encoders["saturated"] == 1


def is_defended(encoders: pd.DataFrame) -> pd.Series:
    """Marks what is there to protect: searched encoders, and the baselines that hide something.

    `reconstruction` without either of its λ is no defence, nor is `obfuscator` with both its
    terms switched off, nor `identity`, which sends the image itself.
    """
    weights = encoders[["lambda1", "lambda2"]]
    method = encoders["protector"]
    off = (
        method.isin(["none", "identity"])
        | ((method == "reconstruction") & (weights.fillna(0) == 0).all(axis=1))
        # A weight that is not known is the method's default, which is not 0.
        | (
            (method == "obfuscator")
            & ((weights["lambda1"] == 0) | _is_false(encoders, "defend_attributes"))
            & ((weights["lambda2"] == 0) | _is_false(encoders, "defend_reconstruction"))
        )
    )
    return encoders["role"].isin(["searched", "baseline"]) & ~off


def _is_false(encoders: pd.DataFrame, name: str) -> pd.Series:
    if name not in encoders:
        return pd.Series(False, index=encoders.index)
    return encoders[name].astype("str").str.lower() == "false"


def best_trade(
    encoders: pd.DataFrame, saturated_only: bool = True, method: str | None = None
) -> dict[str, Any] | None:
    """The defended encoder that lowers leakage most at a small loss of utility.

    Each is compared with the undefended encoder of its own cut point, or, if that cut has none,
    with the undefended encoder of the highest utility. All of this is decided on the selection
    split alone, so that the test split's figures, which are returned, are not those of the
    luckiest: on test the drop may be smaller, the loss larger.

    Args:
        encoders: The table of encoders.
        saturated_only: Leave out encoders with an attacker that ran out of its budget. Their
            leakage is a lower bound, which is no reason to call them private.
        method: Choose among the encoders of this protector alone.

    Returns:
        Both encoders' ids, utility and leakage, `leakage_drop` and `utility_loss` (negative for a
        gain), all on the test split; the last two also as `…_selection`, where they are > 0 and
        ≤ MAX_UTILITY_LOSS. None if no encoder qualifies.
    """
    choosable = encoders[[UTILITY_SELECTION, LEAKAGE_SELECTION]].map(math.isfinite).all(axis=1)
    rows = encoders[measured(encoders) & choosable]
    baselines = rows[rows["role"] == "undefended"].sort_values(UTILITY_SELECTION, ascending=False)
    candidates = rows[is_defended(rows)]
    if method is not None:
        candidates = candidates[candidates["protector"] == method]
    if saturated_only:
        candidates = candidates[is_saturated(candidates)]
    best: dict[str, Any] | None = None
    for _, row in candidates.iterrows():
        if baselines.empty:
            break
        same_cut = baselines[baselines["cut_point"] == row["cut_point"]]
        base = (baselines if same_cut.empty else same_cut).iloc[0]
        drop = base[LEAKAGE_SELECTION] - row[LEAKAGE_SELECTION]
        loss = base[UTILITY_SELECTION] - row[UTILITY_SELECTION]
        # Rounding keeps a loss of exactly the limit (0.75 - 0.70) from failing by one bit.
        if round(loss, 9) > MAX_UTILITY_LOSS:
            continue
        if drop <= (best["leakage_drop_selection"] if best else 0):
            continue
        best = {
            "encoder_id": row["encoder_id"],
            "role": row["role"],
            "method": row["protector"],
            "cut_point": row["cut_point"],
            "utility": float(row[UTILITY]),
            "leakage": float(row[LEAKAGE]),
            "worst_attacker": row["worst_attacker"],
            "saturated": bool(row["saturated"] == 1),
            "undefended_id": base["encoder_id"],
            "undefended_cut_point": base["cut_point"],
            "undefended_utility": float(base[UTILITY]),
            "undefended_leakage": float(base[LEAKAGE]),
            "undefended_saturated": bool(base["saturated"] == 1),
            "leakage_drop": float(base[LEAKAGE] - row[LEAKAGE]),
            "utility_loss": float(base[UTILITY] - row[UTILITY]),
            "leakage_drop_selection": float(drop),
            "utility_loss_selection": float(loss),
        }
    return best


def summary(tables: StudyTables) -> dict[str, Any]:
    """The study in a few numbers.

    Returns:
        A JSON-able dictionary; a number that could not be measured is None. `num_encoders` counts
        what the study trained to be judged (undefended, searched, baselines), in whatever state;
        `num_spared` the attack trials that early stopping saved on the `num_dominated` among them;
        `saturation_gaps` has per kind of leakage that was measured its median and largest gap;
        `num_attacks` counts finished attacks on these and on `labels`, not those on the floor and
        ceiling encoders. Attacks that do not count (rungs of the strength ladder, white-box ones)
        are in none of these numbers; `frontier` names its encoders; `health_passed` is None where
        no checks were stored.
    """
    encoders, attacks = tables.encoders, tables.attacks
    judged = encoders[encoders["role"].isin(FRONTIER_ROLES)]
    count = judged["status"].value_counts()
    verified = judged[measured(judged)]
    labels = encoders[(encoders["role"] == "labels") & (encoders["status"] == "verified")]
    # An in-loop adversary is not trained again, so it has nothing to saturate.
    in_loop = attacks["attacker"].isin(IN_LOOP_NAMES)
    finished = attacks[attacks["saturated"].notna() & ~in_loop & attacks["counts"]]
    unsaturated = ~finished["saturated"].astype(bool)
    references = encoders.loc[encoders["role"].isin(["floor", "ceiling"]), "encoder_id"]
    is_reference = finished["encoder_id"].isin(references)
    best = frontier(encoders)
    gaps = verified["saturation_gap"].dropna()
    health = read_health(tables)
    return {
        "study": tables.name,
        "status": tables.status,
        "num_encoders": len(judged),
        "num_verified": int(count.get("verified", 0)),
        "num_failed": int(count.get("failed", 0) + count.get("diverged", 0)),
        "num_collapsed": int(count.get("collapsed", 0)),
        "num_dominated": int(count.get("dominated", 0)),
        "num_spared": int(judged.loc[judged["status"] == "dominated", "num_spared"].sum()),
        "num_running": int(count.get("running", 0)),
        "num_not_finite": int(count.get("verified", 0)) - len(verified),
        "num_attacks": int((~is_reference).sum()),
        "num_unsaturated_attacks": int((unsaturated & ~is_reference).sum()),
        "num_unsaturated_references": int((unsaturated & is_reference).sum()),
        "num_unsaturated_encoders": int((~is_saturated(verified)).sum()),
        "num_public": _number(verified["num_public"].max()),
        "frontier": [str(name) for name in best["encoder_id"]],
        "frontier_size": len(best),
        "provisional_size": len(provisional_frontier(encoders)),
        "hypervolume": study_hypervolume(encoders),
        "median_saturation_gap": _number(gaps.median()),
        "max_saturation_gap": _number(gaps.max()),
        "saturation_gaps": _gaps(verified),
        "best_trade": best_trade(encoders),
        "best_trade_lower_bound": best_trade(encoders, saturated_only=False),
        "labels_utility": _number(labels[UTILITY].max()),
        "labels_leakage": _number(labels[LEAKAGE].max()),
        "labels_saturated": bool(is_saturated(labels).all()),
        "max_utility_loss": MAX_UTILITY_LOSS,
        "health_passed": None if health is None else health.passed,
    }


def _gaps(verified: pd.DataFrame) -> dict[str, dict[str, float]]:
    gaps = {kind: saturation_gap(verified, kind).dropna() for kind in IN_LOOP_KINDS}
    return {
        kind: {"median": float(values.median()), "max": float(values.max())}
        for kind, values in gaps.items()
        if not values.empty
    }


def write_tables(tables: StudyTables, out_dir: Path) -> dict[str, Path]:
    """Writes `encoders.parquet`, `attacks.parquet` and `frontier.parquet`.

    Each file is complete or absent: it is written under another name, then renamed.

    Args:
        tables: The study.
        out_dir: Folder to write to; made if it is not there.

    Returns:
        The three paths by name without the suffix.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    frames = {
        "encoders": tables.encoders,
        "attacks": tables.attacks,
        "frontier": frontier(tables.encoders),
    }
    paths = {}
    for name, frame in frames.items():
        path = out_dir / f"{name}.parquet"
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        frame.reset_index(drop=True).to_parquet(temporary, index=False)
        temporary.replace(path)
        paths[name] = path
    return paths


def _number(value: Any) -> float | None:
    return float(value) if pd.notna(value) and math.isfinite(value) else None
