"""Draws the records: frontier, in-loop against verified leakage, saturation curves, grids.

Matplotlib's objects are used directly, without pyplot, which would keep every figure alive and
pick a window system. Colours are Okabe and Ito's, and each has its own marker or line style.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.drawing import (
    CUT_STYLES,
    FAINT,
    INK,
    LINES,
    OTHER_CUT,
    SOFT,
    STYLE,
    WIDE,
    read_image,
    render,
    save_figure,
    single_axes,
)
from analysis.records import EncoderPoint, FrontierRecord, GapPoint, GapRecord, SaturationPanel

__all__ = [
    "draw_frontier",
    "draw_gap",
    "draw_saturation",
    "reconstruction_grid",
    "render",
    "save_figure",
]

PROVISIONAL = (0, (5, 3))
"""Dashes of a staircase of lower bounds."""

MAX_LABELLED = 16
"""Points up to which all are labelled; beyond, only the frontier and the reference points are."""


def draw_frontier(record: FrontierRecord, size: tuple[float, float] = WIDE) -> Figure:
    """Utility on x, worst verified leakage on y, with the frontier as a staircase.

    Hollow marks are encoders with an unsaturated attacker, which are not on the frontier; stars
    are undefended. A staircase of nothing but lower bounds is dashed.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = single_axes(size)
        _frame_frontier(axes, record)
        for point in record.points:
            _mark(axes, point, point.utility, point.leakage)
        few = len(record.points) <= MAX_LABELLED
        for point in record.points:
            if point.role == "labels":
                _annotate(axes, point, (7, 4), "left")
            elif point.role == "searched" and point.on_frontier:
                # Little lies to the lower right of the frontier: lower bounds at most.
                _annotate(axes, point, (5, -11), "left")
            elif point.role == "searched" and few:
                _annotate(axes, point, (-7, 4), "right")
        _label_undefended(axes, record)
        suffix = "" if record.num_test is None else f" (test, n = {record.num_test:,} images)"
        axes.set_xlabel(f"utility: mean MCC{suffix} →  better")
        public = "" if record.num_public is None else (
            f"\n(attackers trained on n = {record.num_public:,} public images)"
        )  # fmt: skip
        axes.set_ylabel(f"better  ←  worst leakage after saturation{public}")
        name = "provisional: lower bounds only" if record.provisional else "frontier"
        style = PROVISIONAL if record.provisional else "-"
        _legend(figure, record.points, (name, style) if record.frontier else None)
    return figure


