"""The report's tables: which rows and columns, and how each figure is written."""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from analysis.cells import (
    Cell,
    amount_cell,
    has_values,
    natural,
    number_cell,
    percent,
    setting_cell,
    symbol,
    whole,
)
from analysis.kinds import (
    IN_LOOP_KINDS,
    IN_LOOP_NAMES,
    KINDS,
    attacker_name,
    is_white_box,
    left_out,
)
from analysis.load import StudyTables
from analysis.methods import compares_methods
from analysis.records import encoder_labels
from analysis.tables import (
    JUDGED_ROLES,
    LEAKAGE,
    LEAKAGE_ERROR,
    UTILITY,
    UTILITY_ERROR,
    frontier,
)
from analysis.uncertainty import Certainty

SETTING_COLUMNS = (
    "lambda1", "lambda2", "mu1", "mu2", "alpha", "privacy_loss", "normalisation",
    "defend_reconstruction", "defend_attributes", "sigma", "kernel", "encoder_lr_decay",
    "adversary_steps",
)  # fmt: skip
COST_COLUMNS = {
    "cost/parameters": "parameters",
    "cost/multiply_adds": "multiply-adds",
    "cost/code_bytes": "code bytes",
    "cost/latency_ms": "latency, ms",
}
COLLAPSE_COLUMNS = {
    "collapse/below_0.01": "variance < 0.01",
    "collapse/below_0.5": "variance < 0.5",
    "collapse/total_variance": "total variance",
}
"""Shares of an encoder's outputs by their variance over the selection split, and its sum."""

TEXT_COLUMNS = (
    "encoder", "method", "cut", "worst attacker", "attacker", "kind", "saturated", "reason",
    "most often worst", "best trade", "check", "needed", "passed", "note", "leakage of", "axis",
    "weakest step", "strongest step", "value", "cut point",
)  # fmt: skip
STUDY_CHOICES = {
    "perceptual": "perceptual network g",
    "suite": "attackers",
    "suite_version": "version of the attackers",
}
"""What of the study's parameters decides what its figures can be compared with."""

HASH_SHOWN = 12
"""Characters of an encoder's hash in the page; encoders.parquet has all of them."""

NOT_AN_ATTACKER = (
    "leakage/worst", "leakage/worst_error", "leakage/worst_selection", "leakage/at_least",
    *(f"leakage/worst_{kind}" for kind in KINDS), *(f"leakage/{name}" for name in IN_LOOP_NAMES),
)  # fmt: skip

Column = tuple[str, Callable[[pd.Series], Cell]]
"""A heading, and the cell of an encoder's row."""


def encoder_table(tables: StudyTables, sure: Certainty | None = None) -> dict[str, Any]:
    """Head and rows of the table of verified encoders, the least leaking first.

    Args:
        tables: The study.
        sure: How sure its frontier is, if that is known.
    """
    encoders = tables.encoders
    best = set(frontier(encoders)["encoder_id"])
    shown = encoders[(encoders["status"] == "verified") & encoders["role"].isin(JUDGED_ROLES)]
    shown = shown.sort_values(LEAKAGE, na_position="last")
    columns = [
        *name_columns(encoders),
        ("mean MCC", lambda row: number_cell(row[UTILITY], error=row[UTILITY_ERROR])),
        ("worst leakage", _bounded(LEAKAGE, LEAKAGE_ERROR)),
        *_probability_column(sure),
        ("worst attacker", _attacker),
        *_leakage_columns(shown, tables.attacks),
        ("saturated", _saturated),
        *setting_columns(shown),
        *((text, _amount(name)) for name, text in COST_COLUMNS.items() if has_any(shown, name)),
        *collapse_columns(shown),
    ]
    rows = [
        {
            "class": "frontier" if row["encoder_id"] in best else str(row["role"]),
            "cells": [cell(row) for _, cell in columns],
        }
        for _, row in shown.iterrows()
    ]
    return {"head": [heading for heading, _ in columns], "rows": rows}


def name_columns(encoders: pd.DataFrame) -> list[Column]:
    """Label and cut of an encoder, and its method where there are several."""
    labels = encoder_labels(encoders)

    def name(row: pd.Series) -> Cell:
        label = labels[row["encoder_id"]]
        return Cell(label, natural(label))

    columns: list[Column] = [("encoder", name)]
    if compares_methods(encoders):
        columns.append(("method", _text("protector")))
    return [*columns, ("cut", _text("cut_point"))]


def setting_columns(shown: pd.DataFrame) -> list[Column]:
    """The settings that any of these encoders has."""
    return [(symbol(name), _setting(name)) for name in SETTING_COLUMNS if has_values(shown, name)]


def collapse_columns(shown: pd.DataFrame) -> list[Column]:
    """The collapse figures, where any of these encoders has them."""
    return [
        (text, _amount(name) if name == "collapse/total_variance" else _figure(name))
        for name, text in COLLAPSE_COLUMNS.items()
        if has_any(shown, name)
    ]


def has_any(shown: pd.DataFrame, name: str) -> bool:
    """Whether a column of numbers holds one."""
    return name in shown and bool(shown[name].notna().any())


