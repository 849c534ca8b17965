"""The report's tables of methods side by side, and of encoders that collapsed or are dominated."""

from typing import Any

from analysis.cells import Cell, amount_cell, number_cell
from analysis.kinds import KINDS, attacker_name
from analysis.load import StudyTables
from analysis.methods import MethodSummary, compares_methods, method_summaries
from analysis.records import encoder_labels
from analysis.report_tables import (
    Column,
    collapse_columns,
    has_any,
    name_columns,
    setting_columns,
)
from analysis.tables import JUDGED_ROLES, UTILITY

IN_LOOP_SCORES = {
    "in_loop/decoder": "in-loop decoder, SSIM",
    "in_loop/attribute": "in-loop classifier, balanced accuracy",
}


def method_table(tables: StudyTables) -> dict[str, Any]:
    """Head and rows of the table with one row per method; no rows where there is one method."""
    encoders = tables.encoders
    if not compares_methods(encoders):
        return {"head": [], "rows": []}
    summaries, labels = method_summaries(encoders), encoder_labels(encoders)
    leaked = [kind for kind in KINDS if any(kind in s.median_leakage for s in summaries)]
    gaps = [kind for kind in KINDS if any(kind in s.median_gap for s in summaries)]
    dominated = any(one.num_dominated for one in summaries)
    head = [
        "method", "encoders", "verified", *(["dominated"] if dominated else []), "collapsed",
        "failed", "on the frontier", "own hypervolume", "best trade", "leakage drop",
        "utility loss", "most often worst",
        *(f"median {kind} leakage" for kind in leaked), *(f"median {kind} gap" for kind in gaps),
    ]  # fmt: skip
    rows = []
    for one in summaries:
        counts = [one.num_encoders, one.num_verified, one.num_collapsed, one.num_failed]
        if dominated:
            counts.insert(2, one.num_dominated)
        rows.append(
            {
                "class": "",
                "cells": [
                    Cell(one.method, one.method),
                    *map(amount_cell, counts),
                    amount_cell(one.num_on_frontier),
                    _optional(one.hypervolume),
                    *_trade_cells(one, labels),
                    _weakness_cell(one),
                    *(_optional(one.median_leakage.get(kind), bound=one.num_lower_bounds > 0)
                      for kind in leaked),
                    *(_optional(one.median_gap.get(kind), signed=True) for kind in gaps),
                ],
            }
        )  # fmt: skip
    return {"head": head, "rows": rows}


def collapsed_table(tables: StudyTables) -> dict[str, Any]:
    """Head and rows of the table of encoders that finished, but with a collapsed code."""
    encoders = tables.encoders
    shown = encoders[(encoders["status"] == "collapsed") & encoders["role"].isin(JUDGED_ROLES)]
    scores = {name: text for name, text in IN_LOOP_SCORES.items() if has_any(shown, name)}
    columns: list[Column] = [
        *name_columns(encoders),
        *collapse_columns(shown),
        ("mean MCC", lambda row: number_cell(row[UTILITY])),
        *((text, lambda row, name=name: number_cell(row[name])) for name, text in scores.items()),
        *setting_columns(shown),
        ("reason", lambda row: Cell(row["reason"] or row["stopped"] or "–", row["reason"], "wrap")),
    ]
    rows = [
        {"class": "", "cells": [cell(row) for _, cell in columns]} for _, row in shown.iterrows()
    ]
    return {"head": [heading for heading, _ in columns], "rows": rows}


def dominated_table(tables: StudyTables) -> dict[str, Any]:
    """Head and rows of the table of encoders that early stopping spared further attackers."""
    encoders = tables.encoders
    shown = encoders[(encoders["status"] == "dominated") & encoders["role"].isin(JUDGED_ROLES)]
    columns: list[Column] = [
        *name_columns(encoders),
        ("mean MCC", lambda row: number_cell(row[UTILITY])),
        ("leakage so far", lambda row: number_cell(row["leakage/at_least"], flag="bound")),
        ("trials spared", lambda row: amount_cell(row["num_spared"])),
        *setting_columns(shown),
        ("reason", lambda row: Cell(row["reason"] or "–", row["reason"], "wrap")),
    ]
    rows = [
        {"class": "", "cells": [cell(row) for _, cell in columns]} for _, row in shown.iterrows()
    ]
    return {"head": [heading for heading, _ in columns], "rows": rows}


def _trade_cells(one: MethodSummary, labels: dict[str, str]) -> list[Cell]:
    """Which encoder, how much less it leaks and what that costs, on the test split."""
    trade = one.best_trade
    if trade is None:
        return [Cell("–")] * 3
    label = labels[trade["encoder_id"]]
    return [Cell(label, label), number_cell(trade["leakage_drop"]),
            number_cell(trade["utility_loss"])]  # fmt: skip


def _weakness_cell(one: MethodSummary) -> Cell:
    if not one.worst_attackers:
        return Cell("–")
    name, count = next(iter(one.worst_attackers.items()))
    return Cell(f"{attacker_name(name)} ({count} of {one.num_verified})", name)


def _optional(value: float | None, signed: bool = False, bound: bool = False) -> Cell:
    """A figure or a dash; marked as a bound where lower bounds are among what it sums up."""
    if value is None:
        return Cell("–")
    return number_cell(value, signed=signed, flag="bound" if bound else "")
