"""The report's tables: which rows and columns, and how each figure is written."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.load import StudyTables
from analysis.pictures import IN_LOOP
from analysis.records import encoder_labels
from analysis.tables import LEAKAGE, UTILITY, frontier

MAX_ATTACK_ROWS = 500
"""Attacks listed in the page; all of them are in attacks.parquet."""

SETTING_COLUMNS = ("lambda1", "lambda2", "mu1", "mu2", "encoder_lr_decay", "adversary_steps")
COST_COLUMNS = {
    "cost/parameters": "parameters",
    "cost/multiply_adds": "multiply-adds",
    "cost/code_bytes": "code bytes",
    "cost/latency_ms": "latency, ms",
}
TEXT_COLUMNS = ("encoder", "cut", "worst attacker", "attacker", "saturated")
STUDY_CHOICES = {
    "perceptual": "perceptual network g",
    "suite": "attackers",
    "suite_version": "version of the attackers",
}
"""What of the study's parameters decides what its figures can be compared with."""

HASH_SHOWN = 12
"""Characters of an encoder's hash in the page; encoders.parquet has all of them."""

NOT_AN_ATTACKER = ("leakage/worst", "leakage/worst_selection", "leakage/in_loop")


@dataclass(frozen=True)
class Cell:
    """One cell of a table: what is shown, and what it is sorted by (None sorts last)."""

    text: str
    value: float | str | None = None
    flag: str = ""


def encoder_table(tables: StudyTables) -> dict[str, Any]:
    """Head and rows of the table of verified encoders, the least leaking first."""
    encoders, labels = tables.encoders, encoder_labels(tables.encoders)
    best = set(frontier(encoders)["encoder_id"])
    shown = encoders[
        (encoders["status"] == "verified")
        & encoders["role"].isin(["undefended", "searched", "labels"])
    ].sort_values(LEAKAGE, na_position="last")
    attackers = [
        name
        for name in shown.columns
        if name.startswith("leakage/") and name not in NOT_AN_ATTACKER and shown[name].notna().any()
    ]
    settings = [name for name in SETTING_COLUMNS if _varies(shown, name)]
    costs = {name: text for name, text in COST_COLUMNS.items() if shown[name].notna().any()}
    head = [
        "encoder", "cut", "mean MCC", "worst leakage", "worst attacker",
        *(name.removeprefix("leakage/") for name in attackers), "in-loop leakage",
        "saturation gap", "saturated", *map(_symbol, settings), *costs.values(),
    ]  # fmt: skip
    rows = []
    for _, row in shown.iterrows():
        saturated = row["saturated"] == 1
        worst = _number_cell(row[LEAKAGE], flag="" if saturated else "bound")
        rows.append(
            {
                "class": "frontier" if row["encoder_id"] in best else str(row["role"]),
                "cells": [
                    Cell(labels[row["encoder_id"]], _natural(labels[row["encoder_id"]])),
                    Cell(row["cut_point"], row["cut_point"]),
                    _number_cell(row[UTILITY]),
                    worst,
                    Cell(attacker_name(row["worst_attacker"]), row["worst_attacker"]),
                    *(_number_cell(row[name]) for name in attackers),
                    _number_cell(row["leakage/in_loop"]),
                    _number_cell(row["saturation_gap"], signed=True),
                    Cell("yes" if saturated else "no", float(saturated)),
                    *(_setting_cell(row[name]) for name in settings),
                    *(_amount_cell(row[name]) for name in costs),
                ],
            }
        )
    return {"head": head, "rows": rows}


