"""What each figure shows, as plain records: computed and tested apart from the drawing."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.load import StudyTables
from analysis.methods import compares_methods, of_method, searched_methods
from analysis.tables import (
    LEAKAGE,
    UTILITY,
    frontier,
    measured,
    provisional_frontier,
)

MAX_CURVE_PANELS = 12
"""Encoders whose saturation curves are drawn; each costs two requests per attacker."""


@dataclass(frozen=True)
class EncoderPoint:
    """One encoder in the utility-leakage plane.

    Attributes:
        label: Short name, the same in every figure and table of a report.
        role: `undefended`, `searched`, `baseline` or `labels`.
        cut_point: Name of the cut, empty if it has none.
        utility: Mean MCC on the test split.
        leakage: Worst verified leakage on the test split, in [0, 1].
        saturated: Whether every attacker trained until it saturated; if not, the leakage is a
            lower bound.
        on_frontier: Whether it is a corner of the staircase that is drawn.
        method: Name of its protector, empty if not known.
        encoder_id: Its identity.
    """

    label: str
    role: str
    cut_point: str
    utility: float
    leakage: float
    saturated: bool
    on_frontier: bool
    method: str = ""
    encoder_id: str = ""


@dataclass(frozen=True)
class MethodFrontier:
    """The staircase of one method's encoders alone, corners by rising utility."""

    method: str
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class FrontierRecord:
    """The frontier plot.

    Attributes:
        points: The encoders.
        frontier: The staircase's corners (utility, leakage) by rising utility.
        provisional: Whether the staircase is one of lower bounds, no encoder having had all its
            attackers saturated.
        num_test: Images of the test split; None if not known.
        num_public: Images the attackers were trained on; None if not known.
        by_method: Whether colours tell methods apart, because several were searched; otherwise
            they tell cut points apart, as shapes always do.
        own_frontiers: With several methods, each one's own staircase, where it has one.
    """

    points: tuple[EncoderPoint, ...]
    frontier: tuple[tuple[float, float], ...]
    num_test: int | None
    num_public: int | None
    provisional: bool = False
    by_method: bool = False
    own_frontiers: tuple[MethodFrontier, ...] = ()


@dataclass(frozen=True)
class SaturationCurve:
    """One attacker's training.

    Attributes:
        attacker: Label of the attacker.
        seed: Its seed.
        steps: Training steps at which it was evaluated, rising.
        leakage: Leakage on the selection split at those steps, clipped to [0, 1].
        rate_drop: Step from which its learning rate was lower, None if it never was.
        saturated: Whether it stopped because it had saturated.
    """

    attacker: str
    seed: int
    steps: tuple[int, ...]
    leakage: tuple[float, ...]
    rate_drop: int | None
    saturated: bool


@dataclass(frozen=True)
class SaturationPanel:
    """The curves of all attackers of one encoder."""

    label: str
    curves: tuple[SaturationCurve, ...]


def encoder_labels(encoders: pd.DataFrame) -> dict[str, str]:
    """Short names of encoders by id.

    Searched encoders are numbered in the order they started (`#1`, `#2`, …), whatever their
    method; a baseline goes by its method, noise with its σ, the others by their role, an undefended
    one with its cut. A name that would repeat gets a number.
    """
    labels: dict[str, str] = {}
    num_searched = 0
    for row in encoders.itertuples():
        if row.role == "searched":
            num_searched += 1
            label = f"#{num_searched}"
        elif row.role == "undefended":
            label = f"undefended {row.cut_point}".strip()
        elif row.role == "baseline":
            label = _baseline_label(row)
        else:
            label = str(row.role)
        repeats = sum(used == label or used.startswith(f"{label} (") for used in labels.values())
        labels[str(row.encoder_id)] = f"{label} ({repeats + 1})" if repeats else label
    return labels


def _baseline_label(row: Any) -> str:
    name, sigma = str(row.protector) or "baseline", getattr(row, "sigma", math.nan)
    # A column of mixed values is text throughout.
    known = isinstance(sigma, float) and math.isfinite(sigma)
    return f"{name} σ={sigma:g}" if name == "noise" and known else name


def images_per_split(data: dict[str, Any]) -> dict[str, int]:
    """Numbers of images from the data's description (`split_sizes`); empty if not there."""
    sizes = data.get("split_sizes")
    if not isinstance(sizes, dict):
        return {}
    return {str(name): size for name, size in sizes.items() if isinstance(size, int)}


def image_ratio(data: dict[str, Any]) -> float:
    """Width of an image over its height from the data's description; 1 if not there."""
    width, height = (data.get(side) for side in ("width", "height"))
    if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0:
        return width / height
    return 1.0


