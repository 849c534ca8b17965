"""How sure a frontier is: figures are redrawn within their standard errors, many times.

An encoder's utility and leakage were measured on the images of a test split; on others they would
come out a little different. Each draw moves every figure by a normal error of its own and looks at
the frontier again. What this does not know is how another training of the same encoder would come
out: that takes a confirmation, with seeds of its own.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.pareto import hypervolume, non_dominated
from analysis.tables import (
    LEAKAGE,
    LEAKAGE_ERROR,
    UTILITY,
    UTILITY_ERROR,
    is_saturated,
    measured,
)

DRAWS = 1000
LEVEL = 0.95
"""Share of the draws that an interval holds."""


@dataclass(frozen=True)
class Interval:
    """A figure with its interval at LEVEL."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Certainty:
    """How sure a study's frontier is.

    Attributes:
        probability: Encoder → share of the draws in which no other one beats it; of every encoder
            that may be on the frontier.
        hypervolume: The area, with its interval.
        draws: Hypervolume of each draw.
    """

    probability: dict[str, float]
    hypervolume: Interval
    draws: NDArray[np.float64]


def certainty(encoders: pd.DataFrame, draws: int = DRAWS, seed: int = 0) -> Certainty | None:
    """Redraws a study's figures.

    Args:
        encoders: The table of encoders; one without standard errors is taken for exact.
        draws: How often.
        seed: Of the draws: the same table gives the same answer.

    Returns:
        None where no encoder has a standard error, or none may be on the frontier.
    """
    rows = encoders[measured(encoders)]
    rows = rows[is_saturated(rows)]
    errors = rows[[UTILITY_ERROR, LEAKAGE_ERROR]]
    if rows.empty or not errors.notna().any().all():
        return None
    errors = errors.fillna(0.0)
    utilities, leakages = redrawn(
        rows[UTILITY], rows[LEAKAGE], errors[UTILITY_ERROR], errors[LEAKAGE_ERROR], draws, seed
    )
    pairs = list(zip(utilities, leakages, strict=True))
    on_frontier = np.mean([non_dominated(u, v) for u, v in pairs], axis=0)
    areas = np.array([hypervolume(u, v) for u, v in pairs])
    area = hypervolume(rows[UTILITY], rows[LEAKAGE])
    names = [str(name) for name in rows["encoder_id"]]
    return Certainty(
        dict(zip(names, on_frontier.tolist(), strict=True)), basic_interval(area, areas), areas
    )


def redrawn(
    utility: ArrayLike,
    leakage: ArrayLike,
    utility_error: ArrayLike,
    leakage_error: ArrayLike,
    draws: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Utilities and leakages [draws, n] with normal errors, kept within what they can be."""
    generator = np.random.default_rng(seed)
    moved = []
    for values, errors, low in ((utility, utility_error, -1.0), (leakage, leakage_error, 0.0)):
        centre, scale = np.asarray(values, float), np.asarray(errors, float)
        noise = generator.standard_normal((draws, len(centre)))
        moved.append((centre + scale * noise).clip(low, 1.0))
    return moved[0], moved[1]


def basic_interval(value: float, draws: NDArray[np.float64]) -> Interval:
    """The basic bootstrap interval: the draws' quantiles mirrored at the value.

    A frontier takes the best of noisy figures, so that the area of a redrawn one is larger on
    average; by as much the measured area is likely to be too large itself.
    """
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(2 * value - high), float(2 * value - low))
