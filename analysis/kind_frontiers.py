"""A frontier for each kind of leakage, and the one of all kinds at once.

Worst leakage is the worst of all kinds. An encoder may hide the image well and the attribute not at
all: whoever fears one kind alone looks at its frontier; whoever fears several but trades them off
himself looks at the frontier of utility and all of them together.
"""

import math
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Cell, amount_cell, number_cell
from analysis.drawing import INK, STYLE, add_grid, of_split
from analysis.frontier_figure import steps
from analysis.kinds import KIND_NAMES, KINDS
from analysis.marks import draw_legend, draw_mark
from analysis.pareto import hypervolume, non_dominated
from analysis.records import EncoderPoint, encoder_labels
from analysis.tables import UTILITY, is_saturated, measured


@dataclass(frozen=True)
class KindPanel:
    """The encoders by utility and one kind of leakage, both of the test split.

    Attributes:
        kind: The kind.
        points: The encoders; their `leakage` is that of this kind.
        area: Hypervolume of the kind's own frontier.
    """

    kind: str
    points: tuple[EncoderPoint, ...]
    area: float

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Of its staircase (utility, leakage), by rising utility."""
        return tuple(sorted({(p.utility, p.leakage) for p in self.points if p.on_frontier}))


@dataclass(frozen=True)
class KindFrontiers:
    """The frontiers of a study's kinds of leakage.

    Attributes:
        panels: One per kind that was measured, where there are two or more.
        joint: Encoders that no other beats in utility and in every kind at once, by identity.
        volume: Hypervolume of these, in as many dimensions.
    """

    panels: tuple[KindPanel, ...]
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
    saturated = is_saturated(rows)
    every = rows[[names[kind] for kind in kinds]].to_numpy(float)
    together = non_dominated(rows[UTILITY], every, saturated)
    return KindFrontiers(
        tuple(_panel(encoders, rows, kind, names[kind]) for kind in kinds),
        tuple(str(name) for name in rows.loc[together, "encoder_id"]),
        hypervolume(rows[UTILITY], every, saturated),
    )


def _panel(encoders: pd.DataFrame, rows: pd.DataFrame, kind: str, name: str) -> KindPanel:
    labels = encoder_labels(encoders)
    saturated = is_saturated(rows)
    on = non_dominated(rows[UTILITY], rows[name], saturated)
    points = tuple(
        EncoderPoint(
            label=labels[row["encoder_id"]], role=row["role"], cut_point=row["cut_point"],
            utility=float(row[UTILITY]), leakage=float(row[name]),
            saturated=bool(row["saturated"] == 1), on_frontier=bool(marked),
            method=row["protector"], encoder_id=row["encoder_id"],
        )
        for (_, row), marked in zip(rows.iterrows(), on, strict=True)
    )  # fmt: skip
    return KindPanel(kind, points, hypervolume(rows[UTILITY], rows[name], saturated))


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
    number = len(found.panels)
    columns = 1 if narrow else min(number, 2)
    rows = -(-number // columns)
    size = (4.0, 3.4 * rows + 0.7) if narrow else (9.4, 3.9 * rows + 0.6)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        test = of_split("test", num_test)
        for axes in grid.flat[number:]:
            axes.set_axis_off()
        for axes, panel in zip(grid.flat, found.panels, strict=False):
            add_grid(axes)
            utilities = [point.utility for point in panel.points]
            pad = max(0.06 * (max(utilities) - min(utilities)), 0.01)
            left, top = min(utilities) - pad, 1.04
            axes.set_xlim(left, max(utilities) + pad)
            axes.set_ylim(-0.04, top)
            if panel.corners:
                xs, ys = zip(*steps(panel.corners, left, top), strict=True)
                axes.plot(xs, ys, color=INK, linewidth=1.1, zorder=2)
            for point in panel.points:
                draw_mark(axes, point, (point.utility, point.leakage), by_method)
            axes.set_title(KIND_NAMES[panel.kind], loc="left", fontsize=9)
            axes.set_xlabel(f"utility: mean MCC {test} →  better")
            axes.set_ylabel(f"better  ←  worst {panel.kind} leakage\n{test}")
        draw_legend(figure, [p for panel in found.panels for p in panel.points], by_method)
    return figure


def kind_table(found: KindFrontiers) -> dict[str, Any]:
    """Head and rows: per kind how many encoders are on its frontier and the area."""
    head = ["leakage of", "encoders on its frontier", "hypervolume", "least", "median", "most"]
    rows = []
    for panel in found.panels:
        leakages = np.array([point.leakage for point in panel.points])
        spread = (leakages.min(), np.median(leakages), leakages.max())
        cells = [
            Cell(KIND_NAMES[panel.kind], panel.kind),
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