def staircase(encoders: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """The frontier's encoders, and whether it is the provisional one of lower bounds."""
    lower_bounds = provisional_frontier(encoders)
    return (frontier(encoders), False) if lower_bounds.empty else (lower_bounds, True)


def frontier_record(tables: StudyTables) -> FrontierRecord:
    """Collects the frontier plot: every finite verified encoder and the `labels` point."""
    encoders = tables.encoders
    labels = encoder_labels(encoders)
    best, provisional = staircase(encoders)
    finite = encoders[[UTILITY, LEAKAGE]].map(math.isfinite).all(axis=1)
    reference = (encoders["role"] == "labels") & (encoders["status"] == "verified") & finite
    shown = encoders[measured(encoders) | reference]
    on_frontier = set(best["encoder_id"])
    points = tuple(
        EncoderPoint(
            label=labels[row["encoder_id"]],
            role=row["role"],
            cut_point=row["cut_point"],
            utility=float(row[UTILITY]),
            leakage=float(row[LEAKAGE]),
            saturated=bool(row["saturated"] == 1),
            on_frontier=row["encoder_id"] in on_frontier,
            method=row["protector"],
            encoder_id=row["encoder_id"],
        )
        for _, row in shown.iterrows()
    )
    num_public = shown["num_public"].max()
    by_method = len(searched_methods(encoders)) > 1
    return FrontierRecord(
        points=points,
        frontier=corners(best),
        num_test=images_per_split(tables.data).get("test"),
        num_public=int(num_public) if pd.notna(num_public) else None,
        provisional=provisional,
        by_method=by_method,
        own_frontiers=_own_frontiers(encoders, provisional) if by_method else (),
    )


def corners(rows: pd.DataFrame) -> tuple[tuple[float, float], ...]:
    """Of the staircase of these encoders (utility, leakage), by rising utility."""
    return tuple(sorted({(float(x), float(y)) for x, y in rows[[UTILITY, LEAKAGE]].to_numpy()}))


def _own_frontiers(encoders: pd.DataFrame, provisional: bool) -> tuple[MethodFrontier, ...]:
    """Those of searched methods; a method of lower bounds alone has one only if all have such."""
    choose = provisional_frontier if provisional else frontier
    found = [
        MethodFrontier(method, corners(choose(of_method(encoders, method))))
        for method in searched_methods(encoders)
    ]
    return tuple(own for own in found if own.corners)


def saturation_panels(tables: StudyTables) -> tuple[SaturationPanel, ...]:
    """Collects the attackers' curves of undefended encoders and of those on the frontier.

    An attacker without a curve (an in-loop adversary, which is not trained again), without a
    usable floor and ceiling or outside the worst case is left out, and so is an encoder without any
    curve. A searched encoder is named with its method where there are several.
    """
    encoders = tables.encoders
    labels = encoder_labels(encoders)
    undefended = encoders[(encoders["role"] == "undefended") & (encoders["status"] == "verified")]
    ids = list(dict.fromkeys([*undefended["encoder_id"], *staircase(encoders)[0]["encoder_id"]]))
    by_id = encoders.set_index("encoder_id")
    panels = []
    for encoder_id in ids[:MAX_CURVE_PANELS]:
        own = (tables.attacks["encoder_id"] == encoder_id) & tables.attacks["counts"]
        rows = tables.attacks[own]
        rows = rows.sort_values(["attacker", "seed"])
        curves = [_curve(tables, row) for _, row in rows.iterrows()]
        present = tuple(curve for curve in curves if curve is not None)
        if present:
            row = by_id.loc[encoder_id]
            named = compares_methods(encoders) and row["role"] == "searched"
            method = f" {row['protector']}" if named else ""
            panels.append(SaturationPanel(labels[encoder_id] + method, present))
    return tuple(panels)


def _curve(tables: StudyTables, row: pd.Series) -> SaturationCurve | None:
    if row.get("kind") == "identity":  # followed by the rank of every image, scored by rank-1
        return None
    span = row["ceiling"] - row["floor"]
    if not (math.isfinite(span) and span > 0):
        return None
    history = tables.curve(row["run_id"], "train/selection")
    history = history[np.isfinite(history["value"])]
    if history.empty:
        return None
    rates = tables.curve(row["run_id"], "train/rate")
    lower = rates[rates["value"] < rates["value"].max() * 0.99]
    leakage = ((history["value"] - row["floor"]) / span).clip(0, 1)
    return SaturationCurve(
        attacker=row["attacker"],
        seed=int(row["seed"]) if pd.notna(row["seed"]) else 0,
        steps=tuple(int(step) for step in history["step"]),
        leakage=tuple(float(value) for value in leakage),
        rate_drop=None if lower.empty else int(lower["step"].iloc[0]),
        saturated=row["saturated"] is True or row["saturated"] is np.True_,
    )
