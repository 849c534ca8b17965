"""Draws what the frontiers of several seeds attain, and says it in figures."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.attainment import SeedFrontiers, least_leakage
from analysis.drawing import LINES, SOFT, STYLE, WIDE, of_split, single_axes
from analysis.frontier_figure import Corners, steps
from analysis.pareto import hypervolume

FRESH = LINES[0][0]
SEARCHED: Any = (0, (2, 2))
"""Dashes of the frontier that the search had found."""


def draw_attainment(
    found: SeedFrontiers,
    searched: Corners,
    num_test: int | None = None,
    size: tuple[float, float] = WIDE,
) -> Figure:
    """The band between what one seed and what all attain, the median, and the search's frontier.

    Args:
        found: What the seeds' frontiers attain.
        searched: Corners of the frontier that the search had found, by rising utility.
        num_test: Images of the test split; None if not known.
        size: In inches.
    """
    surfaces = found.surfaces
    with matplotlib.rc_context(STYLE):
        figure, axes = single_axes(size)
        left, top = _frame(axes, found, searched)
        ends = (surfaces.best, surfaces.worst)
        places = np.array(sorted({left, *(x for corners in ends for x, _ in corners)}))
        low, high = (np.minimum(least_leakage(corners, places), top) for corners in ends)
        axes.fill_between(places, low, high, step="pre", color=FRESH, alpha=0.18, linewidth=0)
        for corners, width in ((surfaces.best, 0.7), (surfaces.worst, 0.7), (surfaces.median, 2.0)):
            _draw_line(axes, corners, left, top, color=FRESH, linewidth=width)
        _draw_line(axes, searched, left, top, color=SOFT, linewidth=1.1, linestyle=SEARCHED)
        test = of_split("test", num_test)
        axes.set_xlabel(f"utility: mean MCC {test} →  better")
        axes.set_ylabel(f"better  ←  worst leakage after saturation\n{test}")
        of_seeds = f"n = {surfaces.num_frontiers} seeds"
        handles = [
            Line2D([], [], color=FRESH, linewidth=2.0,
                   label=f"attained by at least {surfaces.num_half} of {of_seeds} (median)"),
            Patch(facecolor=FRESH, alpha=0.18, edgecolor=FRESH,
                  label=f"from at least one to all of {of_seeds}"),
            Line2D([], [], color=SOFT, linewidth=1.1, linestyle=SEARCHED,
                   label="the frontier as the search found it"),
        ]  # fmt: skip
        columns = 2 if figure.get_figwidth() > 5 else 1
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8)
    return figure


def _frame(axes: Axes, found: SeedFrontiers, searched: Corners) -> tuple[float, float]:
    """Sets the limits; returns the left one and the top."""
    surfaces = found.surfaces
    corners = [*surfaces.best, *surfaces.worst, *searched] or [(0.0, 0.2), (1.0, 0.2)]
    utilities, leakages = zip(*corners, strict=True)
    pad = max(0.08 * (max(utilities) - min(utilities)), 0.01)
    left, top = min(utilities) - pad, min(1.04, 1.2 * max(*leakages, 0.2))
    axes.set_xlim(left, max(utilities) + pad)
    axes.set_ylim(-0.03 * top, top)
    return left, top


def _draw_line(axes: Axes, corners: Corners, left: float, top: float, **style: Any) -> None:
    if corners:
        xs, ys = zip(*steps(corners, left, top), strict=True)
        axes.plot(xs, ys, zorder=3, **style)


def attainment_sentences(found: SeedFrontiers | None, searched: float) -> list[str]:
    """The frontiers' areas, and what attains nothing; empty where there are no such frontiers.

    Args:
        found: What the seeds' frontiers attain.
        searched: Hypervolume that the search had found.
    """
    if found is None:
        return []
    surfaces = found.surfaces
    median = hypervolume(*zip(*surfaces.median, strict=True)) if surfaces.median else 0.0
    number, asked = surfaces.num_frontiers, surfaces.num_frontiers * found.num_encoders
    sentences = [
        f"The k-th fresh trainings of all confirmed encoders ({found.num_encoders}) make the k-th "
        f"of {number} frontiers. They command hypervolumes of {min(found.areas):.3f} to "
        f"{max(found.areas):.3f}, what at least {surfaces.num_half} of them attain "
        f"{median:.3f}; the search had found {searched:.3f}."
    ]
    reasons = {
        "whose attackers did not all saturate": found.num_bounds,
        "not asked for, not done, failed, collapsed or diverged": found.num_missing,
    }
    told = [f"{count} {reason}" for reason, count in reasons.items() if count]
    if told:
        sentences.append(f"Of {asked} trainings these attain nothing: {'; '.join(told)}.")
    return sentences
