"""The report's tables of attacks and of their floors and ceilings."""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from analysis.cells import Cell, amount_cell, natural, number_cell, whole
from analysis.kinds import IN_LOOP_NAMES, attacker_name, is_white_box, left_out
from analysis.load import StudyTables
from analysis.records import encoder_labels

MAX_ATTACK_ROWS = 500
"""Attacks listed in the page; all of them are in attacks.parquet."""

MEASURES = {
    "face_similarity": "face similarity",
    "feature_similarity": "feature similarity",
    "rank1": "rank 1",
    "quiz_accuracy": "right of four faces",
    "ssim": "SSIM",
    "worst_decile": "worst decile",
    "worst_decile_people": "worst decile of people",
}
"""Scores of an attack on the test split, as the table calls them."""

ALWAYS = ("encoder", "attacker", "score", "leakage")
"""Columns that are there even without a value."""

USABLE_INFORMATION = "usable_information"
MAX_INFORMATION_COLUMNS = 3
"""Attributes up to which each has a column of its own; beyond, the largest stands for all."""

Column = tuple[str, Callable[[pd.Series], Cell]]


def attack_table(tables: StudyTables) -> dict[str, Any]:
    """Head and rows of the table of attacks that ended, at most MAX_ATTACK_ROWS of them.

    A column of what only some studies measure is there where it has a value.
    """
    labels = encoder_labels(tables.encoders)
    order = {encoder_id: place for place, encoder_id in enumerate(labels)}
    attacks = tables.attacks[tables.attacks["score/test"].notna()]
    attacks = attacks.assign(
        _place=attacks["encoder_id"].map(order), _label=attacks["encoder_id"].map(labels)
    )
    # What is outside the worst case comes after what decides it.
    attacks = attacks.assign(_white=is_white_box(attacks), _outside=~attacks["counts"])
    attacks = attacks.sort_values(["_place", "_outside", "_white", "attacker", "seed"])
    shown = attacks.head(MAX_ATTACK_ROWS)
    columns = [(heading, [cell(row) for _, row in shown.iterrows()])
               for heading, cell in _columns(shown)]  # fmt: skip
    columns = [(heading, cells) for heading, cells in columns
               if heading in ALWAYS or any(cell.value is not None for cell in cells)]  # fmt: skip
    classes = [_row_class(row) for _, row in shown.iterrows()]
    return {
        "head": [heading for heading, _ in columns],
        "rows": [
            {"class": of_row, "cells": list(cells)}
            for of_row, *cells in zip(classes, *(cells for _, cells in columns), strict=True)
        ],
        "num_left_out": max(0, len(attacks) - MAX_ATTACK_ROWS),
        "has_rungs": bool((shown["_outside"] & ~shown["_white"]).any()),
        "has_white_box": bool(shown["_white"].any()),
    }


def _columns(shown: pd.DataFrame) -> list[Column]:
    kinds = bool((shown["attack_kind"] != "").any())
    trained = "num_train" if shown["num_train"].notna().any() else "num_public"
    heading = "images trained on" if trained == "num_train" else "public images"
    return [
        ("encoder", lambda row: Cell(row["_label"], natural(row["_label"]))),
        ("attacker", _attacker),
        *([("kind", lambda row: Cell(row["attack_kind"] or "–", row["attack_kind"] or None))]
          if kinds else []),
        ("seed", lambda row: amount_cell(row["seed"])),
        ("score", lambda row: number_cell(row["score/test"])),
        ("leakage", _leakage),
        ("leakage (selection)", lambda row: number_cell(row["leakage/selection"])),
        ("steps", lambda row: amount_cell(row["steps"])),
        ("saturated", _saturated),
        (heading, lambda row: amount_cell(row[trained])),
        *_measures(shown),
    ]  # fmt: skip


def _attacker(row: pd.Series) -> Cell:
    mark = " (white box)" if row["_white"] else ""
    return Cell(attacker_name(row["attacker"]) + mark, row["attacker"])


def _leakage(row: pd.Series) -> Cell:
    # An in-loop adversary is not trained again: there is nothing to saturate. A rung's figure
    # bounds nothing that is claimed.
    spent = pd.isna(row["saturated"]) or not row["saturated"]
    bound = spent and row["counts"] and row["attacker"] not in IN_LOOP_NAMES
    return number_cell(row["leakage/test"], flag="bound" if bound else "")


def _saturated(row: pd.Series) -> Cell:
    if pd.isna(row["saturated"]) or row["attacker"] in IN_LOOP_NAMES:
        return Cell("–", 0.0)
    saturated = bool(row["saturated"])
    return Cell("yes" if saturated else "no", float(saturated))


def _row_class(row: pd.Series) -> str:
    return "white-box" if row["_white"] else "outside" if row["_outside"] else ""


def measure_names(attacks: pd.DataFrame, name: str) -> list[str]:
    """The columns that hold a score of the test split, under its name or as `test/NAME`."""
    return [
        column
        for column in (f"test/{name}", name)
        if column in attacks
        and pd.api.types.is_numeric_dtype(attacks[column])
        and attacks[column].notna().any()
    ]


def _measures(shown: pd.DataFrame) -> list[Column]:
    """Further scores that any of these attacks has."""
    columns: list[Column] = []
    # SSIM is the score itself where nobody judges faces.
    wanted = [
        name for name in MEASURES if name != "ssim" or measure_names(shown, "face_similarity")
    ]
    for name in wanted:
        found = measure_names(shown, name)
        if found:
            columns.append((MEASURES[name], _first_of(found)))
    return [*columns, *_information(shown)]


def _information(shown: pd.DataFrame) -> list[Column]:
    """Usable information in bits: an attribute each, or the largest of many."""
    prefix = f"{USABLE_INFORMATION}/"
    names = dict.fromkeys(
        column.removeprefix("test/").removeprefix(prefix)
        for column in shown.columns
        if column.removeprefix("test/").startswith(prefix)
    )
    found = {name: measure_names(shown, prefix + name) for name in names}
    found = {name: columns for name, columns in found.items() if columns}
    if len(found) == 1:
        return [("usable information, bits", _first_of(columns)) for columns in found.values()]
    if len(found) <= MAX_INFORMATION_COLUMNS:
        return [(f"bits on {name}", _first_of(columns)) for name, columns in found.items()]
    every = [column for columns in found.values() for column in columns]
    return [("most usable information, bits", lambda row: number_cell(row[every].max()))]


def _first_of(columns: list[str]) -> Callable[[pd.Series], Cell]:
    return lambda row: number_cell(
        next((row[name] for name in columns if pd.notna(row[name])), math.nan)
    )


def reference_table(tables: StudyTables) -> list[list[str]]:
    """Floor and ceiling of each attacker and seed, as used for the leakages.

    Without the rungs of the strength ladder, whose scale is that of their base.
    """
    columns = ["attacker", "seed", "floor", "ceiling"]
    attacks = tables.attacks
    white = set(attacks.loc[is_white_box(attacks), "attacker"])
    rows = attacks[~attacks["attacker"].isin(left_out(attacks, white_box=False))]
    rows = rows[columns].dropna(subset=["floor", "ceiling"]).drop_duplicates()
    return [
        [
            attacker_name(row["attacker"]) + (" (white box)" if row["attacker"] in white else ""),
            whole(row["seed"]),
            f"{row['floor']:.3f}",
            f"{row['ceiling']:.3f}",
        ]
        for _, row in rows.sort_values(columns).iterrows()
    ]
