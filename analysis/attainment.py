"""What repeated frontiers attain: the best, the median and the worst leakage at every utility.

A frontier attains a utility and a leakage if one of its points has at least that utility and leaks
at most that much (Fonseca and Fleming, PPSN 1996). Over several frontiers the empirical attainment
function is the share of them that does (Grunert da Fonseca and others, EMO 2001); its surfaces are
where that share reaches one frontier, half of them, and all.

- To attain is weak: equal utility, equal leakage and exact duplicates attain the same.
- A point with a NaN or an infinity attains nothing.
- A lower bound (an attacker that did not saturate) attains nothing: nobody has shown that it leaks
  as little. `analysis.pareto` gives it no area for the same reason.
- What is missing attains nothing, so a frontier that lacks a point can only look worse.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.confirmation import ROLE
from analysis.pareto import hypervolume
from analysis.tables import LEAKAGE, UTILITY, is_saturated

OUTCOMES = ("verified", "collapsed", "diverged")
"""How a training ends that says something of its seed; what failed is tried again."""
BEST, MEDIAN, WORST = 0.0, 50.0, 100.0
"""Per cent of the frontiers that attain a surface; 0 stands for one of them."""

Points = tuple[ArrayLike, ArrayLike, ArrayLike]
"""Of one frontier: n utilities, n leakages, n booleans: whether all attackers saturated."""
Corners = tuple[tuple[float, float], ...]
"""Of a staircase (utility, leakage), by rising utility."""


@dataclass(frozen=True)
class Attainment:
    """The attainment surfaces of several frontiers; one that nothing attains has no corners.

    Attributes:
        best: Corners of what one frontier at least attains.
        median: Of what at least half of them attain; of two that is what one attains.
        worst: Of what all attain.
        num_frontiers: How many there are.
    """

    best: Corners
    median: Corners
    worst: Corners
    num_frontiers: int

    @property
    def num_half(self) -> int:
        """The least number of frontiers that is at least half of them."""
        return -(-self.num_frontiers // 2)


def attainment(frontiers: Sequence[Points]) -> Attainment:
    """Finds the surfaces that one frontier at least, at least half and all of them attain.

    Args:
        frontiers: Each one's points; dominated ones change nothing.

    Raises:
        ValueError: There is no frontier, or the values of one are not of one length.
    """
    if not frontiers:
        raise ValueError("frontiers: at least one, got none")
    sets = [_counted(*points) for points in frontiers]
    places = np.repeat(np.arange(len(sets)), [len(points) for points in sets])
    found = moocore.eaf(np.concatenate(sets), places, percentiles=[BEST, MEDIAN, WORST])
    found = found[np.isfinite(found).all(axis=1)]
    best, median, worst = (
        tuple(sorted((float(-x), float(y)) for x, y, at in found if at == share))
        for share in (BEST, MEDIAN, WORST)
    )
    return Attainment(best, median, worst, len(sets))


def _counted(utility: ArrayLike, leakage: ArrayLike, saturated: ArrayLike) -> NDArray[np.float64]:
    """Rows (-utility, leakage) of the points that attain anything, and one that attains nothing.

    Without that one a frontier without points would not be counted.
    """
    first, second = np.asarray(utility, dtype=float), np.asarray(leakage, dtype=float)
    known = np.asarray(saturated, dtype=bool)
    if not first.shape == second.shape == known.shape or first.ndim != 1:
        raise ValueError(
            "utility, leakage and saturated must be vectors of one length, got shapes "
            f"{first.shape}, {second.shape} and {known.shape}"
        )
    counts = np.isfinite(first) & np.isfinite(second) & known
    rows = np.column_stack([-first[counts], second[counts]])
    return np.vstack([rows, [np.inf, np.inf]])


def least_leakage(corners: Corners, utilities: ArrayLike) -> NDArray[np.float64]:
    """The leakage that a surface attains at each utility; infinite beyond its last corner."""
    xs, ys = np.array(corners, dtype=float).reshape(-1, 2).T
    # The first corner that is useful enough leaks least of those that are.
    return np.append(ys, np.inf)[np.searchsorted(xs, np.asarray(utilities, dtype=float))]


@dataclass(frozen=True)
class SeedFrontiers:
    """The frontiers of a study's fresh trainings: the k-th ones of all encoders make the k-th.

    Attributes:
        surfaces: What they attain.
        areas: Hypervolume of each, in order of k.
        num_encoders: Encoders that were confirmed.
        num_bounds: Trainings that attain nothing, because their leakage is a lower bound.
        num_missing: Trainings that attain nothing, because they were not asked for, are not done,
            failed, collapsed or diverged.
    """

    surfaces: Attainment
    areas: tuple[float, ...]
    num_encoders: int
    num_bounds: int
    num_missing: int


def seed_frontiers(encoders: pd.DataFrame) -> SeedFrontiers | None:
    """Collects the frontiers of the fresh trainings.

    A training's k is what its run says (tag `repeat`); where it says nothing, the least that its
    encoder has free, in the order in which they started. The k-th trainings have but k in common,
    each has a seed of its own: any other grouping would be as good. A k counts once one of its
    trainings has an outcome.

    Args:
        encoders: The table of encoders.

    Returns:
        None where no encoder has two verified fresh trainings.
    """
    again = encoders[encoders["role"] == ROLE]
    again = again.assign(_number=_numbers(again))
    figures = again[[UTILITY, LEAKAGE]].map(math.isfinite).all(axis=1)
    verified = again[(again["status"] == "verified") & figures.astype(bool)]
    if verified.empty or verified.groupby("confirms").size().max() < 2:
        return None
    numbers = sorted(set(again.loc[again["status"].isin(OUTCOMES), "_number"]))
    frontiers = [
        (own[UTILITY], own[LEAKAGE], is_saturated(own))
        for own in (verified[verified["_number"] == number] for number in numbers)
    ]
    num_encoders = again["confirms"].nunique()
    return SeedFrontiers(
        attainment(frontiers),
        tuple(hypervolume(*points) for points in frontiers),
        num_encoders,
        int((~is_saturated(verified)).sum()),
        num_encoders * len(numbers) - len(verified),
    )


def _numbers(again: pd.DataFrame) -> list[int]:
    """Each fresh training's k, from 1."""
    told = [int(value) if math.isfinite(value) else None for value in again["repeat"]]
    pairs = list(zip(again["confirms"], told, strict=True))
    taken = {encoder: {number for one, number in pairs if one == encoder} for encoder, _ in pairs}
    numbers = []
    for encoder, number in pairs:
        if number is None:
            number = next(k for k in range(1, len(pairs) + 2) if k not in taken[encoder])
            taken[encoder].add(number)
        numbers.append(number)
    return numbers
