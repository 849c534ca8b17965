"""How an encoder looks in a figure, and the legend that says so.

The shape of a searched encoder is its cut point. Colours tell methods apart where several were
searched, and cut points where there is one method. Undefended encoders are stars, baselines
pentagons, the `labels` reference is a cross; what is hollow is a lower bound.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.drawing import CUT_STYLES, INK, METHOD_COLOURS, OTHER_CUT, OTHER_METHOD, SOFT
from analysis.gaps import GapPoint
from analysis.ladder import LadderLine
from analysis.methods import METHODS
from analysis.records import EncoderPoint

BASELINE = SOFT
"""Colour of baselines where colours tell cuts apart, of which a baseline has none."""

ROLE_SHAPES = {"undefended": ("*", 14.0), "baseline": ("p", 10.0)}
"""Shape and size in points of what is not told apart by its cut."""

Style = tuple[str, str, float]
Place = tuple[float, float]
Points = Sequence[EncoderPoint | GapPoint]


def method_colour(method: str) -> str:
    """A method's colour, in every figure the same."""
    return METHOD_COLOURS.get(method, OTHER_METHOD)


def mark_style(point: EncoderPoint | GapPoint | LadderLine, by_method: bool) -> Style:
    """Colour, shape and size in points of an encoder's mark."""
    if point.role == "labels":
        return INK, "X", 8.0
    colour, shape = CUT_STYLES.get(point.cut_point, OTHER_CUT)
    if by_method:
        colour = method_colour(point.method)
    elif point.role == "baseline":
        colour = BASELINE
    if point.role in ROLE_SHAPES:
        return colour, *ROLE_SHAPES[point.role]
    return colour, shape, 7.0


def draw_marks(
    axes: Axes, marks: Iterable[tuple[EncoderPoint | GapPoint, Place]], by_method: bool
) -> None:
    """Marks encoders at places in the axes' units; those that look alike at once, as one object.

    A study has hundreds: an object each would make most of a figure's time and of its file.
    """
    alike: dict[tuple[tuple[str, Any], ...], list[Place]] = {}
    for point, place in marks:
        alike.setdefault(tuple(_look(point, by_method).items()), []).append(place)
    for look, places in alike.items():
        axes.plot(*zip(*places, strict=True), linestyle="", **dict(look))


def _look(point: EncoderPoint | GapPoint, by_method: bool) -> dict[str, Any]:
    colour, shape, size = mark_style(point, by_method)
    if point.role == "labels":
        return {"marker": shape, "markersize": size, "color": colour, "zorder": 5}
    framed = point.role != "searched" and point.saturated
    return {
        "marker": shape, "markersize": size, "zorder": 4,
        "markerfacecolor": colour if point.saturated else "white",
        "markeredgecolor": INK if framed else colour,
        "markeredgewidth": 0.8 if point.saturated else 1.5,
    }  # fmt: skip


def draw_legend(
    figure: Figure,
    points: Points,
    by_method: bool,
    lines: Sequence[tuple[str, str, Any, float]] = (),
) -> None:
    """Only what is in the figure, below the axes.

    Args:
        figure: Gets the legend.
        points: The encoders that are drawn.
        by_method: Whether colours tell methods apart.
        lines: Name, colour, style and width of each further line.
    """
    handles: list[Patch | Line2D] = []
    searched = {point.method for point in points if point.role == "searched"}
    if by_method:
        handles += [Patch(color=method_colour(name), label=name) for name in METHODS
                    if name in searched]  # fmt: skip
        if searched - set(METHODS):
            handles.append(Patch(color=OTHER_METHOD, label="other method"))
    handles += _cut_handles(points, by_method)
    roles = {point.role for point in points}
    if "undefended" in roles:
        handles.append(_mark("undefended", "*", "white", INK, 11))
    if "baseline" in roles:
        found = {point.method for point in points if point.role == "baseline"}
        kinds = {name: method_colour(name) for name in sorted(found)} if by_method else {
            "baseline": BASELINE
        }  # fmt: skip
        handles += [_mark(name, "p", colour, INK, 9) for name, colour in kinds.items()]
    if "labels" in roles:
        handles.append(_mark("labels only (reference)", "X", INK, INK))
    if any(not point.saturated and point.role != "labels" for point in points):
        handles.append(_mark("hollow: a lower bound", "o", "white", SOFT))
    handles += [
        Line2D([], [], color=colour, linewidth=width, linestyle=style, label=name)
        for name, colour, style, width in lines
    ]
    if handles:
        columns = min(len(handles), 4 if figure.get_figwidth() > 5 else 2)
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8)


def _cut_handles(points: Points, by_method: bool) -> list[Line2D]:
    cuts = {point.cut_point for point in points if point.role == "searched"}
    handles = []
    for cut in [name for name in CUT_STYLES if name in cuts]:
        colour, shape = CUT_STYLES[cut]
        colour = SOFT if by_method else colour
        handles.append(_mark(f"cut at {cut}", shape, colour, colour))
    if cuts - set(CUT_STYLES):
        other = "not cut" if cuts - set(CUT_STYLES) == {""} else "other cut"
        handles.append(_mark(other, OTHER_CUT[1], OTHER_CUT[0], OTHER_CUT[0]))
    return handles


def _mark(label: str, shape: str, face: str, edge: str, size: float = 7) -> Line2D:
    return Line2D(
        [], [], linestyle="", marker=shape, markerfacecolor=face, markeredgecolor=edge,
        markersize=size, label=label,
    )  # fmt: skip
