"""What mattered: which searched values moved utility and leakage, and which way.

The shares are Optuna's (fANOVA over the search's trials), kept with the study's run when it ends;
the plots are the encoders' own figures.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from analysis.cells import Cell, symbol
from analysis.drawing import CUT_STYLES, OTHER_CUT, SOFT, STYLE, add_grid, of_split
from analysis.health import number_of
from analysis.load import StudyTables
from analysis.tables import LEAKAGE, is_saturated, measured

FILE = "importances.json"
OBJECTIVES = ("utility", "leakage")
DRAWN = ("lambda1", "lambda2", "mu1", "mu2", "alpha", "encoder_lr_decay", "encoder_lr")
"""Searched numbers that get a plot, where they took three values or more."""
MAX_PLOTS = 6
RANGE_FOR_LOGARITHM = 8.0
"""Largest over smallest positive value from which the axis is logarithmic."""


@dataclass(frozen=True)
class Importance:
    """The shares of one protector's searched values.

    Attributes:
        protector: Its name.
        num_trials: Trials they were estimated from.
        shares: (value, share of utility, share of leakage), by falling share of leakage; a share is
            None where the objective did not vary.
    """

    protector: str
    num_trials: int
    shares: tuple[tuple[str, float | None, float | None], ...]


def read_importances(tables: StudyTables) -> tuple[Importance, ...]:
    """What was kept with the study; empty where there is nothing, or nothing readable."""
    found = []
    for protector, own in tables.mapping(FILE).items():
        number = number_of(own.get("num_trials")) if isinstance(own, Mapping) else None
        if number is None:
            continue
        parts = [own.get(name) for name in OBJECTIVES]
        utility, leakage = (part if isinstance(part, Mapping) else {} for part in parts)
        names = sorted({*utility, *leakage}, key=lambda name: -(number_of(leakage.get(name)) or 0))
        shares = tuple(
            (str(name), number_of(utility.get(name)), number_of(leakage.get(name)))
            for name in names
        )
        if shares:
            found.append(Importance(str(protector), int(number), shares))
    return tuple(found)


def importance_table(found: Sequence[Importance]) -> dict[str, Any]:
    """Head and rows: each searched value's share of utility and of leakage."""
    several = len(found) > 1
    head = [*(["method"] if several else []), "value", "share of utility", "share of leakage",
            "trials"]  # fmt: skip
    rows = []
    for one in found:
        for name, *shares in one.shares:
            own = symbol(name.split(".")[-1])
            cells = [Cell(one.protector, one.protector)] if several else []
            cells += [Cell(own, own)]
            cells += [Cell("–") if v is None else Cell(f"{v:.0%}", v) for v in shares]
            cells += [Cell(str(one.num_trials), float(one.num_trials))]
            rows.append({"class": "", "cells": cells})
    return {"head": head, "rows": rows}


@dataclass(frozen=True)
class Effect:
    """Leakage against one searched value.

    Attributes:
        name: The value's name, `cut_point` for the cut.
        places: Where each encoder lies; of cuts their order by depth.
        leakages: Worst leakage on test.
        cuts: Cut points.
        saturated: Whether a leakage is no lower bound.
    """

    name: str
    places: tuple[float, ...]
    leakages: tuple[float, ...]
    cuts: tuple[str, ...]
    saturated: tuple[bool, ...]


def effects(encoders: pd.DataFrame) -> tuple[Effect, ...]:
    """Collects the plots of searched encoders: the cut's depth first, then the numbers."""
    rows = encoders[measured(encoders) & (encoders["role"] == "searched")]
    found = []
    depth = {cut: float(place) for place, cut in enumerate(CUT_STYLES)}
    cuts = rows["cut_point"]
    if cuts.nunique() > 1 and cuts.isin(list(depth)).all():
        found.append(_effect("cut_point", cuts.map(depth), rows))
    for name in DRAWN:
        if name in rows and pd.api.types.is_numeric_dtype(rows[name]):
            own = rows[np.isfinite(rows[name].to_numpy(float))]
            if own[name].nunique() > 2:
                found.append(_effect(name, own[name], own))
    return tuple(found[:MAX_PLOTS])


def _effect(name: str, places: "pd.Series[Any]", rows: pd.DataFrame) -> Effect:
    return Effect(
        name,
        tuple(float(value) for value in places),
        tuple(float(value) for value in rows[LEAKAGE]),
        tuple(rows["cut_point"]),
        tuple(bool(value) for value in is_saturated(rows)),
    )


def draw_effects(
    found: Sequence[Effect], num_test: int | None = None, narrow: bool = False
) -> Figure:
    """A small plot per searched value; colours and shapes are the cuts'.

    Args:
        found: What is drawn.
        num_test: Images of the test split; None if not known.
        narrow: Whether it is for a phone.
    """
    columns = 1 if narrow else min(3, len(found))
    rows = -(-len(found) // columns)
    size = (4.0, 2.5 * rows + 0.4) if narrow else (3.0 * columns + 0.5, 2.6 * rows + 0.4)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axes in grid.flat[len(found) :]:
            axes.set_axis_off()
        for axes, effect in zip(grid.flat, found, strict=False):
            add_grid(axes)
            for x, y, cut, saturated in zip(
                effect.places, effect.leakages, effect.cuts, effect.saturated, strict=True
            ):
                colour, shape = CUT_STYLES.get(cut, OTHER_CUT)
                axes.plot(x, y, marker=shape, markersize=5, linestyle="", color=colour,
                          markerfacecolor=colour if saturated else "white", zorder=3)  # fmt: skip
            _scale(axes, effect)
            axes.set_ylim(-0.03, 1.04)
        figure.supylabel(f"worst leakage {of_split('test', num_test)}", fontsize=9)
    return figure


def _scale(axes: Axes, effect: Effect) -> None:
    if effect.name == "cut_point":
        names = dict(zip(effect.places, effect.cuts, strict=True))
        axes.set_xticks(sorted(names), [names[place] for place in sorted(names)])
        axes.set_xlim(min(names) - 0.5, max(names) + 0.5)
        axes.set_xlabel("cut point, by depth")
        return
    values = np.array(effect.places)
    positive = values[values > 0]
    if len(positive) and (values >= 0).all() and np.ptp(positive) > 0 and (
        positive.max() / positive.min() > RANGE_FOR_LOGARITHM
    ):  # fmt: skip
        if len(positive) == len(values):
            axes.set_xscale("log")
        else:
            axes.set_xscale("symlog", linthresh=float(positive.min()))
            axes.set_xlim(left=-0.3 * float(positive.min()))
        decades = math.log10(float(positive.max() / positive.min()))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 1.5 else (1,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(labelsize=8)
    axes.set_xlabel(symbol(effect.name), color=SOFT)
