"""Draws a paper's table beside ours: its figures, every seed, their means with intervals."""

import math
from collections.abc import Sequence
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.contrasts import Values, interval, read_cell
from analysis.drawing import INK, LINES, STYLE, add_grid
from analysis.paper_tables import PaperTable
from analysis.rows import ExperimentRows

OURS, PAPER = LINES[0][0], LINES[1][0]
PAGE, PANEL, LABELS, ROW, FRAME = 10.9, 2.0, 2.5, 0.27, 1.1
"""Inches: a whole page's width, a panel's at most, the labels', a row's height, above and below."""


def draw_table(rows: ExperimentRows, table: PaperTable) -> Figure:
    """A panel for each of the table's columns, a line for each of its rows, the first on top."""
    count = len(table.columns)
    size = (min(PAGE, LABELS + PANEL * count), FRAME + ROW * len(table.rows))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(1, count, sharey=True, squeeze=False)[0]
        for place, (axes, name) in enumerate(zip(grid, table.columns, strict=True)):
            entries = [entries[place] for _, entries in table.rows]
            values = [read_cell(rows, entry.cell) for entry in entries]
            _draw_panel(axes, values, [entry.paper for entry in entries])
            axes.set_title(name, fontsize=9, color=INK)
        grid[0].set_yticks(range(len(table.rows)), [label for label, _ in table.rows])
        grid[0].set_ylim(len(table.rows) - 0.5, -0.5)
        grid[0].tick_params(axis="y", colors=INK, length=0)
        figure.legend(handles=_legend(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _draw_panel(axes: Axes, values: Sequence[Values], papers: Sequence[float | None]) -> None:
    add_grid(axes)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(axis="y", length=0)
    low, high = _limits(values, papers)
    axes.set_xlim(low, high)
    for line, (own, paper) in enumerate(zip(values, papers, strict=True)):
        if paper is not None:
            axes.plot(paper, line, "D", color=PAPER, markerfacecolor="white", markersize=6)
        found = interval(list(own.by_seed.values()))
        if not found.count:
            continue
        if found.count > 1:
            axes.plot([found.low, found.high], [line, line], color=OURS, linewidth=1.4)
        axes.plot(
            list(own.by_seed.values()), [line] * found.count, "|", color=OURS, markersize=7,
            alpha=0.6,
        )  # fmt: skip
        face = "white" if own.bounds else OURS
        axes.plot(found.mean, line, "o", color=OURS, markerfacecolor=face, markersize=5)


def _limits(values: Sequence[Values], papers: Sequence[float | None]) -> tuple[float, float]:
    """Around every seed and every figure of the paper; intervals may leave the panel."""
    shown = [value for own in values for value in own.by_seed.values()]
    shown += [paper for paper in papers if paper is not None]
    if not shown:
        return 0.0, 1.0
    low, high = min(shown), max(shown)
    pad = 0.1 * (high - low) or 0.1 * math.fabs(high) or 0.1
    return low - pad, high + pad


def _legend() -> list[Line2D]:
    marks: tuple[tuple[str, str, Literal["", "-"], str, str], ...] = (
        ("the paper", "D", "", PAPER, "white"),
        ("ours: mean and 95% interval", "o", "-", OURS, OURS),
        ("a seed", "|", "", OURS, OURS),
        ("a lower bound", "o", "", OURS, "white"),
    )
    return [
        Line2D([], [], label=label, marker=mark, linestyle=line, color=colour,
               markerfacecolor=face, markersize=5)
        for label, mark, line, colour, face in marks
    ]  # fmt: skip
