"""Figures of seeds: intervals, pairs, how many more would tell."""

import math

import pytest

from analysis.contrasts import (
    Cell,
    interval,
    kendall,
    paired,
    read_cell,
    seeds_to_tell,
    seeds_to_tell_of,
    share_interval,
)
from tests.analysis.attack_rows import HIGH, LOW, rows


def test_student_s_interval_by_hand() -> None:
    # Mean 2, deviation 1, t of two degrees 4.302653: half is 4.302653 / sqrt(3).
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert found.mean - found.low == pytest.approx(2.484138, rel=1e-6)
    assert interval([5.0, 5.0]).low == interval([5.0, 5.0]).high == 5.0
    assert math.isnan(interval([5.0]).low)
    assert interval([]).count == 0


def test_how_many_seeds_would_tell_by_hand() -> None:
    # Mean 2, deviation 1. t / sqrt(n): 2.4841 of 3 seeds, 1.5912 of 4, 1.2417 of 5, 1.0494 of 6,
    # 0.9248 of 7 (t of 2 to 6 degrees: 4.3027, 3.1824, 2.7764, 2.5706, 2.4469).
    found = interval([1.0, 2.0, 3.0])
    assert [seeds_to_tell(found, bound) for bound in (5.0, 0.3, 0.75, 3.1, 1.0)] == [3, 4, 5, 6, 7]
    assert seeds_to_tell(found, 2.0) is None
    assert seeds_to_tell(found, 2.1) is None
    assert seeds_to_tell(interval([1.0]), 5.0) is None


def test_what_is_yes_or_no_of_a_seed_has_an_exact_interval_by_hand() -> None:
    # Of n alike, no more than p with p^n = 0.025: 0.2924 of 3, 0.4782 of 5, 0.5407 of 6.
    three, six = share_interval([1.0] * 3), share_interval([0.0] * 6)
    assert (three.mean, three.low, three.high) == (1.0, pytest.approx(0.2924, abs=1e-4), 1.0)
    assert (six.mean, six.low, six.high) == (0.0, 0.0, pytest.approx(1 - 0.5407, abs=1e-4))
    # One of two: 1 - (1 - p)^2 = 0.025, and as much from the other end.
    half = share_interval([1.0, 0.0])
    assert half.low == pytest.approx(0.0126, abs=1e-4)
    assert half.high == pytest.approx(0.9874, abs=1e-4)


def test_shares_on_either_side_of_a_half_take_as_many_seeds() -> None:
    cells = [Cell("t", "a", "collapsed")]
    for yes, count in ((1, 6), (3, 10), (2, 7)):
        rare = share_interval([1.0] * yes + [0.0] * (count - yes))
        often = share_interval([0.0] * yes + [1.0] * (count - yes))
        assert seeds_to_tell_of(cells, rare, 0.5) == seeds_to_tell_of(cells, often, 0.5) is not None
    # One of six, and no more: 2 of 12 have an upper end of 0.484, 2 of 11 of 0.518.
    assert seeds_to_tell_of(cells, share_interval([1.0] + [0.0] * 5), 0.5) == 12


@pytest.mark.parametrize(
    ("values", "tau"),
    [
        ([1, 2, 3, 4], 1.0),
        ([4, 3, 2, 1], -1.0),
        ([1, 3, 2], 1 / 3),  # rising: 1-3, 1-2; falling: 3-2
        ([2, 2, 2], 0.0),
        ([1, 1, 2], 2 / 3),  # a tie counts as neither
    ],
)
def test_kendall_by_hand(values: list[float], tau: float) -> None:
    assert kendall(values) == pytest.approx(tau)


def test_seeds_are_paired_and_a_missing_one_is_left_out() -> None:
    table = rows({"a": [0.1, 0.2, math.nan], "b": [0.5, 0.9, 0.9]})
    cells = [read_cell(table, LOW), read_cell(table, HIGH)]
    assert paired(cells, lambda v: v[1] - v[0]) == pytest.approx({0: 0.4, 1: 0.7})
