"""Draws the codes as t-SNE lays them out: a row per encoder, a panel per attribute."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.codes import Attribute, CodesRow
from analysis.drawing import SOFT, STYLE

HAS_IT: Mapping[str, Any] = {"marker": "^", "color": "#D55E00", "markerfacecolor": "#D55E00"}
HAS_NOT: Mapping[str, Any] = {"marker": "o", "color": "#0072B2", "markerfacecolor": "none"}
MARK_SIZE, LEGEND_SIZE = 2.6, 5.0
PANEL, NARROW_WIDTH = 1.85, 4.0
"""Inches: side of a panel, and width of a phone's figure."""
HEADING = 0.62
"""Inches above and below the panels of an encoder."""


def draw_codes(rows: Sequence[CodesRow], narrow: bool = False) -> Figure:
    """The same attributes from left to right in every row; `narrow` has two panels side by side.

    Marks are drawn as pixels even where the rest is not: thousands of shapes would make a page
    slow.
    """
    num = max((len(row.attributes) for row in rows), default=1)
    columns = min(2, num) if narrow else num
    lines = -(-num // columns)
    width = NARROW_WIDTH if narrow else PANEL * max(num, 3)
    height = len(rows) * (lines * (PANEL + 0.25) + HEADING - 0.25) + 0.3
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        handles = [
            Line2D([], [], linestyle="", markersize=LEGEND_SIZE, label=label, **style)
            for label, style in (("has the attribute", HAS_IT), ("has it not", HAS_NOT))
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=2, fontsize=8)
        parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
        for part, row in zip(parts, rows, strict=True):
            part.suptitle(_heading(row, narrow), x=0.01, ha="left", fontsize=8.5)
            grid = part.subplots(lines, columns, squeeze=False)
            for axes in grid.flat[len(row.attributes) :]:
                axes.set_axis_off()
            for axes, attribute in zip(grid.flat, row.attributes, strict=False):
                _draw_panel(axes, row, attribute)
    return figure


def _heading(row: CodesRow, narrow: bool) -> str:
    kept = (
        f"{row.num_values:,} values, of whose variance {row.num_components} components keep "
        f"{row.share:.0%}"
    )
    about = f"{row.label}: {row.caption}" if row.caption else row.label
    if narrow:
        about = about.replace(", worst", ",\nworst")
    return f"{about}\n{kept}"


def _draw_panel(axes: Axes, row: CodesRow, attribute: Attribute) -> None:
    present = attribute.present
    axes.set_title(f"{attribute.name}, {attribute.use}", fontsize=8, loc="left", color=SOFT)
    axes.set_xticks([])
    axes.set_yticks([])
    counted = f"{present.sum():,} of n = {len(present):,} have it"
    axes.set_xlabel(f"t-SNE 1, no unit\n{counted}", fontsize=6.5)
    axes.set_ylabel("t-SNE 2, no unit", fontsize=6.5)
    if row.places is None:
        axes.text(
            0.5, 0.5, "every image\nhas the same code", transform=axes.transAxes, ha="center",
            va="center", fontsize=8,
        )  # fmt: skip
        return
    for own, style in ((~present, HAS_NOT), (present, HAS_IT)):
        axes.plot(
            *row.places[own].T, linestyle="", markersize=MARK_SIZE, markeredgewidth=0.6, alpha=0.8,
            rasterized=True, **style,
        )  # fmt: skip