def training_table(tables: StudyTables) -> list[list[str]]:
    """Per encoder: label, rounds, whether it converged, when and why training stopped, hash."""
    encoders, labels = tables.encoders, encoder_labels(tables.encoders)
    known = (encoders["stopped"] != "") | encoders["rounds"].notna()
    converged = {1.0: "yes", 0.0: "no"}
    return [
        [
            labels[row["encoder_id"]],
            _whole(row["rounds"]),
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


def attack_table(tables: StudyTables) -> dict[str, Any]:
    """Head and rows of the table of attacks that ended, at most MAX_ATTACK_ROWS of them."""
    labels = encoder_labels(tables.encoders)
    order = {encoder_id: place for place, encoder_id in enumerate(labels)}
    attacks = tables.attacks[tables.attacks["score/test"].notna()]
    attacks = attacks.assign(_place=attacks["encoder_id"].map(order))
    attacks = attacks.sort_values(["_place", "attacker", "seed"])
    head = ["encoder", "attacker", "seed", "score", "leakage", "leakage (selection)", "steps",
            "saturated", "public images"]  # fmt: skip
    rows = []
    for _, row in attacks.head(MAX_ATTACK_ROWS).iterrows():
        label = labels[row["encoder_id"]]
        # The in-loop adversary is not trained again: there is nothing to saturate.
        known = pd.notna(row["saturated"]) and row["attacker"] != IN_LOOP
        saturated = bool(row["saturated"]) if known else False
        bound = "" if saturated or row["attacker"] == IN_LOOP else "bound"
        rows.append(
            {
                "class": "",
                "cells": [
                    Cell(label, _natural(label)),
                    Cell(attacker_name(row["attacker"]), row["attacker"]),
                    _amount_cell(row["seed"]),
                    _number_cell(row["score/test"]),
                    _number_cell(row["leakage/test"], flag=bound),
                    _number_cell(row["leakage/selection"]),
                    _amount_cell(row["steps"]),
                    Cell(("yes" if saturated else "no") if known else "–", float(saturated)),
                    _amount_cell(row["num_public"]),
                ],
            }
        )
    return {"head": head, "rows": rows, "num_left_out": max(0, len(attacks) - MAX_ATTACK_ROWS)}


def attacker_name(label: str) -> str:
    """An attacker as it is called in the page."""
    return "in-loop adversary" if label == IN_LOOP else label


def reference_table(tables: StudyTables) -> list[list[str]]:
    """Floor and ceiling of each attacker and seed, as used for the leakages."""
    columns = ["attacker", "seed", "floor", "ceiling"]
    rows = tables.attacks[columns].dropna(subset=["floor", "ceiling"]).drop_duplicates()
    return [
        [
            attacker_name(row["attacker"]),
            _whole(row["seed"]),
            f"{row['floor']:.3f}",
            f"{row['ceiling']:.3f}",
        ]
        for _, row in rows.sort_values(columns).iterrows()
    ]


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
            _percent(rates.get(name, {}).get(rate)) for rate in ("positive_rate", "majority_rate")
        )]
        for name in names
    ]  # fmt: skip


def failures(tables: StudyTables) -> list[dict[str, str]]:
    """Encoders without a verified, finite result, with the reason."""
    encoders, labels = tables.encoders, encoder_labels(tables.encoders)
    judged = encoders["role"].isin(["undefended", "searched", "labels"])
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


def _number_cell(value: float, signed: bool = False, flag: str = "") -> Cell:
    """A figure to three decimals; a dash without one. `flag` is a CSS class of the cell."""
    if not math.isfinite(value):
        return Cell("–")
    prefix = "≥ " if flag == "bound" else ""
    return Cell(f"{prefix}{value:+.3f}" if signed else f"{prefix}{value:.3f}", float(value), flag)


def _percent(value: Any) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) else "–"


def _setting_cell(value: Any) -> Cell:
    if isinstance(value, str):
        return Cell(value or "–", value or None)
    return Cell(f"{value:.3g}", float(value)) if math.isfinite(value) else Cell("–")


def _amount_cell(value: float) -> Cell:
    """A count or cost, thousands abbreviated."""
    if not math.isfinite(value):
        return Cell("–")
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= size:
            return Cell(f"{value / (size if size > 1e4 else 1e3):.3g}{suffix}", float(value))
    return Cell(f"{value:,.0f}" if value == int(value) else f"{value:.3g}", float(value))


def _natural(label: str) -> str:
    """A key that sorts `#10` after `#2`."""
    return f"#{int(label[1:]):06d}" if label[1:].isdigit() and label[0] == "#" else label


def _symbol(name: str) -> str:
    for word, symbol in (("lambda", "λ"), ("mu", "μ")):
        if name.startswith(word) and name[len(word) :].isdigit():
            return symbol + name[len(word) :]
    return name.replace("_", " ")


def _varies(rows: pd.DataFrame, name: str) -> bool:
    return name in rows and rows[name].nunique(dropna=True) > 0


def _whole(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{value:.0f}"