def _leakage_columns(shown: pd.DataFrame, attacks: pd.DataFrame) -> list[Column]:
    """Worst leakage per kind, each attacker's, the in-loop adversaries', and the gaps.

    The rungs of the strength ladder are left out: they have a figure of their own.
    """
    rungs = {f"leakage/{name}" for name in left_out(attacks, white_box=False)}
    white = {f"leakage/{name}" for name in attacks.loc[is_white_box(attacks), "attacker"]}
    kinds = [kind for kind in KINDS if has_any(shown, f"leakage/worst_{kind}")]
    columns: list[Column] = [
        (f"worst {kind} leakage", _bounded(f"leakage/worst_{kind}")) for kind in kinds
    ]
    attackers = [
        name
        for name in shown.columns
        if name.startswith("leakage/")
        and name not in NOT_AN_ATTACKER
        and name not in rungs
        and has_any(shown, name)
    ]
    columns += [
        (name.removeprefix("leakage/") + (" (white box)" if name in white else ""), _figure(name))
        for name in sorted(attackers, key=lambda name: name in white)
    ]
    columns.append(("in-loop leakage", _figure("leakage/in_loop")))
    if has_any(shown, "leakage/in_loop_attribute"):
        columns.append(("in-loop attribute leakage", _figure("leakage/in_loop_attribute")))
    gaps = [kind for kind in IN_LOOP_KINDS if has_any(shown, f"saturation_gap/{kind}")]
    if len(gaps) < 2:
        return [*columns, ("saturation gap", _figure("saturation_gap", signed=True))]
    named = [(f"{kind} gap", _figure(f"saturation_gap/{kind}", signed=True)) for kind in gaps]
    return [*columns, *named]


def _figure(name: str, signed: bool = False) -> Callable[[pd.Series], Cell]:
    return lambda row: number_cell(row[name], signed=signed)


def _bounded(name: str, error: str | None = None) -> Callable[[pd.Series], Cell]:
    return lambda row: number_cell(
        row[name],
        flag="" if row["saturated"] == 1 else "bound",
        error=math.nan if error is None else row[error],
    )


def _probability_column(sure: Certainty | None) -> list[Column]:
    """How often an encoder is on the frontier when the figures are redrawn within their errors."""
    if sure is None:
        return []
    known = sure.probability

    def cell(row: pd.Series) -> Cell:
        share = known.get(row["encoder_id"])
        return Cell("–") if share is None else Cell(f"{share:.0%}", share)

    return [("on the frontier", cell)]


def _text(name: str) -> Callable[[pd.Series], Cell]:
    return lambda row: Cell(row[name], row[name])


def _setting(name: str) -> Callable[[pd.Series], Cell]:
    return lambda row: setting_cell(row[name])


def _amount(name: str) -> Callable[[pd.Series], Cell]:
    return lambda row: amount_cell(row[name])


def _attacker(row: pd.Series) -> Cell:
    return Cell(attacker_name(row["worst_attacker"]), row["worst_attacker"])


def _saturated(row: pd.Series) -> Cell:
    saturated = row["saturated"] == 1
    return Cell("yes" if saturated else "no", float(saturated))


def training_table(tables: StudyTables) -> list[list[str]]:
    """Per encoder: label, rounds, whether it converged, when and why training stopped, hash."""
    encoders, labels = tables.encoders, encoder_labels(tables.encoders)
    known = (encoders["stopped"] != "") | encoders["rounds"].notna()
    converged = {1.0: "yes", 0.0: "no"}
    return [
        [
            labels[row["encoder_id"]],
            whole(row["rounds"]),
            converged.get(row["converged"], "–"),
            row["stopped"] or "–",
            row["encoder_hash"][:HASH_SHOWN] or "–",
        ]
        for _, row in encoders[known].iterrows()
    ]


def study_choices(tables: StudyTables) -> list[tuple[str, str]]:
    """(name, value) of what the figures depend on besides data and configuration."""
    values = [(text, tables.params.get(name, "")) for name, text in STUDY_CHOICES.items()]
    return [(text, value) for text, value in values if value not in ("", "None")]


def attribute_table(tables: StudyTables) -> list[list[str]]:
    """Name, use and rates of each attribute: the private ones, the utility ones, the others."""
    data = tables.data
    uses = {name: use for use in ("utility", "private") for name in data.get(use) or []}
    rates = data.get("attributes")
    rates = rates if isinstance(rates, dict) else {}
    order = ("private", "utility", "not used")
    names = sorted(
        dict.fromkeys([*rates, *uses]), key=lambda name: order.index(uses.get(name, "not used"))
    )
    return [
        [name, uses.get(name, "not used"), *(
            percent(rates.get(name, {}).get(rate)) for rate in ("positive_rate", "majority_rate")
        )]
        for name in names
    ]  # fmt: skip


def failures(tables: StudyTables) -> list[dict[str, str]]:
    """Encoders without a verified, finite result, with the reason.

    Collapsed and dominated encoders are not among them: they finished, and stand in tables of their
    own.
    """
    encoders, labels = tables.encoders, encoder_labels(tables.encoders)
    told_elsewhere = encoders["status"].isin(["collapsed", "dominated"])
    judged = encoders["role"].isin(JUDGED_ROLES) & ~told_elsewhere
    finite = encoders[[UTILITY, LEAKAGE]].map(math.isfinite).all(axis=1)
    rows = []
    for _, row in encoders[judged & ~((encoders["status"] == "verified") & finite)].iterrows():
        reason = row["reason"] or row["stopped"]
        if row["status"] == "verified":
            reason = reason or "utility or leakage is not a finite number"
        rows.append(
            {
                "label": labels[row["encoder_id"]],
                "run": row["run_name"] or row["encoder_id"],
                "status": row["status"],
                "reason": reason or ("not finished" if row["status"] == "running" else "not given"),
            }
        )
    return rows
