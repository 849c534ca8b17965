"""A straight line through leakage against the number of images, and what it allows to say."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

LEVEL = 0.95
"""Confidence of every interval."""

Verdict = Literal["yes", "no longer clearly", "no clear effect", "too few points"]


@dataclass(frozen=True)
class Slope:
    """Leakage gained per tenfold of images, with its interval; None where there is none."""

    value: float
    interval: tuple[float, float] | None

    @property
    def rises(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.interval is not None and self.interval[0] > 0


@dataclass(frozen=True)
class Trend:
    """Leakage against log10 of the number of images.

    Attributes:
        overall: Slope of the least-squares line through all points.
        intercept: Its value at one image.
        last: Slope between the two largest numbers of images.
        last_images: Those two numbers.
        num_points: Points the line was fitted to.
    """

    overall: Slope
    intercept: float
    last: Slope
    last_images: tuple[float, float]
    num_points: int

    @property
    def verdict(self) -> Verdict:
        """Whether more data still helps.

        `yes` if the interval of the whole line's slope and that of its last segment lie above 0;
        `no longer clearly` if only the whole line's does; `no clear effect` if that one does not;
        `too few points` if there is no interval.
        """
        if self.overall.interval is None:
            return "too few points"
        if not self.overall.rises:
            return "no clear effect"
        return "yes" if self.last.rises else "no longer clearly"


def fit_trend(images: Sequence[float], leakages: Sequence[float]) -> Trend | None:
    """Fits leakage = intercept + slope · log10(images) by least squares.

    The interval of the slope is ± t · its standard error, with n - 2 degrees of freedom. That of
    the last segment takes the scatter s of the points about the whole line for the noise of a
    point: ± t · s · sqrt(1/n_a + 1/n_b) / (log10 b - log10 a), where n_a and n_b points lie at its
    two ends. A curve that bends is thus judged with caution.

    Args:
        images: n numbers of images, above 0; several points may have the same.
        leakages: n leakages, in [0, 1].

    Returns:
        The trend, its intervals None for fewer than three points; None if there are fewer than two
        different numbers of images.

    Raises:
        ValueError: The lists differ in length, or a value is not finite or no number of images.
    """
    if len(images) != len(leakages):
        raise ValueError(f"images has {len(images)} values, leakages {len(leakages)}: one for each")
    values = np.asarray(leakages, dtype=float)
    counts = np.asarray(images, dtype=float)
    if not (np.isfinite(values).all() and np.isfinite(counts).all() and (counts > 0).all()):
        raise ValueError(f"images {images} must be above 0 and leakages {leakages} finite")
    if len(distinct := np.unique(counts)) < 2:
        return None
    places = np.log10(counts)
    line = stats.linregress(places, values)
    slope, intercept = float(line.slope), float(line.intercept)
    below, above = distinct[-2:]
    first, second = values[counts == below], values[counts == above]
    width = math.log10(above / below)
    gain = float(second.mean() - first.mean()) / width
    half: tuple[float, float] | None = None
    if (freedom := len(values) - 2) > 0:
        quantile = float(stats.t.ppf((1 + LEVEL) / 2, freedom))
        scatter = math.sqrt(float(((values - intercept - slope * places) ** 2).sum()) / freedom)
        noise = scatter * math.sqrt(1 / len(first) + 1 / len(second)) / width
        half = (quantile * float(line.stderr), quantile * noise)
    return Trend(
        overall=Slope(slope, half and (slope - half[0], slope + half[0])),
        intercept=intercept,
        last=Slope(gain, half and (gain - half[1], gain + half[1])),
        last_images=(float(below), float(above)),
        num_points=len(values),
    )
