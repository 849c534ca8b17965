"""Which encoder to take: for a least utility, for a highest leakage, and at the frontier's knee.

Every choice is made on the selection split among encoders whose attackers all saturated; the
figures told of it are those of the test split, on which a wish may be missed.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.pareto import non_dominated
from analysis.tables import (
    LEAKAGE,
    LEAKAGE_ERROR,
    LEAKAGE_SELECTION,
    UTILITY,
    UTILITY_ERROR,
    UTILITY_SELECTION,
    is_saturated,
    measured,
)

Aim = Literal["utility floor", "leakage ceiling", "knee"]


@dataclass(frozen=True)
class Wish:
    """What somebody wants of an encoder.

    Attributes:
        aim: Which figure has a bound; none for the knee.
        bound: Mean MCC at least, or worst leakage at most; None for the knee.
    """

    aim: Aim
    bound: float | None = None

    def __str__(self) -> str:
        if self.aim == "knee":
            return "The knee of the frontier"
        what = "Mean MCC of at least" if self.aim == "utility floor" else "Worst leakage of at most"
        return f"{what} {self.bound:g}"


@dataclass(frozen=True)
class Choice:
    """The encoder that is recommended for a wish.

    Attributes:
        wish: The wish.
        row: The encoder's row; None where no encoder fulfils the wish on the selection split.
        held: On the test split: whether the wish is fulfilled there; None for the knee.
        chance: That it would be on other test images, by the figure's standard error; None where
            that is not known, and for the knee.
        nearest: Where no encoder fulfils the wish, the best figure there is, on selection.
    """

    wish: Wish
    row: "pd.Series[Any] | None"
    held: bool | None = None
    chance: float | None = None
    nearest: float | None = None


def choose(encoders: pd.DataFrame, wish: Wish) -> Choice:
    """Recommends an encoder.

    - For a least utility the one that leaks least of those that have it.
    - For a highest leakage the most useful of those that leak no more.
    - At the knee the encoder of the frontier that lies furthest from the straight line between its
      two ends, both figures in units of the ends' distance; it takes three encoders.

    Of equal ones the better in the other figure, then the one that started first.
    """
    rows = encoders[measured(encoders)]
    rows = rows[is_saturated(rows)]
    finite = rows[[UTILITY_SELECTION, LEAKAGE_SELECTION]].map(math.isfinite).all(axis=1)
    rows = rows[finite]
    if wish.aim == "knee":
        place = _knee(rows[UTILITY_SELECTION].to_numpy(), rows[LEAKAGE_SELECTION].to_numpy())
        return Choice(wish, None if place is None else rows.iloc[place])
    assert wish.bound is not None
    if wish.aim == "utility floor":
        fitting = rows[rows[UTILITY_SELECTION] >= wish.bound]
        order, rising = [LEAKAGE_SELECTION, UTILITY_SELECTION], [True, False]
        nearest = rows[UTILITY_SELECTION].max()
    else:
        fitting = rows[rows[LEAKAGE_SELECTION] <= wish.bound]
        order, rising = [UTILITY_SELECTION, LEAKAGE_SELECTION], [False, True]
        nearest = rows[LEAKAGE_SELECTION].min()
    if fitting.empty:
        return Choice(wish, None, nearest=float(nearest) if pd.notna(nearest) else None)
    row = fitting.sort_values(order, ascending=rising, kind="stable").iloc[0]
    if wish.aim == "utility floor":
        slack, error = row[UTILITY] - wish.bound, row[UTILITY_ERROR]
    else:
        slack, error = wish.bound - row[LEAKAGE], row[LEAKAGE_ERROR]
    known = math.isfinite(error) and error > 0
    chance = float(stats.norm.cdf(slack / error)) if known else None
    return Choice(wish, row, bool(slack >= 0), chance)


def _knee(utility: NDArray[np.float64], leakage: NDArray[np.float64]) -> int | None:
    """Place of the knee among points; None where the frontier is too short or straight."""
    marked = np.flatnonzero(non_dominated(utility, leakage))
    if len(marked) < 3:
        return None
    # Rising in both figures; of exact duplicates the first stands for all.
    order = marked[np.lexsort((leakage[marked], utility[marked]))]
    first, last = order[0], order[-1]
    width, height = utility[last] - utility[first], leakage[last] - leakage[first]
    if width <= 0 or height <= 0:
        return None
    below = (utility[order] - utility[first]) / width - (leakage[order] - leakage[first]) / height
    best = int(np.argmax(below))
    return int(order[best]) if below[best] > 1e-12 else None
