"""Small frontiers side by side: the encoders by utility and one leakage, panel by panel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing import INK, SOFT, STYLE, add_grid, of_split
from analysis.frontier_figure import steps
from analysis.marks import draw_legend, draw_marks
from analysis.pareto import hypervolume, non_dominated
from analysis.records import EncoderPoint
from analysis.tables import UTILITY, is_saturated

Corners = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class FrontierPanel:
    """Some encoders by utility and one kind of leakage, both of the test split.

    Attributes:
        name: What sets them apart: a kind of leakage, a cut point.
        points: The encoders.
        area: Hypervolume of their own frontier.
    """

    name: str
    points: tuple[EncoderPoint, ...]
    area: float

    @property
    def corners(self) -> Corners:
        """Of its staircase (utility, leakage), by rising utility."""
        return tuple(sorted({(p.utility, p.leakage) for p in self.points if p.on_frontier}))


def frontier_panel(
    name: str, rows: pd.DataFrame, leakage: str, labels: Mapping[str, str]
) -> FrontierPanel:
    """The frontier of some measured encoders.

    Args:
        name: What sets them apart.
        rows: The encoders; utility and leakage are finite.
        leakage: Column of the leakage that counts.
        labels: Their names, by identity.
    """
    saturated = is_saturated(rows)
    on = non_dominated(rows[UTILITY], rows[leakage], saturated)
    points = tuple(
        EncoderPoint(
            label=labels[row["encoder_id"]], role=row["role"], cut_point=row["cut_point"],
            utility=float(row[UTILITY]), leakage=float(row[leakage]),
            saturated=bool(row["saturated"] == 1), on_frontier=bool(marked),
            method=row["protector"], encoder_id=row["encoder_id"],
        )
        for (_, row), marked in zip(rows.iterrows(), on, strict=True)
    )  # fmt: skip
    return FrontierPanel(name, points, hypervolume(rows[UTILITY], rows[leakage], saturated))


def draw_panels(
    panels: Sequence[FrontierPanel],
    titles: Sequence[tuple[str, str]],
    by_method: bool,
    num_test: int | None = None,
    narrow: bool = False,
    behind: tuple[str, Corners] | None = None,
) -> Figure:
    """A panel each, side by side, or one below the other for a phone.

    Args:
        panels: What to draw.
        titles: Per panel its title and which leakage stands on its axis.
        by_method: Whether colours tell methods apart.
        num_test: Images of the test split; None if not known.
        narrow: Whether it is for a phone.
        behind: Name and corners of a staircase that every panel shows in grey, to be compared
            with; all panels have one scale of utility then.
    """
    number = len(panels)
    columns = 1 if narrow else min(number, 2)
    rows = -(-number // columns)
    size = (4.0, 3.4 * rows + 0.7) if narrow else (9.4, 3.9 * rows + 0.6)
    every = [point for panel in panels for point in panel.points]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        test = of_split("test", num_test)
        for axes in grid.flat[number:]:
            axes.set_axis_off()
        for axes, panel, (title, leakage) in zip(grid.flat, panels, titles, strict=False):
            add_grid(axes)
            utilities = [point.utility for point in (every if behind else panel.points)]
            pad = max(0.06 * (max(utilities) - min(utilities)), 0.01)
            left, top = min(utilities) - pad, 1.04
            axes.set_xlim(left, max(utilities) + pad)
            axes.set_ylim(-0.04, top)
            lines = [(behind[1], SOFT, ":", 0.8)] if behind else []
            for corners, colour, style, width in [*lines, (panel.corners, INK, "-", 1.1)]:
                if corners:
                    xs, ys = zip(*steps(corners, left, top), strict=True)
                    axes.plot(xs, ys, color=colour, linewidth=width, linestyle=style, zorder=2)
            placed = [(point, (point.utility, point.leakage)) for point in panel.points]
            draw_marks(axes, placed, by_method)
            axes.set_title(title, loc="left", fontsize=9)
            axes.set_xlabel(f"utility: mean MCC {test} →  better")
            axes.set_ylabel(f"better  ←  {leakage}\n{test}")
        entries = [(behind[0], SOFT, ":", 0.8)] if behind else []
        draw_legend(figure, every, by_method, entries)
    return figure
