"""Hypervolume as a study grew: over the encoders it verified, and over the hours it worked.

Hours are counted from the study's first start; pauses between its starts are left out. Every start
tells MLflow when it begins and when it ends (metric `at_work`). One that was killed told no end: it
is taken to have ended with the last encoder that began or ended in it, so that up to one encoder's
time is missing. Of studies from before this was told, pauses are not known and counted in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.drawing import LINES, SOFT, STYLE, add_grid, of_split
from analysis.load import StudyTables
from analysis.pareto import hypervolume
from analysis.records import images_per_split
from analysis.runs import AT_WORK
from analysis.tables import LEAKAGE, UTILITY, is_saturated, measured

MILLISECONDS = 3_600_000.0
"""Of an hour."""
MAX_MARKED = 80
"""Encoders up to which each has a mark."""
SHORT_HOURS = 2.0
"""Up to this the axis is in minutes."""


@dataclass(frozen=True)
class Work:
    """When a study was at work.

    Attributes:
        stretches: (begin, end) of each, in order, in milliseconds since 1970.
        pauses_known: Whether every start told when it began.
    """

    stretches: tuple[tuple[float, float], ...]
    pauses_known: bool

    def hours(self, moment: float = math.inf) -> float:
        """Hours of work up to a moment, in milliseconds since 1970; in all without one."""
        done = (max(0.0, min(moment, end) - begin) for begin, end in self.stretches)
        return sum(done) / MILLISECONDS


@dataclass(frozen=True)
class Growth:
    """Hypervolume after each verified encoder that may be on the frontier, in order of their ends.

    Attributes:
        areas: Hypervolume of the frontier on the test split.
        bounds: Whether the encoder's leakage is a lower bound, which adds no area.
        hours: Hours of work until its last attacker had ended.
        seams: Hours of work at which a later start went on.
        worked: Hours of work in all.
        pauses_known: Whether pauses are left out of the hours.
        num_unplaced: Verified encoders that are left out, as MLflow does not say when they ended.
        num_test: Images of the test split; None if not known.
    """

    areas: tuple[float, ...]
    bounds: tuple[bool, ...]
    hours: tuple[float, ...]
    seams: tuple[float, ...]
    worked: float
    pauses_known: bool
    num_unplaced: int
    num_test: int | None


def work(start: float, told: Sequence[tuple[float, bool]], signs: Sequence[float]) -> Work:
    """Finds when a study was at work.

    Args:
        start: Its first start, in milliseconds since 1970, as all that follows.
        told: (moment, whether a start began or ended then).
        signs: Moments at which something began or ended that only a study at work does.
    """
    begins = sorted(moment for moment, began in told if began)
    ends = [moment for moment, began in told if not began]
    known = bool(begins) and not any(start < sign < begins[0] for sign in signs)
    # The first start tells of itself a moment after its run is there.
    edges = [start, *(begins[1:] if known else begins)]
    stretches = []
    for begin, after in zip(edges, [*edges[1:], math.inf], strict=True):
        last = [moment for moment in (*ends, *signs) if begin <= moment < after]
        stretches.append((begin, max(last, default=begin)))
    return Work(tuple(stretches), known)


def growth(tables: StudyTables) -> Growth | None:
    """Collects it; None as long as no encoder is verified whose end MLflow knows."""
    rows = tables.encoders[measured(tables.encoders)]
    placed = rows[rows["end_time"].notna()].sort_values("end_time", kind="stable")
    if placed.empty:
        return None
    done = work_of(tables)
    utility, leakage = placed[UTILITY].to_numpy(float), placed[LEAKAGE].to_numpy(float)
    saturated = is_saturated(placed).to_numpy(bool)
    areas = tuple(
        hypervolume(utility[:number], leakage[:number], saturated[:number])
        for number in range(1, len(placed) + 1)
    )
    seams = (done.hours(begin) for begin, _ in done.stretches)
    return Growth(
        areas=areas,
        bounds=tuple(bool(value) for value in ~saturated),
        hours=tuple(done.hours(moment) for moment in placed["end_time"]),
        seams=tuple(hours for hours in dict.fromkeys(seams) if hours > 0),
        worked=done.hours(),
        pauses_known=done.pauses_known,
        num_unplaced=len(rows) - len(placed),
        num_test=images_per_split(tables.data).get("test"),
    )


def work_of(tables: StudyTables) -> Work:
    """Finds when a study was at work, by what it told MLflow so far."""
    told = tables.curve(tables.run_id, AT_WORK)
    moments = tables.encoders[["start_time", "end_time"]].to_numpy(float).ravel()
    signs = [float(moment) for moment in moments[np.isfinite(moments)]]
    if tables.ended is not None:
        signs.append(_milliseconds(tables.ended))
    if tables.started is not None:
        start = _milliseconds(tables.started)
    else:
        start = min(signs, default=math.nan)
    return work(start, list(zip(told["time"].astype(float), told["value"] > 0, strict=True)), signs)


def _milliseconds(moment: pd.Timestamp) -> float:
    return moment.timestamp() * 1000


def growth_note(found: Growth | None) -> str:
    """What the figure's hours are; empty without one."""
    if found is None:
        return ""
    parts = [
        "A mark is a verified encoder, in the order of their ends; a hollow one is a lower bound "
        "and adds nothing. The time is the driver's, from the study's first start to the end of an "
        "encoder's last attacker."
    ]
    if not found.pauses_known:
        parts.append("When its starts began and ended was not recorded: pauses are counted in.")
    elif found.seams:
        parts.append(
            f"Pauses are left out; a dotted line is where one of {len(found.seams)} later starts "
            "went on. A start that was killed counts up to the last encoder that began or ended."
        )
    if found.num_unplaced:
        parts.append(f"{found.num_unplaced} more have no known end and are left out.")
    return " ".join(parts)


