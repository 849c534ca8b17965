"""What the report shows of a confirmation: sentences, a table and a figure."""

import math
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from analysis.cells import Cell, natural
from analysis.confirmation import Confirmation, Confirmed
from analysis.drawing import INK, LINES, SOFT, STYLE, WIDE, of_split, single_axes
from analysis.records import encoder_labels
from analysis.uncertainty import Interval

SEARCHED, FRESH = SOFT, LINES[0][0]


def confirmation_sentences(found: Confirmation | None) -> list[str]:
    """How far the searched figures were flattered; empty where nothing was confirmed."""
    if found is None:
        return []
    number = len(found.encoders)
    trainings = sum(one.num_verified for one in found.encoders)
    text = (
        f"{_count(number, 'encoder')} of the frontier or near it {'was' if number == 1 else 'were'}"
        f" trained and attacked again: {_count(trainings, 'fresh training')}"
    )
    if found.utility_flattery is None or found.leakage_flattery is None:
        return [f"{text} so far."]
    lost, leaked = found.utility_flattery, found.leakage_flattery
    sentences = [
        f"{text}. On average they have {_change(lost.value, 'less', 'more')} mean MCC"
        f"{_bounds(lost)} and leak {_change(leaked.value, 'more', 'less')}{_bounds(leaked)} than "
        "the search had found: by so much its figures were "
        + ("flattered by having been chosen." if leaked.value > 0 or lost.value > 0 else "not.")
    ]
    asked = sum(one.num_asked for one in found.encoders)
    if asked > trainings:
        sentences.append(
            f"{asked - trainings} of {asked} fresh trainings were not verified: they failed, "
            "collapsed, or are not done."
        )
    return sentences


def fresh_sentence(found: Confirmation | None, encoder_id: str | None) -> list[str]:
    """What fresh trainings of one encoder came to; empty where it has none."""
    known = {} if found is None else {one.encoder_id: one for one in found.encoders}
    one = known.get(encoder_id or "")
    if one is None or one.utility is None or one.leakage is None:
        return []
    bound = "at least " if one.is_bound else ""
    spread = "" if math.isnan(one.leakage.low) else (
        f" (95%: {one.leakage.low:.3f} to {one.leakage.high:.3f})"
    )  # fmt: skip
    return [
        f"Trained and attacked again from {_count(one.num_verified, 'fresh seed')}, the same "
        f"settings leak {bound}{one.leakage.value:.3f}{spread} at a mean MCC of "
        f"{one.utility.value:.3f} on average: that, and not the best of the search, is what they "
        "bring."
    ]


def _change(value: float, above: str, below: str) -> str:
    return f"{abs(value):.3f} {above if value >= 0 else below}"


def _bounds(interval: Interval) -> str:
    if math.isnan(interval.low):
        return ""
    return f" (95%: {interval.low:+.3f} to {interval.high:+.3f})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def confirmation_table(encoders: pd.DataFrame, found: Confirmation | None) -> dict[str, Any]:
    """Head and rows: what the search found beside the fresh trainings' means."""
    head = [
        "encoder", "fresh trainings", "mean MCC, searched", "mean MCC, fresh",
        "worst leakage, searched", "worst leakage, fresh", "on the frontier",
    ]  # fmt: skip
    if found is None:
        return {"head": head, "rows": []}
    labels = encoder_labels(encoders)
    rows = []
    for one in found.encoders:
        label = labels[one.encoder_id]
        share = one.probability
        cells = [
            Cell(label, natural(label)),
            Cell(f"{one.num_verified} of {one.num_asked}", float(one.num_verified)),
            Cell(f"{one.searched[0]:.3f}", one.searched[0]),
            _interval_cell(one.utility),
            Cell(f"{one.searched[1]:.3f}", one.searched[1]),
            _interval_cell(one.leakage, "bound" if one.is_bound else ""),
            Cell("–") if share is None else Cell(f"{share:.0%}", share),
        ]
        rows.append({"class": "", "cells": cells})
    return {"head": head, "rows": rows}


def _interval_cell(interval: Interval | None, flag: str = "") -> Cell:
    if interval is None:
        return Cell("–")
    text = f"{'≥ ' if flag == 'bound' else ''}{interval.value:.3f}"
    if not math.isnan(interval.low):
        text += f" ({interval.low:.3f} to {interval.high:.3f})"
    return Cell(text, interval.value, flag)


def draw_confirmation(
    encoders: pd.DataFrame,
    found: Confirmation,
    num_test: int | None = None,
    size: tuple[float, float] = WIDE,
) -> Figure:
    """From what the search found (hollow) to the fresh trainings' mean with its interval.

    Args:
        encoders: The table of encoders.
        found: What was confirmed.
        num_test: Images of the test split; None if not known.
        size: In inches.
    """
    labels = encoder_labels(encoders)
    trainings = sorted({one.num_verified for one in found.encoders if one.num_verified})
    spread = "" if not trainings else f", n = {' to '.join(map(str, _ends(trainings)))} each"
    with matplotlib.rc_context(STYLE):
        figure, axes = single_axes(size)
        for one in found.encoders:
            x, y = one.searched
            axes.plot(x, y, marker="o", markersize=6, color=SEARCHED, markerfacecolor="white",
                      linestyle="", zorder=3)  # fmt: skip
            if one.utility is not None and one.leakage is not None:
                _draw_fresh(axes, one, one.utility, one.leakage)
                x, y = one.utility.value, one.leakage.value
            axes.annotate(labels[one.encoder_id], (x, y), xytext=(6, 5), fontsize=8, color=INK,
                          textcoords="offset points")  # fmt: skip
        axes.plot([], [], marker="o", color=SEARCHED, markerfacecolor="white", linestyle="",
                  label="as the search found it")  # fmt: skip
        axes.plot([], [], marker="o", color=FRESH,
                  label=f"mean of fresh trainings{spread}, 95% interval")  # fmt: skip
        test = of_split("test", num_test)
        axes.set_xlabel(f"utility: mean MCC {test} →  better")
        axes.set_ylabel(f"better  ←  worst leakage after saturation\n{test}")
        columns = 2 if figure.get_figwidth() > 5 else 1
        figure.legend(loc="outside lower center", ncols=columns, fontsize=8)
    return figure


def _ends(numbers: list[int]) -> list[int]:
    """The first and the last of rising numbers; the one there is if they are one."""
    return sorted({numbers[0], numbers[-1]})


def _draw_fresh(axes: Any, one: Confirmed, utility: Interval, leakage: Interval) -> None:
    place = (utility.value, leakage.value)
    axes.annotate("", place, xytext=one.searched,
                  arrowprops={"arrowstyle": "->", "color": SOFT, "linewidth": 0.8})  # fmt: skip
    errors = [
        [[0.0], [0.0]] if math.isnan(own.low) else [[own.value - own.low], [own.high - own.value]]
        for own in (utility, leakage)
    ]
    axes.errorbar(
        *place, xerr=errors[0], yerr=errors[1], marker="o", markersize=6, color=FRESH,
        markerfacecolor="white" if one.is_bound else FRESH, elinewidth=1.0, capsize=2, zorder=4,
    )  # fmt: skip
