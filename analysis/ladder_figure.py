"""Draws the strength ladder: one panel per axis, one line per encoder."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from analysis.drawing import FAINT, SOFT, STYLE, add_grid, of_split
from analysis.ladder import LadderLine, LadderPanel, LadderRecord
from analysis.marks import mark_style
from analysis.rungs import FRACTIONS, Rung, order

AXIS_LABELS = {
    "data": "data: images it trained on",
    "capacity": "capacity: width, or another architecture",
    "loss": "loss",
    "budget": "budget: training steps",
}
LOGARITHMIC = ("data", "budget")
DODGE = 0.07
"""Of a step, between encoders that stand at the same category."""

MAX_FITTED = 3
"""Lines of a panel up to which fitted trends are drawn."""

STYLES: tuple[Any, ...] = ("-", "--", ":", "-.")


def draw_ladder(record: LadderRecord, narrow: bool = False) -> Figure:
    """Leakage on the test split along data, capacity, loss and budget.

    Hollow marks are lower bounds; what stands beside a line (another architecture, another
    source's images) is not joined to it. `narrow` stacks the panels, for a phone.
    """
    columns = 1 if narrow else 2
    rows = max(1, -(-len(record.panels) // columns))
    size = (4.0, 2.75 * rows + 1.0) if narrow else (8.6, 3.0 * rows + 0.7)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        styles = _styles(record)
        top = 1.1 * max([0.2, *(rung.leakage for panel in record.panels for line in panel.lines
                                 for rung in line.rungs)])  # fmt: skip
        for axes in grid.flat[len(record.panels) :]:
            axes.set_axis_off()
        for index, (axes, panel) in enumerate(zip(grid.flat, record.panels, strict=False)):
            add_grid(axes)
            axes.set_ylim(-0.04 * top, top)
            axes.set_xlabel(AXIS_LABELS[panel.axis])
            axes.set_title(panel.kind, loc="left", fontsize=8.5, color=SOFT)
            if index % columns == 0:
                axes.set_ylabel(f"leakage\n{of_split('test', record.num_test)}")
            _draw_panel(axes, panel, styles, record.by_method)
        _draw_legend(figure, record, styles)
    return figure


def _styles(record: LadderRecord) -> dict[str, Any]:
    """A line style per encoder: those of one colour get different ones."""
    styles: dict[str, Any] = {}
    used: dict[str, int] = {}
    for line in _encoders(record):
        colour = mark_style(line, record.by_method)[0]
        styles[line.label] = STYLES[used.get(colour, 0) % len(STYLES)]
        used[colour] = used.get(colour, 0) + 1
    return styles


def _encoders(record: LadderRecord) -> list[LadderLine]:
    """One line of each encoder, in order."""
    lines = (line for panel in record.panels for line in panel.lines)
    return list({line.label: line for line in lines}.values())


def _draw_panel(axes: Axes, panel: LadderPanel, styles: dict[str, Any], by_method: bool) -> None:
    logarithmic = panel.axis in LOGARITHMIC
    steps = [] if logarithmic else _steps(panel.lines)
    for index, line in enumerate(panel.lines):
        colour, shape, size = mark_style(line, by_method)
        shift = 0.0 if logarithmic else DODGE * (index - (len(panel.lines) - 1) / 2)
        places = [
            rung.position if logarithmic else steps.index(_step(rung)) + shift
            for rung in line.rungs
        ]
        heights = [rung.leakage for rung in line.rungs]
        joined = [(x, y) for x, y, rung in zip(places, heights, line.rungs, strict=True)
                  if rung.joined]  # fmt: skip
        axes.plot(*zip(*joined, strict=True), color=colour, linestyle=styles[line.label],
                  linewidth=1.3, zorder=3)  # fmt: skip
        for x, y, rung in zip(places, heights, line.rungs, strict=True):
            axes.plot(
                x, y, linestyle="", marker=shape, markersize=0.8 * size, markeredgecolor=colour,
                markerfacecolor="white" if rung.bounded else colour, zorder=4,
                markeredgewidth=1.2,
            )  # fmt: skip
            if logarithmic and not rung.joined:
                axes.annotate("+ other source", (x, y), xytext=(0, -11), fontsize=7, color=SOFT,
                              textcoords="offset points", ha="right")  # fmt: skip
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=12))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _amount(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.08)
        if len(panel.lines) <= MAX_FITTED:
            _draw_trends(axes, panel, by_method)
        return
    axes.set_xticks(range(len(steps)), [_tick(name) for _, name in steps], fontsize=7.5)
    axes.set_xlim(-0.5, len(steps) - 0.5)
    numbers = sum(number for number, _ in steps)
    if panel.axis == "capacity" and 0 < numbers < len(steps):
        axes.axvline(numbers - 0.5, color=FAINT, linewidth=1.2)


def _draw_trends(axes: Axes, panel: LadderPanel, by_method: bool) -> None:
    """The fitted lines, over the public images they were fitted to."""
    for line in panel.lines:
        if line.trend is not None and line.trend.num_points > 2:
            places = [rung.position for rung in line.rungs if rung.joined]
            ends = (min(places), max(places))
            heights = [line.trend.intercept + line.trend.overall.value * math.log10(x)
                       for x in ends]  # fmt: skip
            axes.plot(ends, heights, color=mark_style(line, by_method)[0], linewidth=4, alpha=0.15,
                      zorder=2, solid_capstyle="round")  # fmt: skip


def _steps(lines: Sequence[LadderLine]) -> list[tuple[bool, str]]:
    """All steps of the lines, numbers first."""
    found = sorted((rung for line in lines for rung in line.rungs), key=order)
    return list(dict.fromkeys(_step(rung) for rung in found))


def _step(rung: Rung) -> tuple[bool, str]:
    """Whether a step is a multiplier, and what its tick says."""
    if rung.category:
        return (False, rung.category)
    return (True, f"×{FRACTIONS.get(rung.position, f'{rung.position:g}')}")


def _tick(name: str) -> str:
    """A name on several short lines."""
    return name.replace(" + ", "\n+ ").replace("_", "\n").replace("− ", "−\n")


def _amount(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def _draw_legend(figure: Figure, record: LadderRecord, styles: dict[str, Any]) -> None:
    handles = []
    for line in _encoders(record):
        colour, shape, size = mark_style(line, record.by_method)
        handles.append(
            Line2D([], [], color=colour, linestyle=styles[line.label], linewidth=1.3, marker=shape,
                   markersize=0.8 * size, label=line.label)
        )  # fmt: skip
    rungs = [rung for panel in record.panels for line in panel.lines for rung in line.rungs]
    if any(rung.bounded for rung in rungs):
        handles.append(
            Line2D([], [], linestyle="", marker="o", markerfacecolor="white", markeredgecolor=SOFT,
                   label="hollow: a lower bound")
        )  # fmt: skip
    if handles:
        columns = min(len(handles), 4 if figure.get_figwidth() > 5 else 2)
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8)
