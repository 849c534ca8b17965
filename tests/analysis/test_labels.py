"""Names beside marks: none covers another where there is room."""

from itertools import combinations
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.labels import UPPER_LEFT, Name, place_names


def empty() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    return figure, axes


def boxes(figure: Figure, axes: Axes) -> list[Any]:
    figure.draw_without_rendering()
    return [text.get_window_extent() for text in axes.texts]


def test_a_lone_name_stands_where_it_is_preferred() -> None:
    figure, axes = empty()
    place_names(figure, axes, [Name("#1", (0.5, 0.5), "black", UPPER_LEFT)], [(0.5, 0.5)])
    (text,) = axes.texts
    assert text.xyann == (-7, 4)
    assert text.get_horizontalalignment() == "right"


def test_crowded_names_do_not_cover_each_other_or_leave_the_axes() -> None:
    figure, axes = empty()
    marks = [(0.5, 0.5), (0.52, 0.5), (0.98, 0.97), (0.01, 0.02), (0.51, 0.53)]
    names = [Name(f"noise σ=0.{n}", mark, "black") for n, mark in enumerate(marks)]
    assert place_names(figure, axes, names, marks) == []
    found = boxes(figure, axes)
    assert not any(one.overlaps(other) for one, other in combinations(found, 2))
    frame = axes.get_window_extent()
    for box in found:
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1


def test_only_a_name_that_is_not_needed_is_left_out() -> None:
    figure, axes = empty()
    spots = [(0.5 + 0.004 * n, 0.5) for n in range(20)]
    optional = [Name(f"#{n}", spot, "black", needed=False) for n, spot in enumerate(spots)]
    needed = Name("undefended", spots[10], "black")
    left_out = place_names(figure, axes, [*optional, needed], spots)
    assert left_out
    assert "undefended" not in left_out
    assert len(axes.texts) == 21 - len(left_out)


def test_texts_and_lines_that_are_there_are_kept_free() -> None:
    figure, axes = empty()
    name = Name("blur", (0.5, 0.5), "black")
    line = [(0.5, 0.47), (0.9, 0.47)]  # where the name would stand
    place_names(figure, axes, [name], [(0.5, 0.5)], [line])
    (over,) = axes.texts
    assert over.xyann != (5, -11)
    figure, axes = empty()
    place_names(figure, axes, [name], [(0.5, 0.5)], texts=[("undefended", (0.5, 0.48))])
    (beside,) = axes.texts
    assert beside.xyann != (5, -11)
