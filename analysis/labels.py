"""Puts names beside marks where they cover neither each other nor the marks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

FONT_SIZE = 7.5
"""Points, of every name."""
_CHARACTER, _LINE = 0.6 * FONT_SIZE, 1.05 * FONT_SIZE
"""Points: mean width of a character and height of a line in DejaVu Sans at this size."""
_MARK = 5.0
"""Points from a mark's centre to its edge."""
_TEXT_WEIGHT, _MARK_WEIGHT, _LINE_WEIGHT = 4.0, 2.0, 1.0
_TOLERABLE = 20.0
"""Weighted square points that a name which may be left out may cover."""

LOWER_RIGHT, UPPER_LEFT, UPPER_RIGHT = (5, -11, "left"), (-7, 4, "right"), (7, 4, "left")
_PLACES: tuple[tuple[int, int, str], ...] = (
    LOWER_RIGHT, UPPER_LEFT, UPPER_RIGHT, (-7, -11, "right"), (9, -3, "left"), (-9, -3, "right"),
    (0, 8, "center"), (0, -15, "center"),
)  # fmt: skip

Box = tuple[float, float, float, float]
"""Left, bottom, right, top, in points."""


@dataclass(frozen=True)
class Name:
    """A name to be placed.

    Attributes:
        text: What it says.
        place: The mark it belongs to, in the axes' units.
        colour: Of the text.
        preferred: Offset in points and alignment that are tried first.
        needed: Whether it must stand somewhere, even over something else.
    """

    text: str
    place: tuple[float, float]
    colour: str
    preferred: tuple[int, int, str] = LOWER_RIGHT
    needed: bool = True


def place_names(
    figure: Figure,
    axes: Axes,
    names: Sequence[Name],
    marks: Iterable[tuple[float, float]],
    lines: Iterable[Sequence[tuple[float, float]]] = (),
    texts: Iterable[tuple[str, tuple[float, float]]] = (),
) -> list[str]:
    """Writes names, the first ones first, each at the free place that is nearest to preferred.

    Args:
        figure: The figure; everything but the names must be in it, as it is laid out here.
        axes: Where the marks are.
        names: What to write.
        marks: Centres of all marks, in the axes' units.
        lines: Corners of lines of horizontal and vertical pieces that are better not covered.
        texts: Texts that are there already: what they say and the left end of their middle.

    Returns:
        The names that were left out, because they were not needed and had no free place.
    """
    figure.draw_without_rendering()
    scale = 72 / figure.dpi

    def in_points(place: tuple[float, float]) -> tuple[float, float]:
        x, y = axes.transData.transform(place)
        return float(x) * scale, float(y) * scale

    frame = axes.get_window_extent()
    inside = (frame.x0 * scale, frame.y0 * scale, frame.x1 * scale, frame.y1 * scale)
    taken = [(_MARK_WEIGHT, _around(in_points(mark), _MARK)) for mark in marks]
    for line in lines:
        corners = [in_points(corner) for corner in line]
        for (x0, y0), (x1, y1) in pairwise(corners):
            box = (min(x0, x1) - 1, min(y0, y1) - 1, max(x0, x1) + 1, max(y0, y1) + 1)
            taken.append((_LINE_WEIGHT, box))
    for text, place in texts:
        x, y = in_points(place)
        box = (x, y - _LINE / 2, x + _CHARACTER * len(text), y + _LINE / 2)
        taken.append((_TEXT_WEIGHT, box))
    left_out = []
    for name in names:
        at = in_points(name.place)
        places = sorted(_PLACES, key=lambda place: place != name.preferred)
        boxes = [_text_box(name.text, at, place) for place in places]
        costs = [
            float("inf") if not _within(box, inside)
            else sum(weight * _overlap(box, other) for weight, other in taken)
            for box in boxes
        ]  # fmt: skip
        best = costs.index(min(costs))
        if not name.needed and costs[best] > _TOLERABLE:
            left_out.append(name.text)
            continue
        taken.append((_TEXT_WEIGHT, boxes[best]))
        dx, dy, align = places[best]
        axes.annotate(
            name.text, name.place, xytext=(dx, dy), fontsize=FONT_SIZE, ha=align,
            textcoords="offset points", zorder=6, color=name.colour,
            path_effects=[withStroke(linewidth=2, foreground="white", alpha=0.85)],
        )  # fmt: skip
    return left_out


def _text_box(text: str, at: tuple[float, float], place: tuple[int, int, str]) -> Box:
    dx, dy, align = place
    width = _CHARACTER * len(text)
    left = at[0] + dx - {"left": 0.0, "right": width, "center": width / 2}[align]
    return (left, at[1] + dy - 1, left + width, at[1] + dy - 1 + _LINE)


def _around(at: tuple[float, float], radius: float) -> Box:
    return (at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius)


def _overlap(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, tall)


def _within(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]
