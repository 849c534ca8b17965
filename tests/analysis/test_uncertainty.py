"""How sure a frontier is: cases with answers that can be worked out by hand."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.uncertainty import basic_interval, certainty, redrawn


def table(*rows: tuple[float, float, float, float], **columns: Any) -> pd.DataFrame:
    """Encoders by utility, leakage and their errors."""
    return pd.DataFrame(
        [
            {
                "encoder_id": f"e{number}", "role": "searched", "status": "verified",
                "utility/mean_mcc": u, "leakage/worst": v, "utility/mean_mcc_error": du,
                "leakage/worst_error": dv, "saturated": 1.0, **columns,
            }
            for number, (u, v, du, dv) in enumerate(rows)
        ]
    )  # fmt: skip


def test_two_equally_useful_encoders_are_told_apart_as_often_as_their_errors_allow() -> None:
    # Of two with leakages .50 and .51 and errors .01 each the second leaks less with the chance
    # that a normal variable of deviation √2 · .01 is below -.01.
    found = certainty(table((0.8, 0.50, 0.0, 0.01), (0.8, 0.51, 0.0, 0.01)), draws=20_000)
    assert found is not None
    chance = float(stats.norm.cdf(-1 / math.sqrt(2)))
    assert found.probability["e1"] == pytest.approx(chance, abs=0.012)
    assert found.probability["e0"] == pytest.approx(1 - chance, abs=0.012)


def test_far_apart_encoders_are_certain() -> None:
    found = certainty(table((0.8, 0.2, 0.01, 0.01), (0.5, 0.9, 0.01, 0.01)))
    assert found is not None
    assert found.probability == {"e0": 1.0, "e1": 0.0}


def test_the_area_of_one_encoder_has_the_interval_of_its_leakage() -> None:
    # Area = .5 · (1 - leakage): 1.96 errors of .02 either way, halved.
    found = certainty(table((0.5, 0.4, 0.0, 0.02)), draws=20_000)
    assert found is not None
    area = found.hypervolume
    assert area.value == pytest.approx(0.3)
    assert (area.low, area.high) == pytest.approx((0.3 - 0.0196, 0.3 + 0.0196), abs=1e-3)


def test_the_best_of_many_alike_is_flattered_and_the_interval_says_so() -> None:
    rows = [(0.8, 0.5, 0.0, 0.05)] * 50
    found = certainty(table(*rows), draws=4000)
    assert found is not None
    # Every draw's best of fifty looks better than they are.
    assert found.draws.mean() > found.hypervolume.value + 0.05
    assert found.hypervolume.high < found.hypervolume.value


def test_lower_bounds_and_what_was_not_verified_have_no_part() -> None:
    rows = table((0.8, 0.5, 0.01, 0.01), (0.9, 0.1, 0.01, 0.01), (0.9, 0.1, 0.01, 0.01))
    rows.loc[1, "saturated"] = 0.0
    rows.loc[2, "status"] = "dominated"
    found = certainty(rows)
    assert found is not None
    assert found.probability == {"e0": 1.0}


@pytest.mark.parametrize("missing", ["utility/mean_mcc_error", "leakage/worst_error"])
def test_without_errors_nothing_is_said(missing: str) -> None:
    rows = table((0.8, 0.5, 0.01, 0.01), (0.7, 0.4, 0.01, 0.01))
    rows[missing] = math.nan
    assert certainty(rows) is None
    assert certainty(rows.iloc[:0]) is None


def test_draws_stay_within_what_figures_can_be_and_repeat() -> None:
    given = ([0.99, -0.99], [0.01, 0.99], [0.1, 0.1], [0.1, 0.1])
    utility, leakage = redrawn(*given, draws=500, seed=1)
    assert (utility.max(), leakage.min(), leakage.max()) == (1.0, 0.0, 1.0)
    assert utility.min() >= -1.0
    again, _ = redrawn(*given, draws=500, seed=1)
    assert np.array_equal(utility, again)


def test_the_basic_interval_is_mirrored() -> None:
    draws = np.linspace(1.0, 2.0, 1001)  # quantiles 1.025 and 1.975
    found = basic_interval(1.2, draws)
    assert (found.low, found.high) == pytest.approx((2.4 - 1.975, 2.4 - 1.025))
