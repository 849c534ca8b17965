"""What a claim compares: figures of rows, seed by seed, with an interval over the seeds.

Seeds are paired: the n-th training of one encoder and of another start from the same seed and the
same split, so that their difference is taken first and averaged afterwards. The interval is
Student's, 95%, over the seeds' differences: with three seeds it is wide, as it should be. Of what
is yes or no of a seed it is Clopper and Pearson's: three alike have no spread, and are no proof.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from analysis.rows import ExperimentRows

LEVEL = 0.95
MIN_SEEDS = 3
"""Seeds below which nothing is decided."""
MOST_SEEDS = 50
"""More than these nobody is asked for: the figure lies where the bound does."""
FACE, SCORE, MCC = "face_similarity", "test", "utility/mean_mcc"
"""Columns: of the face that a decoder rebuilt, an attacker's own score, the service's utility."""
YES_OR_NO = frozenset({"collapsed"})
"""Columns that are 1 or 0 of a seed."""


@dataclass(frozen=True)
class Cell:
    """One figure of one row, for every seed.

    Attributes:
        recipe: Of which experiment.
        encoder: Of which encoder.
        metric: The column.
        role: Of which attacker; empty for the encoder itself.
    """

    recipe: str
    encoder: str
    metric: str
    role: str = ""


@dataclass(frozen=True)
class Values:
    """A cell's figures.

    Attributes:
        by_seed: Seed → figure; seeds whose figure is missing or not finite are left out.
        bounds: Seeds whose attacker did not saturate: lower bounds of what it can get.
        collapsed: Seeds whose encoder collapsed.
        diverged: Seeds whose encoder diverged: nothing can attack such a one.
    """

    by_seed: Mapping[int, float]
    bounds: frozenset[int]
    collapsed: frozenset[int]
    diverged: frozenset[int]


@dataclass(frozen=True)
class SeedMean:
    """A mean over seeds with its interval.

    Attributes:
        mean: The mean; NaN without a seed.
        low: Lower end; NaN below two seeds.
        high: Upper end.
        count: Seeds.
    """

    mean: float
    low: float
    high: float
    count: int


def read_cell(rows: ExperimentRows, cell: Cell) -> Values:
    """A cell's figures, seed by seed."""
    table = rows.table
    chosen = table[
        (table["recipe"] == cell.recipe)
        & (table["encoder"] == cell.encoder)
        & (table["role"] == cell.role)
    ]
    own = table[
        (table["recipe"] == cell.recipe)
        & (table["encoder"] == cell.encoder)
        & (table["role"] == "")
    ]
    figures = chosen[cell.metric] if cell.metric in chosen else pd.Series(dtype=float)
    by_seed = {
        int(seed): float(value)
        for seed, value in zip(chosen["seed"], figures, strict=False)
        if pd.notna(value) and math.isfinite(value)
    }
    unsaturated = chosen["saturated"].eq(False) if cell.role else pd.Series(False, chosen.index)
    return Values(
        by_seed,
        frozenset(chosen.loc[unsaturated, "seed"].astype(int)),
        *(
            frozenset(own.loc[own["status"] == status, "seed"].astype(int))
            for status in ("collapsed", "diverged")
        ),
    )


def interval(values: Sequence[float]) -> SeedMean:
    """Student's interval of a mean; of equal values it is a point."""
    count = len(values)
    if count == 0:
        return SeedMean(math.nan, math.nan, math.nan, 0)
    mean = math.fsum(values) / count
    if count == 1:
        return SeedMean(mean, math.nan, math.nan, 1)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1)) * spread / math.sqrt(count)
    return SeedMean(mean, mean - half, mean + half, count)


def share_interval(values: Sequence[float]) -> SeedMean:
    """Clopper and Pearson's interval of a share, exact: of three alike of three it is 0.29 to 1.

    Args:
        values: 1 or 0 of each seed.
    """
    count = len(values)
    if count == 0:
        return SeedMean(math.nan, math.nan, math.nan, 0)
    found = stats.binomtest(round(sum(values)), count).proportion_ci(LEVEL, method="exact")
    return SeedMean(math.fsum(values) / count, float(found.low), float(found.high), count)


def interval_of(cells: Sequence[Cell], values: Sequence[float]) -> SeedMean:
    """The mean and interval that figures made of these cells ask for."""
    yes_or_no = all(cell.metric in YES_OR_NO for cell in cells)
    return share_interval(values) if yes_or_no else interval(values)


def seeds_to_tell_of(cells: Sequence[Cell], found: SeedMean, bound: float) -> int | None:
    """As `seeds_to_tell`, by the interval that figures made of these cells ask for."""
    if not all(cell.metric in YES_OR_NO for cell in cells):
        return seeds_to_tell(found, bound)
    for count in range(found.count, MOST_SEEDS + 1):
        # Towards the bound, where the share cannot be as it is: no seed is made up for a verdict.
        yes = (math.floor if found.mean > bound else math.ceil)(round(found.mean * count, 9))
        share = share_interval([1.0] * yes + [0.0] * (count - yes))
        if share.low > bound or share.high < bound:
            return count
    return None


def seeds_to_tell(found: SeedMean, bound: float) -> int | None:
    """How many seeds would bring the interval off a bound, if mean and spread stayed as they are.

    Returns:
        The least number, at least that of the seeds there are; None above `MOST_SEEDS`, or without
        a spread to go by.
    """
    if found.count < 2:
        return None
    t = functools.partial(stats.t.ppf, (1 + LEVEL) / 2)
    spread = (found.high - found.mean) / t(found.count - 1) * math.sqrt(found.count)
    away = abs(found.mean - bound)
    for count in range(found.count, MOST_SEEDS + 1):
        if t(count - 1) * spread / math.sqrt(count) < away:
            return count
    return None


def seeds_in_common(cells: Sequence[Values]) -> set[int]:
    """The seeds of which no figure is missing."""
    return set.intersection(*(set(values.by_seed) for values in cells)) if cells else set()


def paired(
    cells: Sequence[Values], statistic: Callable[[Sequence[float]], float]
) -> dict[int, float]:
    """Seed → the statistic of that seed's figures, where none is missing and it is defined."""
    seeds = sorted(seeds_in_common(cells))
    found = {seed: statistic([v.by_seed[seed] for v in cells]) for seed in seeds}
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def kendall(values: Sequence[float]) -> float:
    """How far figures rise in their order: 1 always, -1 never; ties count as neither.

    Kendall's τ-a: (rising pairs - falling pairs) / pairs.
    """
    pairs = [(a, b) for i, a in enumerate(values) for b in values[i + 1 :]]
    if not pairs:
        return math.nan
    return sum((b > a) - (b < a) for a, b in pairs) / len(pairs)
