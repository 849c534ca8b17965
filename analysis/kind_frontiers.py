"""A frontier for each kind of leakage, and the one of all kinds at once.

Worst leakage is the worst of all kinds. An encoder may hide the image well and the attribute not at
all: whoever fears one kind alone looks at its frontier; whoever fears several but trades them off
himself looks at the frontier of utility and all of them together.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Cell, amount_cell, number_cell
from analysis.frontier_panels import FrontierPanel, draw_panels, frontier_panel
from analysis.kinds import KIND_NAMES, KINDS
from analysis.pareto import hypervolume, non_dominated
from analysis.records import encoder_labels
from analysis.tables import UTILITY, is_saturated, measured


@dataclass(frozen=True)
class KindFrontiers:
    """The frontiers of a study's kinds of leakage.

    Attributes:
        panels: One per kind that was measured, named after it, where there are two or more.
        joint: Encoders that no other beats in utility and in every kind at once, by identity.
        volume: Hypervolume of these, in as many dimensions.
    """

    panels: tuple[FrontierPanel, ...]
    joint: tuple[str, ...]
    volume: float


def kind_frontiers(encoders: pd.DataFrame) -> KindFrontiers:
    """Collects them; empty where there are fewer than two kinds."""
    rows = encoders[measured(encoders)]
    names = {kind: f"leakage/worst_{kind}" for kind in KINDS}
    kinds = [
        kind for kind, name in names.items() if len(rows) and rows[name].map(math.isfinite).all()
    ]
    if len(kinds) < 2:
        return KindFrontiers((), (), 0.0)
    saturated, labels = is_saturated(rows), encoder_labels(encoders)
    every = rows[[names[kind] for kind in kinds]].to_numpy(float)
    together = non_dominated(rows[UTILITY], every, saturated)
    return KindFrontiers(
        tuple(frontier_panel(kind, rows, names[kind], labels) for kind in kinds),
        tuple(str(name) for name in rows.loc[together, "encoder_id"]),
        hypervolume(rows[UTILITY], every, saturated),
    )


def draw_kind_frontiers(
    found: KindFrontiers, by_method: bool, num_test: int | None = None, narrow: bool = False
) -> Figure:
    """A panel per kind, side by side, or one below the other for a phone.

    Args:
        found: The frontiers.
        by_method: Whether colours tell methods apart.
        num_test: Images of the test split; None if not known.
        narrow: Whether it is for a phone.
    """
    titles = [(KIND_NAMES[panel.name], f"worst {panel.name} leakage") for panel in found.panels]
    return draw_panels(found.panels, titles, by_method, num_test, narrow)


def kind_table(found: KindFrontiers) -> dict[str, Any]:
    """Head and rows: per kind how many encoders are on its frontier and the area."""
    head = ["leakage of", "encoders on its frontier", "hypervolume", "least", "median", "most"]
    rows = []
    for panel in found.panels:
        leakages = np.array([point.leakage for point in panel.points])
        spread = (leakages.min(), np.median(leakages), leakages.max())
        cells = [
            Cell(KIND_NAMES[panel.name], panel.name),
            amount_cell(sum(point.on_frontier for point in panel.points)),
            number_cell(panel.area),
            *(number_cell(float(value)) for value in spread),
        ]
        rows.append({"class": "", "cells": cells})
    if found.panels:
        cells = [
            Cell("all of these at once", "~"), amount_cell(len(found.joint)),
            number_cell(found.volume), *[Cell("–")] * 3,
        ]  # fmt: skip
        rows.append({"class": "", "cells": cells})
    return {"head": head, "rows": rows}
