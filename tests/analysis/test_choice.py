"""Which encoder is recommended: hand-worked frontiers."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.choice import Wish, choose
from analysis.choice_cards import choice_cards, wishes_of
from analysis.load import load_study
from analysis.report import write_report


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


def test_the_report_recommends_what_was_asked_for(full_study: Any, tmp_path: Path) -> None:
    # On selection .01 more than on test: u4 (.81, .61), u3 (.79, .76), s1 (.76, .21), s3 (.71, .36)
    wishes = [Wish("utility floor", 0.8), Wish("leakage ceiling", 0.1)]
    tables = load_study("full", full_study.uri)
    first, second = choice_cards(tables, wishes)
    assert (first.wish, first.label) == ("Mean MCC of at least 0.8", "undefended conv4")
    assert ("worst leakage", "0.600") in first.rows
    assert ("code bytes", "1,024") in first.rows
    assert first.rebuilder == "decoder_strong"
    assert first.picture.startswith("data:image/webp")
    assert second.label == ""
    assert second.doubts == (
        "No encoder with saturated attackers has that on the selection split: the least leaking "
        "leaks 0.210.",
    )
    page = write_report(tables, tmp_path, wishes=wishes).read_text(encoding="utf-8")
    assert '<h2 id="choosing">' in page
    assert page.count('<section class="choice">') == 2


def test_a_studys_own_floor_is_a_wish_unless_another_is_asked_for(full_study: Any) -> None:
    tables = load_study("full", full_study.uri)
    assert [str(wish) for wish in wishes_of(tables)] == ["The knee of the frontier"]
    tables.config["study"] = {"utility_floor": 0.7}
    assert wishes_of(tables)[0] == Wish("utility floor", 0.7)
    asked = [Wish("utility floor", 0.5)]
    assert wishes_of(tables, asked) == [*asked, Wish("knee")]


@pytest.mark.parametrize(
    ("word", "said"),
    [("--utility-floor=1.2", "--utility-floor: from -1 to 1, got 1.2"),
     ("--leakage-ceiling=-0.1", "--leakage-ceiling: from 0 to 1, got -0.1"),
     ("--leakage-ceiling=nan", "--leakage-ceiling: from 0 to 1, got nan")],
)  # fmt: skip
def test_a_bound_that_no_figure_can_have_is_refused(capsys: Any, word: str, said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["full", word])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
