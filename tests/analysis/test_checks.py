"""Claims against rows whose answers are known by hand."""

import pandas as pd
import pytest

from analysis.checks import Check, CheckResult, Claim, check_result, judge
from analysis.claims import claims
from analysis.comparisons import (
    falls,
    keeps_less,
    keeps_less_than,
    keeps_more,
    lower,
    not_lower,
    ratio_above,
    single,
)
from analysis.contrasts import Cell
from analysis.paper_tables import paper_tables
from analysis.rows import ExperimentRows
from tests.analysis.attack_rows import HIGH, LOW, rows


def test_what_is_undecided_says_what_it_would_take() -> None:
    # The differences are -0.2, -0.1, 0: mean -0.1, deviation 0.1, and so one of 1 deviation.
    open_still = check_result(rows({"a": [0.3, 0.4, 0.5], "b": [0.5] * 3}), lower("", LOW, HIGH))
    assert (open_still.verdict, open_still.takes) == ("undecided", 7)
    assert open_still.why == "about 7 seeds would tell, for it"
    near = check_result(rows({"a": [0.3, 0.71, 0.5], "b": [0.5] * 3}), lower("", LOW, HIGH))
    assert (near.takes, near.why) == (None, "not with 50 seeds either")
    assert check_result(rows({"a": [0.1] * 3, "b": [0.5] * 3}), lower("", LOW, HIGH)).takes is None
    bound = rows({"a": [0.3, 0.4, 0.5], "b": [0.5] * 3}, saturated=False)
    # Of what is a lower bound more seeds would only be more lower bounds.
    found = check_result(bound, lower("", LOW, HIGH))
    assert (found.takes, found.why) == (None, "a lower bound: an attacker of a had not saturated")
    # Where they lean the other way, it is no hindrance: only more can come to light.
    bound = rows({"a": [0.7, 0.6, 0.5], "b": [0.5] * 3}, saturated=False)
    assert check_result(bound, lower("", LOW, HIGH)).why == "about 7 seeds would tell, against it"


def test_whose_seeds_are_missing_is_named() -> None:
    def why(**figures: list[float]) -> str:
        return check_result(rows(figures), lower("", LOW, HIGH)).why

    assert why(a=[0.1] * 3, b=[0.5]) == "1 of 3 seeds, for lack of b"
    assert why(b=[0.5] * 3) == "0 of 3 seeds, for lack of a"
    assert why(a=[0.1], b=[0.5]) == "1 of 3 seeds"
    assert why(c=[0.5] * 3) == "0 of 3 seeds"


def test_three_that_collapse_alike_decide_nothing_and_six_do() -> None:
    collapsed = Cell("t", "a", "collapsed")

    def found(count: int, above: bool) -> CheckResult:
        table = rows({"a": [0.0] * count})
        table.table["collapsed"] = 1.0
        return check_result(table, single("", collapsed, 0.5, above))

    assert (found(3, True).verdict, found(3, True).takes) == ("undecided", 6)
    assert found(3, True).why == "about 6 seeds would tell, for it"
    assert found(3, False).why == "about 6 seeds would tell, against it"
    assert found(6, True).verdict == "reproduced"
    assert found(6, False).verdict == "not reproduced"


def test_one_check_against_a_claim_is_enough_and_for_it_all_must_speak() -> None:
    # a less b: -0.1 with a deviation of 0.1, told by 7 seeds; a less c: of 0.06, told by 4; d less
    # b: a mean of 0, which no number tells.
    figures = {"a": [0.3, 0.4, 0.5], "b": [0.5] * 3, "c": [0.46, 0.5, 0.54], "d": [0.3, 0.8, 0.4]}
    table = rows(figures)
    c, d = Cell("t", "c", "test", "weak"), Cell("t", "d", "test", "weak")

    def told(*checks: Check) -> str:
        return judge(table, Claim("T1", "", "", checks)).would_tell

    slow, fast = lower("", LOW, HIGH), lower("", LOW, c)
    assert told(slow) == told(slow, fast) == "about 7 seeds would tell, for it"
    assert told(fast) == "about 4 seeds would tell, for it"
    assert told(slow, lower("", c, LOW)) == "about 4 seeds would tell, against it"
    assert told(slow, lower("", d, HIGH)) == told(lower("", d, HIGH)) == ""


@pytest.mark.parametrize(
    ("a", "verdict"),
    [
        ([0.1, 0.11, 0.12], "reproduced"),
        ([0.9, 0.91, 0.92], "not reproduced"),
        ([0.1, 0.9, 0.5], "undecided"),  # the interval of the differences holds 0
        ([0.1, 0.1], "undecided"),  # two seeds decide nothing
        ([0.5, 0.5, 0.5], "not reproduced"),  # exactly equal is not lower
    ],
)
def test_lower(a: list[float], verdict: str) -> None:
    assert check_result(rows({"a": a, "b": [0.5] * 3}), lower("", LOW, HIGH)).verdict == verdict


