"""Draws the frontier: utility against verified leakage, one mark per encoder."""

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing import FAINT, INK, SOFT, STYLE, WIDE, of_split, single_axes
from analysis.labels import FONT_SIZE, LOWER_RIGHT, UPPER_LEFT, UPPER_RIGHT, Name, place_names
from analysis.marks import draw_legend, draw_marks, method_colour
from analysis.records import EncoderPoint, FrontierRecord

PROVISIONAL = (0, (5, 3))
"""Dashes of a staircase of lower bounds."""

MAX_LABELLED = 16
"""Points up to which all are labelled; beyond, searched ones only if they are on a staircase."""

OWN_WIDTH, COMMON_WIDTH = 2.4, 1.1
"""Points: a method's own staircase stays visible under the common one."""

Corners = Sequence[tuple[float, float]]


def draw_frontier(record: FrontierRecord, size: tuple[float, float] = WIDE) -> Figure:
    """Utility on x, worst verified leakage on y, with the frontier as a staircase.

    Hollow marks are encoders with an unsaturated attacker, which are not on the frontier; stars
    are undefended, pentagons baselines. A staircase of nothing but lower bounds is dashed. With
    several methods each one's own staircase stands beside the common one, in its colour.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = single_axes(size)
        _frame(axes, record)
        lines = _draw_staircases(axes, record)
        placed = [(point, (point.utility, point.leakage)) for point in record.points]
        draw_marks(axes, placed, record.by_method)
        axes.set_xlabel(f"utility: mean MCC {of_split('test', record.num_test)} →  better")
        public = "" if record.num_public is None else (
            f"\n(attackers trained on n = {record.num_public:,} public images)"
        )  # fmt: skip
        axes.set_ylabel(f"better  ←  worst leakage after saturation{public}")
        draw_legend(figure, record.points, record.by_method, _line_entries(record))
        column = _label_undefended(axes, record)
        marks = [(point.utility, point.leakage) for point in record.points]
        place_names(figure, axes, _names(record), marks, lines, column)
    return figure


def _line_entries(record: FrontierRecord) -> list[tuple[str, str, Any, float]]:
    style = PROVISIONAL if record.provisional else "-"
    entries: list[tuple[str, str, Any, float]] = []
    if record.frontier:
        name = "provisional: lower bounds only" if record.provisional else "frontier"
        entries.append((name, INK, style, COMMON_WIDTH))
    if record.own_frontiers:
        entries.append(("in colour: each method's own", SOFT, style, OWN_WIDTH))
    return entries


def _frame(axes: Axes, record: FrontierRecord) -> None:
    """Limits, ticks and the floor line."""
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


def _draw_staircases(axes: Axes, record: FrontierRecord) -> list[Corners]:
    """The methods' own staircases under the common one and its area; returns all their corners."""
    left, top = axes.get_xlim()[0], axes.get_ylim()[1]
    style = PROVISIONAL if record.provisional else "-"
    drawn: list[Corners] = []
    for own in record.own_frontiers:
        drawn.append(steps(own.corners, left, top))
        xs, ys = zip(*drawn[-1], strict=True)
        axes.plot(
            xs, ys, color=method_colour(own.method), linewidth=OWN_WIDTH, linestyle=style,
            alpha=0.45, zorder=1.8, solid_capstyle="butt",
        )  # fmt: skip
    if record.frontier:
        drawn.append(steps(record.frontier, left, top))
        xs, ys = zip(*drawn[-1], strict=True)
        axes.plot(xs, ys, color=INK, linewidth=COMMON_WIDTH, linestyle=style, zorder=2)
        if not record.provisional:  # lower bounds command no area
            axes.fill_between(xs, ys, top, color=INK, alpha=0.04, linewidth=0)
    return drawn


def steps(corners: Corners, left: float, top: float) -> Corners:
    """Going right, leakage stays at a corner's height only up to that corner's utility."""
    steps = [(left, corners[0][1])]
    for (x, y), (_, above) in zip(corners, [*corners[1:], (0.0, top)], strict=True):
        steps += [(x, y), (x, above)]
    return steps


def _names(record: FrontierRecord) -> list[Name]:
    """What is written beside marks, the most important first."""
    few = len(record.points) <= MAX_LABELLED
    own = {corner for frontier in record.own_frontiers for corner in frontier.corners}
    names: list[tuple[int, Name]] = []
    for point in record.points:
        place = (point.utility, point.leakage)
        colour = INK if point.on_frontier else SOFT
        if point.role == "labels":
            names.append((0, Name(point.label, place, SOFT, UPPER_RIGHT)))
        elif point.role == "baseline":
            names.append((2, Name(point.label, place, colour, LOWER_RIGHT)))
        elif point.role == "searched" and point.on_frontier:
            # Little lies to the lower right of the frontier: lower bounds at most.
            names.append((1, Name(point.label, place, colour, LOWER_RIGHT)))
        elif point.role == "searched" and (few or place in own):
            names.append((3, Name(point.label, place, colour, UPPER_LEFT, needed=False)))
    return [name for _, name in sorted(names, key=lambda pair: pair[0])]


def _label_undefended(axes: Axes, record: FrontierRecord) -> list[tuple[str, tuple[float, float]]]:
    """Names the undefended encoders, which tend to crowd, in a column where no encoder lies.

    Returns:
        The names, and where each begins.
    """
    deployable = [point for point in record.points if point.role != "labels"]
    undefended: list[EncoderPoint] = [p for p in deployable if p.role == "undefended"]
    crowd = sorted(undefended, key=lambda point: point.leakage)
    if not crowd:
        return []
    low, high = axes.get_ylim()
    heights = spread([point.leakage for point in crowd], gap=0.045 * (high - low))
    left, right = axes.get_xlim()
    column = max(point.utility for point in deployable) + 0.035 * (right - left)
    for point, height in zip(crowd, heights, strict=True):
        axes.annotate(
            point.label, (point.utility, point.leakage), xytext=(column, height),
            fontsize=FONT_SIZE, va="center", zorder=3, color=INK if point.on_frontier else SOFT,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.8, "shrinkB": 4},
        )  # fmt: skip
    names = [point.label for point in crowd]
    return [(name, (column, height)) for name, height in zip(names, heights, strict=True)]


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
