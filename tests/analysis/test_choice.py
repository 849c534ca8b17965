"""Which encoder is recommended: hand-worked frontiers."""

import math
from typing import Any

import pandas as pd
import pytest

from analysis.choice import Wish, choose


def table(*rows: tuple[str, float, float], **columns: Any) -> pd.DataFrame:
    """Encoders by name, utility and leakage on selection; on test both are worse by .01."""
    return pd.DataFrame(
        [
            {
                "encoder_id": name, "role": "searched", "status": "verified", "saturated": 1.0,
                "utility/mean_mcc_selection": u, "leakage/worst_selection": v,
                "utility/mean_mcc": u - 0.01, "leakage/worst": v + 0.01,
                "utility/mean_mcc_error": 0.01, "leakage/worst_error": 0.02, **columns,
            }
            for name, u, v in rows
        ]
    )  # fmt: skip


FOUR = (("low", 0.5, 0.1), ("knee", 0.8, 0.2), ("upper", 0.85, 0.5), ("high", 0.9, 0.9))


def chosen(wish: Wish, encoders: pd.DataFrame) -> str | None:
    """The encoder's name."""
    row = choose(encoders, wish).row
    return None if row is None else str(row["encoder_id"])


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        (Wish("utility floor", 0.85), "upper"),
        (Wish("utility floor", 0.851), "high"),
        (Wish("utility floor", 0.0), "low"),
        (Wish("utility floor", 0.95), None),
        (Wish("leakage ceiling", 0.5), "upper"),
        (Wish("leakage ceiling", 0.49), "knee"),
        (Wish("leakage ceiling", 0.05), None),
        # In units of .4 and .8: (.75, .125), (.875, .5): furthest below the diagonal is the first.
        (Wish("knee"), "knee"),
    ],
)
def test_the_choice_is_made_on_selection(wish: Wish, name: str | None) -> None:
    assert chosen(wish, table(*FOUR)) == name


def test_what_is_told_is_of_test_where_a_wish_may_be_missed() -> None:
    found = choose(table(*FOUR), Wish("utility floor", 0.85))
    assert found.held is False, "0.84 on test"
    assert found.chance == pytest.approx(0.158655, abs=1e-6)  # one error short
    found = choose(table(*FOUR), Wish("leakage ceiling", 0.53))
    assert (found.held, found.chance) == (True, pytest.approx(0.841345, abs=1e-6))
    unknown = choose(table(*FOUR, **{"utility/mean_mcc_error": math.nan}), Wish("utility floor", 0))
    assert (unknown.held, unknown.chance) == (True, None)


def test_where_nothing_fits_the_nearest_is_told() -> None:
    assert choose(table(*FOUR), Wish("utility floor", 0.95)).nearest == pytest.approx(0.9)
    assert choose(table(*FOUR), Wish("leakage ceiling", 0.05)).nearest == pytest.approx(0.1)


def test_lower_bounds_and_the_labels_are_not_recommended() -> None:
    encoders = table(*FOUR, ("bound", 0.9, 0.01), ("labels", 1.0, 0.0))
    encoders.loc[encoders["encoder_id"] == "bound", "saturated"] = 0.0
    encoders.loc[encoders["encoder_id"] == "labels", "role"] = "labels"
    assert chosen(Wish("utility floor", 0.85), encoders) == "upper"
    assert chosen(Wish("knee"), encoders) == "knee"


def test_equals_are_decided_by_the_other_figure_then_by_age() -> None:
    encoders = table(("a", 0.8, 0.2), ("b", 0.9, 0.2), ("c", 0.9, 0.2))
    assert chosen(Wish("utility floor", 0.7), encoders) == "b"


@pytest.mark.parametrize(
    "rows",
    [
        (),
        FOUR[:2],
        (("a", 0.5, 0.1), ("b", 0.7, 0.3), ("c", 0.9, 0.5)),  # a straight line
        (("a", 0.5, 0.1), ("b", 0.6, 0.5), ("c", 0.9, 0.5)),  # b is beaten: two are left
        (("a", 0.5, 0.1), ("b", 0.6, 0.4), ("c", 0.9, 0.5)),  # bent the wrong way
    ],
)
def test_a_frontier_without_a_knee_has_none(rows: Any) -> None:
    encoders = table(*rows) if rows else table(*FOUR).iloc[:0]
    assert chosen(Wish("knee"), encoders) is None


def test_wishes_in_words() -> None:
    assert str(Wish("utility floor", 0.9)) == "Mean MCC of at least 0.9"
    assert str(Wish("leakage ceiling", 0.25)) == "Worst leakage of at most 0.25"
    assert str(Wish("knee")) == "The knee of the frontier"