def test_a_lower_bound_is_no_evidence_of_little_leakage() -> None:
    found = check_result(
        rows({"a": [0.1, 0.1, 0.1], "b": [0.5] * 3}, saturated=False), lower("", LOW, HIGH)
    )
    assert found.verdict == "undecided"
    assert "had not saturated" in found.why
    # That it leaks more than something else, a lower bound does show.
    table = rows({"a": [0.9, 0.9, 0.9], "b": [0.5] * 3}, saturated=False)
    assert check_result(table, lower("", HIGH, LOW)).verdict == "reproduced"
    assert check_result(table, lower("", LOW, HIGH)).verdict == "not reproduced"


@pytest.mark.parametrize(
    "check",
    [
        lower("", HIGH, LOW),
        not_lower("", LOW, HIGH, 0.05),
        keeps_more("", LOW, HIGH, 0.0, 0.5),
        ratio_above("", LOW, HIGH, 2.0),
        single("", LOW, 0.5, above=True),
    ],
)
def test_a_lower_bound_is_no_evidence_against_what_should_be_high(check: Check) -> None:
    low, high = {"a": [0.1] * 3, "b": [0.5] * 3}, {"a": [2.0] * 3, "b": [0.5] * 3}
    assert check_result(rows(low), check).verdict == "not reproduced"
    found = check_result(rows(low, saturated=False), check)
    assert found.verdict == "undecided"
    assert found.why == "a lower bound: an attacker of a had not saturated"
    # For the claim it speaks as well as any.
    assert check_result(rows(high, saturated=False), check).verdict == "reproduced"


def test_an_order_with_a_lower_bound_in_it_is_not_known() -> None:
    check = falls("", [HIGH, LOW])
    for a in (0.1, 0.9):
        found = check_result(rows({"a": [a] * 3, "b": [0.5] * 3}, saturated=False), check)
        assert found.verdict == "undecided"


def test_two_attackers_that_both_ran_out_of_steps_tell_nothing_of_their_length() -> None:
    table = rows({"a": [20000.0] * 3, "b": [20000.0] * 3}, saturated=False)
    assert check_result(table, ratio_above("", LOW, HIGH, 1.0)).verdict == "undecided"


def test_more_steps_on_an_encoder_that_says_nothing_are_no_defence() -> None:
    table = rows({"a": [8000.0] * 3, "b": [2000.0] * 3}, status="collapsed")
    found = check_result(table, ratio_above("", LOW, HIGH, 2.0))
    assert (found.verdict, found.why) == ("undecided", "a collapsed or diverged")


def test_a_claim_that_an_encoder_says_nothing_may_stand_on_a_collapsed_one() -> None:
    # (0.2 - 0.1) / (0.9 - 0.1) = an eighth.
    table = rows({"a": [0.2] * 3, "b": [0.9] * 3, "c": [0.1] * 3}, status="collapsed")
    floor = Cell("t", "c", "test", "weak")
    found = check_result(table, keeps_less_than("", LOW, HIGH, floor, 0.25))
    assert (found.found.mean, found.verdict) == (pytest.approx(0.125), "reproduced")
    assert check_result(table, keeps_less_than("", LOW, HIGH, floor, 0.1)).verdict != "reproduced"
    # Where nothing is above the floor, there is nothing to keep or to lose.
    none = check_result(table, keeps_less_than("", floor, floor, LOW, 0.25))
    assert (none.verdict, none.why) == ("undecided", "nothing to compare in 3 of 3 seeds")
    # A floor that is too low makes too much of what is left.
    low = rows({"a": [0.1] * 3, "b": [0.3] * 3, "c": [0.2] * 3}, saturated=False)
    found = check_result(low, keeps_less_than("", floor, HIGH, LOW, 0.25))
    assert (found.found.mean, found.verdict) == (pytest.approx(0.5), "undecided")
    assert found.why == "a lower bound: an attacker of a had not saturated"


def test_a_collapsed_encoder_is_not_private() -> None:
    table = rows({"a": [0.1] * 3, "b": [0.5] * 3}, status="collapsed")
    found = check_result(table, lower("", LOW, HIGH))
    assert found.verdict == "undecided"
    assert "collapsed" in found.why


def test_a_seed_that_is_not_compared_has_no_say_unless_it_diverged() -> None:
    # The fourth seed of a has no partner; it collapsed, and its attacker had not saturated.
    table = rows({"a": [0.1, 0.11, 0.12, 0.1], "b": [0.5] * 3})
    fourth = (table.table["encoder"] == "a") & (table.table["seed"] == 3)

    def found(status: str, saturated: bool = True) -> str:
        own = fourth & (table.table["role"] == "")
        table.table.loc[own, "status"] = status
        table.table.loc[fourth & ~own, "saturated"] = saturated
        return check_result(table, lower("", LOW, HIGH)).verdict

    assert found("finished") == found("collapsed") == "reproduced"
    assert found("finished", saturated=False) == "reproduced"
    assert found("diverged") == "undecided"


