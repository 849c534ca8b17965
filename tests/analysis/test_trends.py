"""The line through leakage against images, against a regression worked by hand."""

import math

import pytest

from analysis.trends import fit_trend

T_1, T_2 = 12.7062047, 4.3026527
"""Student's t at 97.5% with one and two degrees of freedom, from a printed table."""


def test_three_points_by_hand() -> None:
    """log10 = 1, 2, 3: mean 2, Σ(x-2)² = 2; leakages .1, .3, .4: Σ(x-2)y = .3, slope .15.

    Fitted .1167, .2667, .4167; residuals -1/60, 2/60, -1/60; s² = 6/3600 with n - 2 = 1.
    """
    trend = fit_trend([10, 100, 1000], [0.1, 0.3, 0.4])
    assert trend is not None
    scatter = math.sqrt(6 / 3600)
    assert trend.overall.value == pytest.approx(0.15)
    assert trend.intercept == pytest.approx(0.8 / 3 - 0.15 * 2)
    half = T_1 * scatter / math.sqrt(2)
    assert trend.overall.interval == pytest.approx((0.15 - half, 0.15 + half))
    # The last segment: .1 in one tenfold, between two single points.
    assert trend.last_images == (100, 1000)
    assert trend.last.value == pytest.approx(0.1)
    half = T_1 * scatter * math.sqrt(2)
    assert trend.last.interval == pytest.approx((0.1 - half, 0.1 + half))
    assert trend.verdict == "no clear effect"


def test_seeds_share_an_end_of_the_last_segment() -> None:
    """Two seeds at 10 and at 1,000 images: slope .2, residuals ±.01, s² = 4e-4 / 2."""
    trend = fit_trend([10, 1000, 10, 1000], [0.19, 0.61, 0.21, 0.59])
    assert trend is not None
    assert trend.num_points == 4
    assert trend.overall.value == pytest.approx(0.2)
    # Σ(x-2)² = 4; the noise of a mean of two on either side, over two tenfolds, is the same.
    half = T_2 * math.sqrt(2e-4) / 2
    assert trend.overall.interval == pytest.approx((0.2 - half, 0.2 + half))
    assert trend.last.interval == pytest.approx((0.2 - half, 0.2 + half))
    assert trend.verdict == "yes"


@pytest.mark.parametrize(
    ("leakages", "verdict"),
    [
        ([0.0, 0.101, 0.199, 0.3, 0.401], "yes"),
        ([0.0, 0.2, 0.35, 0.45, 0.46], "no longer clearly"),
        ([0.3, 0.31, 0.29, 0.3, 0.31], "no clear effect"),
        ([0.4, 0.3, 0.2, 0.1, 0.0], "no clear effect"),
        # Nothing leaks at all: the line is flat, and its interval has no width.
        ([0.0, 0.0, 0.0, 0.0, 0.0], "no clear effect"),
    ],
)
def test_verdicts(leakages: list[float], verdict: str) -> None:
    trend = fit_trend([6, 64, 640, 6400, 64_000], leakages)
    assert trend is not None
    assert trend.verdict == verdict


def test_two_points_have_a_slope_without_an_interval() -> None:
    trend = fit_trend([10, 100], [0.1, 0.3])
    assert trend is not None
    assert trend.overall.value == pytest.approx(0.2)
    assert trend.overall.interval is None
    assert trend.verdict == "too few points"


def test_one_number_of_images_has_no_trend() -> None:
    assert fit_trend([640, 640], [0.1, 0.3]) is None
    assert fit_trend([], []) is None


@pytest.mark.parametrize(
    ("images", "leakages", "message"),
    [([10, 0], [0.1, 0.2], "above 0"), ([10, 100], [0.1, math.nan], "finite"),
     ([10], [0.1, 0.2], "one for each")],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused(
    images: list[float], leakages: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_trend(images, leakages)
