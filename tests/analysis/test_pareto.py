"""Frontier and hypervolume against hand-worked cases."""

import math

import numpy as np
import pytest

from analysis.pareto import hypervolume, non_dominated


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param([(0.5, 0.5)], [True], id="one"),
        pytest.param([(0.8, 0.6), (0.7, 0.3), (0.6, 0.4)], [True, True, False], id="three"),
        pytest.param([(0.8, 0.6), (0.8, 0.5)], [False, True], id="equal utility"),
        pytest.param([(0.8, 0.5), (0.7, 0.5)], [True, False], id="equal leakage"),
        pytest.param([(0.8, 0.5), (0.8, 0.5)], [True, True], id="duplicates on it"),
        pytest.param(
            [(0.5, 0.5), (0.5, 0.5), (0.6, 0.4)], [False, False, True], id="duplicates below it"
        ),
        pytest.param([(-0.1, 0.0), (0.5, 0.5)], [True, True], id="negative utility"),
        pytest.param(
            [(math.nan, 0.0), (0.9, math.nan), (0.5, 0.5)], [False, False, True], id="nan"
        ),
        pytest.param(
            [(math.inf, 0.1), (0.9, -math.inf), (0.5, 0.5)], [False, False, True], id="infinite"
        ),
        pytest.param([(math.nan, math.nan)], [False], id="nothing finite"),
    ],
)
def test_non_dominated(points: list[tuple[float, float]], expected: list[bool]) -> None:
    values = np.array(points, dtype=float).reshape(-1, 2)
    assert non_dominated(values[:, 0], values[:, 1]).tolist() == expected


@pytest.mark.parametrize(
    ("points", "area"),
    [
        pytest.param([], 0.0, id="none"),
        pytest.param([(1.0, 0.0)], 1.0, id="perfect"),
        pytest.param([(0.8, 0.6)], 0.8 * 0.4, id="one"),
        # 0.8 wide from 1 down to 0.6, then 0.7 wide from 0.6 down to 0.3.
        pytest.param([(0.8, 0.6), (0.7, 0.3)], 0.32 + 0.7 * 0.3, id="staircase"),
        pytest.param([(0.8, 0.6), (0.7, 0.3), (0.6, 0.4)], 0.53, id="dominated adds nothing"),
        pytest.param([(0.8, 0.6), (0.8, 0.6)], 0.32, id="duplicate adds nothing"),
        pytest.param([(0.8, 0.6), (-0.5, 0.1)], 0.32, id="negative utility adds nothing"),
        pytest.param([(0.8, 0.6), (0.0, 0.1)], 0.32, id="no utility adds nothing"),
        pytest.param([(0.8, 0.6), (0.9, 1.0)], 0.32, id="full leakage adds nothing"),
        pytest.param([(0.8, 0.6), (math.nan, 0.0), (0.9, math.inf)], 0.32, id="not finite"),
    ],
)
def test_hypervolume(points: list[tuple[float, float]], area: float) -> None:
    values = np.array(points, dtype=float).reshape(-1, 2)
    assert hypervolume(values[:, 0], values[:, 1]) == pytest.approx(area)


def test_a_lower_bound_is_off_the_frontier_dominates_nothing_and_adds_no_area() -> None:
    # The second point would dominate the third, and be dominated by none, were it a leakage.
    utility, leakage, saturated = [0.8, 0.7, 0.6], [0.6, 0.1, 0.3], [True, False, True]
    assert non_dominated(utility, leakage, saturated).tolist() == [True, False, True]
    assert hypervolume(utility, leakage, saturated) == pytest.approx(0.8 * 0.4 + 0.6 * 0.3)
    assert not non_dominated([0.5], [0.1], [False]).any()
    assert hypervolume([0.5], [0.1], [False]) == 0.0
    with pytest.raises(ValueError, match=r"saturated must be 3 booleans.*got shape \(2,\)"):
        non_dominated(utility, leakage, [True, False])


def test_hypervolume_with_another_reference() -> None:
    assert hypervolume([0.8], [0.2], reference=(0.5, 0.6)) == pytest.approx(0.3 * 0.4)


def test_random_points_agree_with_the_definition() -> None:
    values = np.random.default_rng(0).integers(0, 8, size=(60, 2)) / 8
    expected = [
        not any(
            (other[0] >= own[0] and other[1] <= own[1]) and tuple(other) != tuple(own)
            for other in values
        )
        for own in values
    ]
    assert non_dominated(values[:, 0], values[:, 1]).tolist() == expected


@pytest.mark.parametrize("function", [non_dominated, hypervolume])
def test_lengths_must_agree(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"one row per point, got shapes \(2,\) and \(1,\)"):
        function([0.1, 0.2], [0.1])


@pytest.mark.parametrize(
    ("points", "expected", "volume"),
    [
        # (utility, image, attribute): the second beats the first in one kind alone.
        ([(0.8, 0.5, 0.5), (0.8, 0.4, 0.6)], [True, True], 0.8 * (0.25 + 0.24 - 0.2)),
        ([(0.8, 0.5, 0.5), (0.8, 0.5, 0.4)], [False, True], 0.8 * 0.5 * 0.6),
        ([(0.8, 0.5, 0.5), (0.9, 0.5, 1.0)], [True, True], 0.8 * 0.25),
        ([(0.8, 0.5, 0.5), (0.9, math.nan, 0.1)], [True, False], 0.8 * 0.25),
    ],
)
def test_several_leakages_are_objectives_of_their_own(
    points: list[tuple[float, float, float]], expected: list[bool], volume: float
) -> None:
    values = np.array(points)
    assert non_dominated(values[:, 0], values[:, 1:]).tolist() == expected
    assert hypervolume(values[:, 0], values[:, 1:]) == pytest.approx(volume)
    # Of one column it is what it is of a vector.
    assert hypervolume(values[:, 0], values[:, 1:2]) == hypervolume(values[:, 0], values[:, 1])
