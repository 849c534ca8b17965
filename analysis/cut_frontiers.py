"""A frontier for each cut point, beside that of all encoders: what cutting later or earlier buys.

Utility and leakage depend on the cut, and so does what the client must compute and send. Whoever
has decided where to cut looks at that cut's frontier alone.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Cell, amount_cell, has_values, number_cell
from analysis.drawing import CUT_STYLES
from analysis.frontier_panels import FrontierPanel, draw_panels, frontier_panel
from analysis.records import encoder_labels, staircase
from analysis.report_tables import COST_COLUMNS
from analysis.tables import LEAKAGE, UTILITY, frontier, measured


def cut_frontiers(encoders: pd.DataFrame) -> tuple[FrontierPanel, ...]:
    """One panel per cut point, by depth; empty where fewer than two were measured."""
    rows = encoders[measured(encoders) & (encoders["cut_point"] != "")]
    found = set(rows["cut_point"])
    cuts = [cut for cut in CUT_STYLES if cut in found]
    cuts += sorted(found - set(cuts))
    if len(cuts) < 2:
        return ()
    labels = encoder_labels(encoders)
    return tuple(
        frontier_panel(cut, rows[rows["cut_point"] == cut], LEAKAGE, labels) for cut in cuts
    )


def draw_cut_frontiers(
    panels: tuple[FrontierPanel, ...],
    encoders: pd.DataFrame,
    by_method: bool,
    num_test: int | None = None,
    narrow: bool = False,
) -> Figure:
    """A panel per cut point, each with the frontier of all encoders in grey.

    Args:
        panels: The cut points' frontiers.
        encoders: All encoders of the study.
        by_method: Whether colours tell methods apart.
        num_test: Images of the test split; None if not known.
        narrow: Whether it is for a phone.
    """
    corners, provisional = staircase(encoders)
    everywhere = {(float(row[UTILITY]), float(row[LEAKAGE])) for _, row in corners.iterrows()}
    known = everywhere and not provisional
    behind = ("frontier of all encoders", tuple(sorted(everywhere))) if known else None
    titles = [(f"cut at {panel.name}", "worst leakage") for panel in panels]
    return draw_panels(panels, titles, by_method, num_test, narrow, behind)


def cut_table(panels: tuple[FrontierPanel, ...], encoders: pd.DataFrame) -> dict[str, Any]:
    """Head and rows: per cut its frontier, leakage, utility and costs."""
    best = set(frontier(encoders)["encoder_id"])
    costs = {name: text for name, text in COST_COLUMNS.items() if has_values(encoders, name)}
    head = [
        "cut point", "encoders", "on its frontier", "on that of all", "hypervolume",
        "best utility", "least leakage", "median leakage", *costs.values(),
    ]  # fmt: skip
    rows = []
    for panel in panels:
        leakages = np.array([point.leakage for point in panel.points])
        own = encoders[encoders["encoder_id"].isin([point.encoder_id for point in panel.points])]
        known = [point.leakage for point in panel.points if point.saturated]
        cells = [
            Cell(panel.name, panel.name),
            amount_cell(len(panel.points)),
            amount_cell(sum(point.on_frontier for point in panel.points)),
            amount_cell(sum(point.encoder_id in best for point in panel.points)),
            number_cell(panel.area) if known else Cell("–"),
            number_cell(max(point.utility for point in panel.points)),
            number_cell(min(known)) if known else Cell("–"),
            number_cell(float(np.median(leakages)), flag="" if len(known) == len(leakages)
                        else "bound"),
            *(amount_cell(float(own[name].median())) for name in costs),
        ]  # fmt: skip
        rows.append({"class": "", "cells": cells})
    return {"head": head if rows else [], "rows": rows}
