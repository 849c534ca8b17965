"""The comparisons that claims make: each a check with its statistic, and what may not count."""

import math
from collections.abc import Sequence

from analysis.checks import Check, Statistic
from analysis.contrasts import Cell, kendall
from analysis.paper_tables import paper_figures

LEAST_SHARE = 0.25
"""Share of the paper's own difference from which on one of ours counts as one.

Of a difference that is not there no number of seeds would ever show the sign: it takes a least size
for a claim to be able to fail. What the sign alone says is `Check.direction`'s.
"""


def lower(what: str, low: Cell, high: Cell) -> Check:
    """Claims that one figure is lower than another."""
    return Check(
        what, (low, high), lambda v: v[0] - v[1], 0.0, above=False, low=(0,), high=(1,),
        # Its own figures, such as its utility, are what they are also of a collapsed encoder.
        useful=(0,), leaky=(1,) if high.role else (),
    )  # fmt: skip


def clearly_lower(
    figure: str,
    names: tuple[str, str],
    low: Sequence[Cell],
    high: Sequence[Cell],
    *,
    chance: float = 0.0,
    chance_here: Cell | None = None,
    printed: float | None = None,
    leaks: bool = True,
    note: str = "",
) -> Check:
    """Claims that a figure, or the mean of some, is lower than another by as much as counts.

    That is `LEAST_SHARE` of the paper's difference, as a share of what the higher figure has above
    chance, in the paper and here: what leaks is less here to begin with. Where it has nothing above
    chance here, the sign has to do.

    Args:
        figure: What is compared.
        names: What the lower and the higher one are called.
        low: The figures that are claimed to be lower, which the paper prints.
        high: As many that are claimed to be higher.
        chance: What somebody who guesses has in the paper; of a similarity or a score of which it
            is not known the scale's zero, which makes the paper's share smaller, and asks for less.
        chance_here: What somebody who guesses has here, if that is another figure.
        printed: The paper's higher figure, where its table of these has none.
        leaks: Whether the higher one is what an attacker gets, so that of a collapsed encoder it is
            no evidence against the claim.
        note: What else is to be said, at the end.

    Raises:
        ValueError: If the paper's figures do not differ so, or have nothing above chance, or there
            are not as many of either.
    """
    if len(low) != len(high):
        raise ValueError(f"{figure}: as many low as high, got {len(low)} and {len(high)}")
    bottom, top = _mean_in_paper(low), _mean_in_paper(high) if printed is None else printed
    if not chance < top > bottom:
        raise ValueError(f"{figure}: the paper has {bottom} and {top}, and {chance} by chance")
    kept = (bottom - chance) / (top - chance)
    part = 1 - LEAST_SHARE * (1 - kept)
    above = " (above chance)" if chance_here else f" (above {chance})" if chance else ""
    count = len(low)

    def short(values: Sequence[float]) -> float:
        guessed = chance if chance_here is None else values[-1]
        has = sum(values[count : 2 * count]) / count - guessed
        return _difference(values, count) + (1 - part) * max(0.0, has)

    return _differing(
        f"{figure}{above}, {names[0]} less {part:.1%} of {names[1]} (the paper: {kept:.1%}){note}",
        (low, high), short, 0.0, leaks, () if chance_here is None else (chance_here,),
    )  # fmt: skip


def clearly_lower_in_decibels(figure: str, names: tuple[str, str], low: Cell, high: Cell) -> Check:
    """As `clearly_lower`, of a scale without a zero: the paper's difference counts as it is."""
    gap = _mean_in_paper([high]) - _mean_in_paper([low])
    if gap <= 0:
        raise ValueError(f"{figure}: the paper has no fall, but {-gap} dB")
    return _differing(
        f"{figure}, {names[0]} less {names[1]} (the paper: {-gap:.1f} dB)",
        ([low], [high]), lambda values: _difference(values, 1), -LEAST_SHARE * gap, leaks=True,
    )  # fmt: skip


def _difference(values: Sequence[float], count: int) -> float:
    """The mean of the first `count` figures less that of the `count` after them."""
    return (sum(values[:count]) - sum(values[count : 2 * count])) / count


def _differing(
    what: str,
    cells: tuple[Sequence[Cell], Sequence[Cell]],
    statistic: Statistic,
    bound: float,
    leaks: bool,
    beside: Sequence[Cell] = (),
) -> Check:
    low, high = cells
    count = len(low)
    below, over = tuple(range(count)), tuple(range(count, 2 * count))
    return Check(
        what, (*low, *high, *beside), statistic, bound, above=False, low=below, high=over,
        useful=below, leaky=over if leaks else (), direction=lambda v: _difference(v, count),
    )  # fmt: skip


def _mean_in_paper(cells: Sequence[Cell]) -> float:
    return math.fsum(paper_figures()[cell] for cell in cells) / len(cells)


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
