"""The comparisons that claims make: each a check with its statistic, and what may not count."""

import math
from collections.abc import Sequence

from analysis.checks import Check
from analysis.contrasts import Cell, kendall


def lower(what: str, low: Cell, high: Cell) -> Check:
    """Claims that one figure is lower than another."""
    return Check(
        what, (low, high), lambda v: v[0] - v[1], 0.0, above=False, low=(0,), high=(1,),
        # Its own figures, such as its utility, are what they are also of a collapsed encoder.
        useful=(0,), leaky=(1,) if high.role else (),
    )  # fmt: skip


def not_lower(what: str, cell: Cell, than: Cell, margin: float) -> Check:
    """Claims that a figure is not lower than another by more than `margin`."""
    return Check(
        what, (cell, than), lambda v: v[0] - v[1], -margin, above=True, low=(1,), high=(0,),
        useful=(1,),
    )  # fmt: skip


def falls(what: str, cells: Sequence[Cell]) -> Check:
    """Claims that figures fall in their order: Kendall's τ below -0.5."""
    every = tuple(range(len(cells)))
    return Check(what, tuple(cells), kendall, -0.5, above=False, low=every, high=every)


def keeps_less(what: str, low: Cell, high: Cell, chance: float, part: float) -> Check:
    """Claims that of what was above chance less than a part is left."""
    return Check(
        what, (low, high), lambda v: _left(v[0], v[1], chance), part, above=False,
        low=(0,), high=(1,), useful=(0,), leaky=(1,),
    )  # fmt: skip


def keeps_less_than(what: str, low: Cell, high: Cell, floor: Cell, part: float) -> Check:
    """Claims that of what one figure is above a floor another has less than a part.

    That the encoder of the low one says nothing may be the very claim: it may have collapsed.
    """
    return Check(
        what, (low, high, floor), lambda v: _left(v[0], v[1], v[2]), part, above=False,
        low=(0,), high=(1, 2),
    )  # fmt: skip


def _left(value: float, of: float, floor: float) -> float:
    """What part of one figure's height above a floor another has; NaN if it has none."""
    return (value - floor) / (of - floor) if of > floor else math.nan


def keeps_more(what: str, cell: Cell, of: Cell, chance: float, part: float) -> Check:
    """Claims that of what was above chance more than a part is left."""
    less = keeps_less(what, cell, of, chance, part)
    return Check(
        what, less.cells, less.statistic, part, above=True, low=(1,), high=(0,), useful=(1,),
        leaky=(0,),
    )  # fmt: skip


def single(what: str, cell: Cell, bound: float, above: bool) -> Check:
    """Claims that a figure is above or below a bound."""
    low = () if above else (0,)
    return Check(
        what, (cell,), lambda v: v[0], bound, above, low, high=(0,) if above else (), useful=low
    )


def ratio_above(what: str, cell: Cell, of: Cell, bound: float) -> Check:
    """Claims that a figure is more than `bound` times another, of an encoder that works."""
    return Check(
        what, (cell, of), lambda v: v[0] / v[1] if v[1] else math.nan, bound, above=True,
        low=(1,), high=(0,), useful=(0,), leaky=(0,),
    )  # fmt: skip


def mean_lower(what: str, low: Sequence[Cell], high: Sequence[Cell]) -> Check:
    """Claims that the mean of some figures is lower than that of as many others."""
    count = len(low)
    below = tuple(range(count))

    def difference(values: Sequence[float]) -> float:
        return (sum(values[:count]) - sum(values[count:])) / count

    return Check(
        what, (*low, *high), difference, 0.0, above=False,
        low=below, high=tuple(range(count, 2 * count)), useful=below,
    )  # fmt: skip