def draw_growth(found: Growth, narrow: bool = False) -> Figure:
    """Over encoders and over hours, side by side, or one below the other for a phone."""
    rows, columns = (2, 1) if narrow else (1, 2)
    minutes = found.worked < SHORT_HOURS
    scale = 60.0 if minutes else 1.0
    pauses = "pauses left out" if found.pauses_known else "pauses counted in"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.0, 5.6) if narrow else (9.4, 3.6), layout="constrained")
        by_number, by_time = figure.subplots(rows, columns, sharey=True).flat
        _draw(by_number, found, [float(n) for n in range(1, len(found.areas) + 1)])
        by_number.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        by_number.set_xlabel("encoders verified")
        for seam in found.seams:
            by_time.axvline(seam * scale, color=SOFT, linewidth=0.9, linestyle=":")
        _draw(by_time, found, [hours * scale for hours in found.hours], found.worked * scale)
        by_time.set_xlabel(f"{'minutes' if minutes else 'hours'} since the first start\n({pauses})")
        label = f"hypervolume: area, at most 1\n{of_split('test', found.num_test)}"
        for axes in (by_number, by_time) if narrow else (by_number,):
            axes.set_ylabel(label)
        handles = []
        if any(found.bounds):
            handles.append(
                Line2D([], [], linestyle="", marker="o", markersize=4, color=LINES[0][0],
                       markerfacecolor="white", label="hollow: a lower bound, adds nothing")
            )  # fmt: skip
        if found.seams:
            handles.append(
                Line2D([], [], color=SOFT, linewidth=0.9, linestyle=":", label="a later start")
            )
        if handles:
            figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _draw(axes: Axes, found: Growth, places: Sequence[float], end: float = 0.0) -> None:
    """The steps from 0 on, and beyond the last one to the end."""
    colour = LINES[0][0]
    add_grid(axes)
    last = max(places[-1], end)
    axes.step([0.0, *places, last], [0.0, *found.areas, found.areas[-1]], where="post",
              color=colour, linewidth=1.4, zorder=2)  # fmt: skip
    if len(places) <= MAX_MARKED:
        for x, y, bound in zip(places, found.areas, found.bounds, strict=True):
            axes.plot(x, y, marker="o", markersize=4, linestyle="", color=colour, zorder=3,
                      markerfacecolor="white" if bound else colour)  # fmt: skip
    axes.set_xlim(0.0, 1.03 * last or 1.0)
    axes.set_ylim(0.0, 1.08 * max(*found.areas, 0.02))