def test_nor_does_it_speak_against_a_claim() -> None:
    # b is claimed to leak less than a, or a at all; a leaks less, but has collapsed.
    figures = {"a": [0.5] * 3, "b": [0.9] * 3}
    table, working = rows(figures, status="collapsed"), rows(figures)
    for check in (lower("", HIGH, LOW), keeps_more("", LOW, HIGH, 0.5, 0.5)):
        found = check_result(table, check)
        assert (found.verdict, found.why) == ("undecided", "a collapsed or diverged")
        assert check_result(working, check).verdict == "not reproduced"
    # That it is no use, and that what it tells does not fall, does speak.
    useless = (
        not_lower("", LOW, HIGH, 0.05),
        falls("", [LOW, HIGH]),
    )
    for check in useless:
        assert check_result(table, check).verdict == "not reproduced"
    table.table["own"] = table.table["encoder"].map({"a": 0.0, "b": 1.0})
    own = [Cell("t", name, "own") for name in ("a", "b")]
    assert check_result(table, lower("", own[1], own[0])).verdict == "not reproduced"


def test_one_defence_must_defend_against_its_own_attack() -> None:
    d4 = {claim.name: claim for claim in claims()}["D4"]
    asked = {cell for check in d4.checks for cell in check.cells}
    lines = [
        {"recipe": cell.recipe, "encoder": cell.encoder, "seed": seed, "role": role,
         "status": "finished", "saturated": True, "test": 0.9 + seed / 100, "ms_ssim": 0.9}
        for cell in asked for seed in range(3) for role in ("", cell.role)
    ]  # fmt: skip
    table = pd.DataFrame(lines).drop_duplicates()
    # Nobody is defended: each attack is as good as ever, and that says nothing.
    assert judge(ExperimentRows("small", table, {}), d4).verdict == "not reproduced"
    own = {"attribute-alone": "test", "reconstruction-alone": "ms_ssim"}
    for encoder, metric in own.items():
        table.loc[table["encoder"] == encoder, metric] -= 0.3
    assert judge(ExperimentRows("small", table, {}), d4).verdict == "reproduced"


@pytest.mark.parametrize(
    ("margin", "verdict"), [(0.05, "reproduced"), (0.02, "not reproduced"), (0.03, "undecided")]
)
def test_not_lower_by_more_than_a_margin(margin: float, verdict: str) -> None:
    # The differences are -0.029, -0.030, -0.031: mean -0.03, half 4.30 * 0.001 / sqrt(3) = 0.0025.
    table = rows({"a": [0.471, 0.470, 0.469], "b": [0.5] * 3})
    assert check_result(table, not_lower("", LOW, HIGH, margin)).verdict == verdict


def test_what_is_left_above_chance() -> None:
    # (0.6 - 0.5) / (0.9 - 0.5) = a quarter.
    found = check_result(
        rows({"a": [0.6] * 3, "b": [0.9] * 3}), keeps_less("", LOW, HIGH, 0.5, 0.5)
    )
    assert found.found.mean == pytest.approx(0.25)
    assert found.verdict == "reproduced"
    nothing = rows({"a": [0.5] * 3, "b": [0.5] * 3})
    assert check_result(nothing, keeps_less("", LOW, HIGH, 0.5, 0.5)).verdict == "undecided"


def test_a_fall_in_order() -> None:
    cells = [Cell("t", name, "test", "weak") for name in ("a", "b", "c")]
    assert check_result(
        rows({"a": [0.9, 0.8, 0.9], "b": [0.5] * 3, "c": [0.1] * 3}), falls("", cells)
    ).verdict == "reproduced"  # fmt: skip
    assert check_result(
        rows({"a": [0.1] * 3, "b": [0.5] * 3, "c": [0.9] * 3}), falls("", cells)
    ).verdict == "not reproduced"  # fmt: skip


def test_a_claim_is_as_good_as_its_worst_check() -> None:
    table = rows({"a": [0.1] * 3, "b": [0.5] * 3})
    yes, no = lower("", LOW, HIGH), lower("", HIGH, LOW)
    unknown = lower("", LOW, Cell("t", "missing", "test", "weak"))
    verdicts = [
        judge(table, Claim("X", "", "", checks)).verdict
        for checks in ((yes,), (yes, no), (yes, unknown), (no, unknown))
    ]
    assert verdicts == ["reproduced", "not reproduced", "undecided", "not reproduced"]


def test_there_are_the_21_claims_of_the_methods_page() -> None:
    names = [claim.name for claim in claims()]
    assert names == [
        *(f"X{n}" for n in range(1, 9)), *(f"P{n}" for n in range(1, 8)),
        *(f"D{n}" for n in range(1, 7)),
    ]  # fmt: skip
    asked = {cell.recipe for claim in claims() for check in claim.checks for cell in check.cells}
    assert asked == {table.recipe for table in paper_tables()}
