"""The frontier of utility against leakage, and the area it commands.

Utility is to be large, leakage small; there may be several leakages, each an objective of its own
(of images and of attributes, say), and the area is a volume then. Both functions follow the same
rules:

- A point with a NaN or an infinity in any value is never on the frontier, dominates nothing and
  adds no area: an encoder that was not measured proves nothing.
- A point dominates another if it is at least as good in all values and better in one; so of two
  points with equal utility the one that leaks more is dominated.
- Exact duplicates do not dominate each other: all of them are on the frontier, or none.
- A point with an attacker that did not saturate is a lower bound of the leakage: like a point that
  was not measured, it is never on the frontier, dominates nothing and adds no area.
"""

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray


def non_dominated(
    utility: ArrayLike, leakage: ArrayLike, saturated: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Marks the points that no other point dominates.

    Args:
        utility: n values, larger is better (mean MCC, in [-1, 1]).
        leakage: n values, smaller is better (in [0, 1]); or [n, k], k leakages of each.
        saturated: n booleans, whether all attackers saturated; None if they all did.

    Returns:
        n booleans; False for every point that is not finite or is a lower bound.

    Raises:
        ValueError: They are not of one length.
    """
    points = _points(utility, leakage, saturated)
    finite = np.isfinite(points).all(axis=1)
    marked = np.zeros(len(points), dtype=bool)
    if finite.any():
        marked[finite] = moocore.is_nondominated(
            points[finite], maximise=_directions(points), keep_weakly=True
        )
    return marked


def hypervolume(
    utility: ArrayLike,
    leakage: ArrayLike,
    saturated: ArrayLike | None = None,
    reference: tuple[float, float] = (0.0, 1.0),
) -> float:
    """Area of what the points dominate, up to a reference point.

    With the default reference, an encoder of perfect utility that leaks nothing commands an area
    of 1. A point that is not better than the reference in both values (utility at or below 0, or
    leakage at or above 1) adds nothing.

    Args:
        utility: n values, larger is better.
        leakage: n values, smaller is better; or [n, k], k leakages of each.
        saturated: n booleans, whether all attackers saturated; None if they all did.
        reference: (utility, leakage) of the worst point that is of any interest; every leakage has
            the same.

    Returns:
        The area, 0 for no points.

    Raises:
        ValueError: They are not of one length.
    """
    points = _points(utility, leakage, saturated)
    better = (points[:, 0] > reference[0]) & (points[:, 1:] < reference[1]).all(axis=1)
    counted = points[np.isfinite(points).all(axis=1) & better]
    if not len(counted):
        return 0.0
    worst = [reference[0], *[reference[1]] * (points.shape[1] - 1)]
    return float(moocore.hypervolume(counted, ref=worst, maximise=_directions(points)))


def _directions(points: NDArray[np.float64]) -> list[bool]:
    """Which values are to be large: utility up, leakages down."""
    return [True, *[False] * (points.shape[1] - 1)]


def _points(
    utility: ArrayLike, leakage: ArrayLike, saturated: ArrayLike | None
) -> NDArray[np.float64]:
    """One row (utility, leakages…) per point; NaN for a leakage of which only a bound is known."""
    first, second = np.asarray(utility, dtype=float), np.asarray(leakage, dtype=float)
    if first.ndim != 1 or second.ndim not in (1, 2) or first.shape != second.shape[:1]:
        raise ValueError(
            "utility must be a vector, leakage one of its length or one row per point, "
            f"got shapes {first.shape} and {second.shape}"
        )
    known = np.ones(len(first), dtype=bool) if saturated is None else np.asarray(saturated, bool)
    if known.shape != first.shape:
        raise ValueError(
            f"saturated must be {len(first)} booleans, one per point, got shape {known.shape}"
        )
    rows = second[:, None] if second.ndim == 1 else second
    return np.column_stack([first, np.where(known[:, None], rows, np.nan)])
