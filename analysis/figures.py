"""Draws the records: in-loop against verified leakage, saturation curves, reconstruction grids.

Matplotlib's objects are used directly, without pyplot, which would keep every figure alive and
pick a window system. Colours are Okabe and Ito's; `analysis.frontier_figure` draws the frontier.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.drawing import (
    LINES,
    SOFT,
    STYLE,
    add_grid,
    of_split,
    read_image,
    render,
    save_figure,
)
from analysis.gaps import GapPanel, GapRecord
from analysis.kinds import ADVERSARIES, IN_LOOP, KIND_NAMES
from analysis.labels import Name, place_names
from analysis.marks import draw_legend, draw_marks
from analysis.records import SaturationPanel

__all__ = ["draw_gap", "draw_saturation", "reconstruction_grid", "render", "save_figure"]

MAX_LABELLED = 16
"""Encoders of a panel up to which they are named."""


def draw_gap(record: GapRecord, narrow: bool = False) -> Figure:
    """In-loop leakage on x, verified leakage of the same kind on y, a panel for each kind.

    Above the diagonal the loop looked better. `narrow` stacks the panels, for a phone.
    """
    num = max(1, len(record.panels))
    rows, columns = (num, 1) if narrow else (1, num)
    size = (4.0, 3.9 * num + 0.5) if narrow else ((5.6, 4.7) if num == 1 else (9.4, 5.0))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        points = [point for panel in record.panels for point in panel.points]
        values = [value for point in points for value in (point.in_loop, point.verified)]
        top = min(1.05, max([*values, 0.2]) * 1.12)
        test = of_split("test", record.num_test)
        for axes in grid.flat:
            _frame_gap(axes, top)
        for axes, panel in zip(grid.flat, record.panels, strict=False):
            _draw_gap_panel(axes, panel, record.by_method)
            axes.set_xlabel(f"leakage to the {ADVERSARIES[IN_LOOP[panel.kind]]}\n{test}")
            axes.set_ylabel(f"worst {KIND_NAMES[panel.kind]} leakage\nafter saturation {test}")
        draw_legend(figure, points, record.by_method)
        for axes, panel in zip(grid.flat, record.panels, strict=False):
            _name_points(figure, axes, panel)
    return figure


def _frame_gap(axes: Axes, top: float) -> None:
    add_grid(axes)
    axes.plot([0, top], [0, top], color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    axes.fill_between([0, top], [0, top], top, color="#D55E00", alpha=0.05, linewidth=0)
    axes.set_title(
        "above the line: more leaked than the loop showed", loc="left", fontsize=8, color=SOFT
    )
    margin = 0.04 * top
    axes.set_xlim(-margin, top)
    axes.set_ylim(-margin, top)
    axes.set_aspect("equal")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _draw_gap_panel(axes: Axes, panel: GapPanel, by_method: bool) -> None:
    draw_marks(axes, [(one, (one.in_loop, one.verified)) for one in panel.points], by_method)


def _name_points(figure: Figure, axes: Axes, panel: GapPanel) -> None:
    marks = [(point.in_loop, point.verified) for point in panel.points]
    if len(marks) <= MAX_LABELLED:
        names = [
            Name(point.label, mark, SOFT, needed=False)
            for point, mark in zip(panel.points, marks, strict=True)
        ]
        place_names(figure, axes, names, marks)


def draw_saturation(
    panels: Sequence[SaturationPanel],
    num_selection: int | None = None,
    columns: int = 3,
    panel_size: tuple[float, float] = (2.6, 2),
) -> Figure:
    """One small plot per encoder: each attacker's leakage on the selection split by step.

    A tick marks the drop of the learning rate; a filled end is saturation, a hollow end the budget.
    """
    with matplotlib.rc_context(STYLE):
        columns = max(1, min(columns, len(panels)))
        rows = -(-len(panels) // columns) if panels else 1
        figure = Figure(
            figsize=(columns * panel_size[0] + 0.4, rows * panel_size[1] + 0.8),
            layout="constrained",
        )
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        names = sorted({curve.attacker for panel in panels for curve in panel.curves})
        styles = {name: LINES[index % len(LINES)] for index, name in enumerate(names)}
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for axes, panel in zip(grid.flat, panels, strict=False):
            _draw_panel(axes, panel, styles)
        figure.supxlabel("training steps of the attacker", fontsize=9)
        figure.supylabel(f"leakage {of_split('selection', num_selection)}", fontsize=9)
        handles = [
            Line2D([], [], color=styles[name][0], linestyle=styles[name][1], label=name)
            for name in names
        ]
        if handles:
            entry = 0.55 + 0.075 * max(len(name) for name in names)  # inches, at this font size
            fit = max(1, min(len(handles), int(figure.get_figwidth() / entry)))
            figure.legend(handles=handles, loc="outside upper center", ncols=fit, fontsize=8)
    return figure


def reconstruction_grid(rows: list[tuple[str, Path]], scale: int = 2) -> Figure:
    """Stacks strips of images, the label of each at its left.

    Args:
        rows: (label, PNG file) from top to bottom; the originals first, then one per attacker. All
            strips hold the same images in the same order.
        scale: Screen pixels per image pixel.

    Returns:
        The figure, sized to its strips.

    Raises:
        ValueError: There is no row, or a file is no readable image.
    """
    if not rows:
        raise ValueError("rows: a reconstruction grid needs at least one strip, got none")
    strips = [(label, read_image(path)) for label, path in rows]
    dots = 100
    heights = [strip.shape[0] * scale / dots for _, strip in strips]
    strip_width = max(strip.shape[1] for _, strip in strips) * scale / dots
    label_width = 0.15 + 0.075 * max(len(label) for label, _ in strips)
    gap = 0.06
    height = sum(heights) + gap * (len(strips) + 1)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(label_width + strip_width + gap, height), dpi=dots)
        width, top = figure.get_figwidth(), height - gap
        for (label, strip), own in zip(strips, heights, strict=True):
            own_width = strip.shape[1] * scale / dots
            axes = figure.add_axes(
                (label_width / width, (top - own) / height, own_width / width, own / height)
            )
            axes.imshow(strip, interpolation="nearest", aspect="auto")
            axes.set_axis_off()
            figure.text(
                (label_width - 0.08) / width, (top - own / 2) / height, label, ha="right",
                va="center", fontsize=8,
            )  # fmt: skip
            top -= own + gap
    return figure


def _draw_panel(axes: Axes, panel: SaturationPanel, styles: dict[str, tuple[str, Any]]) -> None:
    add_grid(axes)
    axes.set_title(panel.label, fontsize=8.5, loc="left")
    axes.set_ylim(-0.03, 1.03)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=7.5)
    for curve in panel.curves:
        colour, line = styles[curve.attacker]
        axes.plot(curve.steps, curve.leakage, color=colour, linestyle=line, linewidth=1.2)
        axes.plot(
            curve.steps[-1], curve.leakage[-1], marker="o", markersize=4.5, color=colour,
            markerfacecolor=colour if curve.saturated else "white", linestyle="",
        )  # fmt: skip
        if curve.rate_drop is not None:
            height = float(np.interp(curve.rate_drop, curve.steps, curve.leakage))
            axes.plot(curve.rate_drop, height, marker="|", color=colour, markersize=9)