def draw_gap(record: GapRecord, size: tuple[float, float] = (5.6, 4.7)) -> Figure:
    """In-loop leakage on x, verified leakage on y; above the diagonal the loop looked better."""
    with matplotlib.rc_context(STYLE):
        figure, axes = single_axes(size)
        values = [value for point in record.points for value in (point.in_loop, point.verified)]
        top = min(1.05, max([*values, 0.2]) * 1.12)
        axes.plot([0, top], [0, top], color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes.fill_between([0, top], [0, top], top, color="#D55E00", alpha=0.05, linewidth=0)
        axes.set_title(
            "above the line: more leaked than the loop showed", loc="left", fontsize=8, color=SOFT
        )
        for point in record.points:
            _mark(axes, point, point.in_loop, point.verified)
            if len(record.points) <= MAX_LABELLED:
                axes.annotate(
                    point.label, (point.in_loop, point.verified), xytext=(6, -9), fontsize=7.5,
                    textcoords="offset points", color=SOFT, clip_on=True,
                )  # fmt: skip
        margin = 0.04 * top
        axes.set_xlim(-margin, top)
        axes.set_ylim(-margin, top)
        axes.set_aspect("equal")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("leakage to the in-loop adversary")
        suffix = "" if record.num_test is None else f" (test, n = {record.num_test:,})"
        axes.set_ylabel(f"worst leakage after saturation{suffix}")
        _legend(figure, record.points)
    return figure


def draw_saturation(
    panels: Sequence[SaturationPanel], columns: int = 3, panel_size: tuple[float, float] = (2.6, 2)
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
        figure.supylabel("leakage (selection)", fontsize=9)
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


def _frame_frontier(axes: Axes, record: FrontierRecord) -> None:
    """Limits, the floor line, and the staircase with the area it dominates."""
    utilities = [point.utility for point in record.points] or [0.0, 1.0]
    pad = max(0.06 * (max(utilities) - min(utilities)), 0.02)
    left, right = min(utilities) - pad, max(utilities) + 1.8 * pad
    top = min(1.06, max([point.leakage for point in record.points] + [0.2]) * 1.15)
    axes.set_xlim(left, right)
    # The room for labels may reach beyond 1, where no utility is.
    last = min(right, 1.0)
    ticks = MaxNLocator(6).tick_values(left, last)
    axes.set_xticks([x for x in ticks if left <= x <= last + 1e-9])
    axes.set_ylim(-0.08 * top, top)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.text(
        0.01, -0.012 * top, "floor: a constant encoder", va="top", color=SOFT, fontsize=7.5,
        transform=axes.get_yaxis_transform(),
    )  # fmt: skip
    if record.frontier:
        xs, ys = zip(*record.frontier, strict=True)
        # Going right, leakage stays at a corner's height only up to that corner's utility.
        corners_x = np.concatenate([[left], np.repeat(xs, 2)])
        corners_y = np.concatenate([np.repeat(ys, 2), [top]])
        style = PROVISIONAL if record.provisional else "-"
        axes.plot(corners_x, corners_y, color=INK, linewidth=1.1, linestyle=style, zorder=2)
        if not record.provisional:  # lower bounds command no area
            axes.fill_between(corners_x, corners_y, top, color=INK, alpha=0.04, linewidth=0)


def _mark(axes: Axes, point: EncoderPoint | GapPoint, x: float, y: float) -> None:
    colour, marker = CUT_STYLES.get(point.cut_point, OTHER_CUT)
    if point.role == "labels":
        axes.plot(x, y, marker="X", color=INK, markersize=8, linestyle="", zorder=5)
        return
    undefended = point.role == "undefended"
    axes.plot(
        x, y, linestyle="", zorder=4, marker="*" if undefended else marker,
        markersize=14 if undefended else 7, markerfacecolor=colour if point.saturated else "white",
        markeredgecolor=INK if undefended and point.saturated else colour,
        markeredgewidth=0.8 if point.saturated else 1.5,
    )  # fmt: skip


def _annotate(
    axes: Axes, point: EncoderPoint, offset: tuple[int, int], align: Literal["left", "right"]
) -> None:
    axes.annotate(
        point.label, (point.utility, point.leakage), xytext=offset, fontsize=7.5,
        textcoords="offset points", zorder=6, ha=align, color=INK if point.on_frontier else SOFT,
    )  # fmt: skip


def _label_undefended(axes: Axes, record: FrontierRecord) -> None:
    """Names the undefended encoders, which tend to crowd, in a column where no encoder lies."""
    deployable = [point for point in record.points if point.role != "labels"]
    crowd = sorted((p for p in deployable if p.role == "undefended"), key=lambda p: p.leakage)
    if not crowd:
        return
    low, high = axes.get_ylim()
    heights = spread([point.leakage for point in crowd], gap=0.045 * (high - low))
    left, right = axes.get_xlim()
    column = max(point.utility for point in deployable) + 0.035 * (right - left)
    for point, height in zip(crowd, heights, strict=True):
        axes.annotate(
            point.label, (point.utility, point.leakage), xytext=(column, height), fontsize=7.5,
            va="center", zorder=3, color=INK if point.on_frontier else SOFT,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.8, "shrinkB": 4},
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Moves rising heights apart until neighbours are at least `gap` from each other.

    Those that crowd keep their order and their common centre.
    """
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _bottom(groups[-1], gap) - _top(groups[-2], gap) < gap:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_bottom(group, gap) + place * gap for group in groups for place in range(len(group))]


def _bottom(group: Sequence[float], gap: float) -> float:
    return sum(group) / len(group) - gap * (len(group) - 1) / 2


def _top(group: Sequence[float], gap: float) -> float:
    return sum(group) / len(group) + gap * (len(group) - 1) / 2


def _legend(
    figure: Figure,
    points: Sequence[EncoderPoint | GapPoint],
    staircase: tuple[str, Any] | None = None,
) -> None:
    """Only what is in the figure, below the axes; `staircase` is its name and line style."""

    def mark(label: str, marker: str, face: str, edge: str, size: float = 7) -> Line2D:
        return Line2D(
            [], [], linestyle="", marker=marker, markerfacecolor=face, markeredgecolor=edge,
            markersize=size, label=label,
        )  # fmt: skip

    searched = {point.cut_point for point in points if point.role == "searched"}
    known = [cut for cut in CUT_STYLES if cut in searched]
    handles = [
        mark(f"cut at {cut}", CUT_STYLES[cut][1], CUT_STYLES[cut][0], CUT_STYLES[cut][0])
        for cut in known
    ]
    if searched - set(known):
        handles.append(mark("other cut", OTHER_CUT[1], OTHER_CUT[0], OTHER_CUT[0]))
    roles = {point.role for point in points}
    if "undefended" in roles:
        handles.append(mark("undefended", "*", "white", INK, 11))
    if "labels" in roles:
        handles.append(mark("labels only (reference)", "X", INK, INK))
    if any(not point.saturated and point.role != "labels" for point in points):
        handles.append(mark("hollow: a lower bound", "o", "white", SOFT))
    if staircase:
        name, style = staircase
        handles.append(Line2D([], [], color=INK, linewidth=1.1, linestyle=style, label=name))
    if handles:
        columns = min(len(handles), 4 if figure.get_figwidth() > 5 else 2)
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8)


def _draw_panel(axes: Axes, panel: SaturationPanel, styles: dict[str, tuple[str, Any]]) -> None:
    axes.grid(color=FAINT, linewidth=0.5)
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
