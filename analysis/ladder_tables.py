"""What the report says of the strength ladder: weakest and strongest steps, and more data."""

from typing import Any

from analysis.cells import Cell, natural, number_cell
from analysis.ladder import LadderLine, LadderRecord
from analysis.rungs import Rung
from analysis.trends import Slope, Trend

ATTACKERS = {"reconstruction": "decoder", "attribute": "attribute attacker"}
"""Who climbs, per kind of leakage."""


def ladder_table(record: LadderRecord) -> dict[str, Any]:
    """Head and rows: per encoder and axis the weakest and the strongest step."""
    head = ["encoder", "leakage of", "axis", "weakest step", "its leakage", "strongest step",
            "its leakage", "difference"]  # fmt: skip
    rows = []
    for panel in record.panels:
        for line in panel.lines:
            weakest, strongest = line.weakest, line.strongest
            rows.append(
                {
                    "class": "",
                    "cells": [
                        Cell(line.label, natural(line.label)),
                        Cell(panel.kind, panel.kind),
                        Cell(panel.axis, panel.axis),
                        Cell(weakest.name, weakest.name),
                        _leakage_cell(weakest),
                        Cell(strongest.name, strongest.name),
                        _leakage_cell(strongest),
                        number_cell(strongest.leakage - weakest.leakage, signed=True),
                    ],
                }
            )
    return {"head": head, "rows": rows}


def _leakage_cell(rung: Rung) -> Cell:
    return number_cell(rung.leakage, flag="bound" if rung.bounded else "")


def _with_interval(slope: Slope) -> str:
    """The slope ± half of its interval."""
    if slope.interval is None:
        return f"{slope.value:+.3f}"
    return f"{slope.value:+.3f} ± {(slope.interval[1] - slope.interval[0]) / 2:.3f}"


def data_sentences(record: LadderRecord) -> list[str]:
    """Whether more data still helps, encoder by encoder; the rule is `Trend.verdict`'s."""
    return [
        _data_sentence(panel.kind, line, line.trend)
        for panel in record.panels
        for line in panel.lines
        if line.trend is not None
    ]


def _data_sentence(kind: str, line: LadderLine, trend: Trend) -> str:
    who = f"the {ATTACKERS[kind]} on {line.label}"
    below, above = (f"{images:,.0f}" for images in trend.last_images)
    rise = f"{_with_interval(trend.overall)} leakage per tenfold of images"
    last = f"from {below} to {above} images {_with_interval(trend.last)}"
    text = {
        "yes": f"More data still helps {who}: {rise} over the whole range, {last}.",
        "no longer clearly": f"More data helped {who}: {rise} over the whole range; but {last}, "
        "which is not clear of the scatter.",
        "no clear effect": f"More data has no clear effect for {who}: {rise} "
        f"({trend.num_points} points).",
        "too few points": f"Whether more data still helps {who} cannot be told from "
        f"{trend.num_points} points ({rise}).",
    }[trend.verdict]
    bounds = sum(rung.bounded for rung in line.rungs if rung.joined)
    if bounds:
        text += f" {bounds} of its steps {'is a' if bounds == 1 else 'are'} lower " + (
            "bound." if bounds == 1 else "bounds."
        )
    return text
