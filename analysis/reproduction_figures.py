"""Draws a paper's table beside ours: its figures, every seed, their means with intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.contrasts import SeedMean, interval_of, read_cell
from analysis.drawing import INK, LINES, STYLE, add_grid
from analysis.paper_tables import Entry, PaperTable
from analysis.rows import ExperimentRows

OURS, PAPER = LINES[0][0], LINES[1][0]
PAGE, PANEL, LABELS, ROW, FRAME = 10.9, 2.0, 2.5, 0.27, 1.1
"""Inches: a whole page's width, a panel's at most, the labels', a row's height, above and below."""


@dataclass(frozen=True)
class _Line:
    """What one line of a panel shows: the paper's figure and ours."""

    paper: float | None
    seeds: Sequence[float]
    found: SeedMean
    bound: bool


def draw_table(rows: ExperimentRows, table: PaperTable) -> Figure:
    """A panel for each of the table's columns, a line for each of its rows, the first on top."""
    count = len(table.columns)
    size = (min(PAGE, LABELS + PANEL * count), FRAME + ROW * len(table.rows))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(1, count, sharey=True, squeeze=False)[0]
        for place, (axes, name) in enumerate(zip(grid, table.columns, strict=True)):
            _draw_panel(axes, [_line(rows, entries[place]) for _, entries in table.rows])
            axes.set_title(name, fontsize=9, color=INK)
        grid[0].set_yticks(range(len(table.rows)), [label for label, _ in table.rows])
        grid[0].set_ylim(len(table.rows) - 0.5, -0.5)
        grid[0].tick_params(axis="y", colors=INK, length=0)
        figure.legend(handles=_legend(), loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _line(rows: ExperimentRows, entry: Entry) -> _Line:
    values = read_cell(rows, entry.cell)
    seeds = list(values.by_seed.values())
    return _Line(entry.paper, seeds, interval_of([entry.cell], seeds), bool(values.bounds))


def _draw_panel(axes: Axes, lines: Sequence[_Line]) -> None:
    add_grid(axes)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(*_limits(lines))
    for place, line in enumerate(lines):
        if line.paper is not None:
            axes.plot(line.paper, place, "D", color=PAPER, markerfacecolor="white", markersize=6)
        found = line.found
        if not found.count:
            continue
        if found.count > 1:
            axes.plot([found.low, found.high], [place, place], color=OURS, linewidth=1.4)
        axes.plot(line.seeds, [place] * found.count, "|", color=OURS, markersize=7, alpha=0.6)
        face = "white" if line.bound else OURS
        axes.plot(found.mean, place, "o", color=OURS, markerfacecolor=face, markersize=5)


def _limits(lines: Sequence[_Line]) -> tuple[float, float]:
    """Around every seed and every figure of the paper; intervals may leave the panel."""
    shown = [value for line in lines for value in line.seeds]
    shown += [line.paper for line in lines if line.paper is not None]
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
