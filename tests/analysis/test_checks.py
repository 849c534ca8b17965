"""Claims against rows whose answers are known by hand."""

import math
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from analysis import comparisons
from analysis.checks import Check, CheckResult, Claim, check_result, judge
from analysis.claims import claims
from analysis.comparisons import (
    clearly_lower,
    clearly_lower_in_decibels,
    falls,
    keeps_less,
    keeps_less_than,
    keeps_more,
    lower,
    not_lower,
    ratio_above,
    single,
)
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
from analysis.paper_tables import paper_figures, paper_tables
from analysis.reproduction_tables import differing, direction_in_words
from analysis.rows import ExperimentRows

LOW, HIGH, OTHER = (Cell("t", name, "test", "weak") for name in ("a", "b", "c"))
PRINTED = {LOW: 0.6, HIGH: 0.8}


@pytest.fixture(autouse=True)
def paper(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the paper prints of a and b, beside what the real ones do."""
    monkeypatch.setattr(comparisons, "paper_figures", lambda: {**paper_figures(), **PRINTED})


def rows(figures: dict[str, list[float]], **changes: Any) -> ExperimentRows:
    """One attack row per figure, and an encoder's row for each; `changes` hold for encoder a."""
    table = []
    for encoder, values in figures.items():
        for seed, value in enumerate(values):
            own = changes if encoder == "a" else {}
            common = {"recipe": "t", "size": "small", "encoder": encoder, "seed": seed}
            status = own.get("status", "finished")
            table.append({**common, "role": "", "attacker": None, "status": status})
            saturated = own.get("saturated", True)
            table.append(
                {**common, "role": "weak", "attacker": "decoder", "saturated": saturated,
                 "test": value}
            )  # fmt: skip
    return ExperimentRows("small", pd.DataFrame(table), {})


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


def test_what_is_yes_or_no_of_a_seed_has_an_exact_interval_by_hand() -> None:
    # Of n alike, no more than p with p^n = 0.025: 0.2924 of 3, 0.4782 of 5, 0.5407 of 6.
    three, six = share_interval([1.0] * 3), share_interval([0.0] * 6)
    assert (three.mean, three.low, three.high) == (1.0, pytest.approx(0.2924, abs=1e-4), 1.0)
    assert (six.mean, six.low, six.high) == (0.0, 0.0, pytest.approx(1 - 0.5407, abs=1e-4))
    # One of two: 1 - (1 - p)^2 = 0.025, and as much from the other end.
    half = share_interval([1.0, 0.0])
    assert half.low == pytest.approx(0.0126, abs=1e-4)
    assert half.high == pytest.approx(0.9874, abs=1e-4)


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


def test_shares_on_either_side_of_a_half_take_as_many_seeds() -> None:
    cells = [Cell("t", "a", "collapsed")]
    for yes, count in ((1, 6), (3, 10), (2, 7)):
        rare = share_interval([1.0] * yes + [0.0] * (count - yes))
        often = share_interval([0.0] * yes + [1.0] * (count - yes))
        assert seeds_to_tell_of(cells, rare, 0.5) == seeds_to_tell_of(cells, often, 0.5) is not None
    # One of six, and no more: 2 of 12 have an upper end of 0.484, 2 of 11 of 0.518.
    assert seeds_to_tell_of(cells, share_interval([1.0] + [0.0] * 5), 0.5) == 12


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


@pytest.mark.parametrize(
    ("a", "verdict", "direction"),
    [
        # The paper's a has a quarter less than its b: a sixteenth less is asked for, 0.46875.
        ([0.46, 0.461, 0.462], "reproduced", "reproduced"),
        ([0.474, 0.475, 0.476], "not reproduced", "reproduced"),
        ([0.49, 0.5, 0.51], "not reproduced", "undecided"),
        ([0.6, 0.61, 0.62], "not reproduced", "not reproduced"),
        ([0.42, 0.46, 0.5], "undecided", "undecided"),
    ],
)
def test_a_difference_counts_from_a_quarter_of_the_paper_s(
    a: list[float], verdict: str, direction: str
) -> None:
    found = check_result(
        rows({"a": a, "b": [0.5] * 3}), clearly_lower("test", ("a", "b"), [LOW], [HIGH])
    )
    assert (found.verdict, found.direction and found.direction.verdict) == (verdict, direction)
    assert found.found.mean == pytest.approx(a[1] - 0.46875)
    assert found.check.what == "test, a less 93.8% of b (the paper: 75.0%)"
    claim = judge(rows({"a": a, "b": [0.5] * 3}), Claim("T1", "", "", (found.check,)))
    assert (claim.verdict, claim.by_direction) == (verdict, direction)


def test_it_is_of_what_lies_above_chance_and_of_means() -> None:
    table = rows({"a": [0.6, 0.61, 0.62], "b": [0.7] * 3, "c": [0.8] * 3})
    # The paper's b has 0.3 above a half, its a a third of that: a sixth less is asked for.
    half = check_result(table, clearly_lower("t", ("a", "b"), [LOW], [HIGH], chance=0.5))
    assert half.check.what == "t (above 0.5), a less 83.3% of b (the paper: 33.3%)"
    assert half.found.mean == pytest.approx(0.11 - 0.2 * 5 / 6)
    # Two tasks' means are 0.6 and 0.9 in the paper, a twelfth is asked for; here 0.61 and 0.75.
    both = clearly_lower("t", ("", ""), [LOW, LOW], [HIGH, OTHER], printed=0.9)
    found = check_result(table, both)
    assert found.found.mean == pytest.approx(0.61 - 0.75 * 11 / 12)
    assert found.direction is not None
    assert (found.direction.found.mean, found.direction.check.bound) == pytest.approx((-0.14, 0.0))


def test_decibels_count_as_they_are() -> None:
    # The paper's a is 0.2 lower: 0.05 is asked for. a is lower by 0.04 for certain.
    check = clearly_lower_in_decibels("t", ("a", "b"), LOW, HIGH)
    assert check.what == "t, a less b (the paper: -0.2 dB)"
    found = check_result(rows({"a": [0.459, 0.46, 0.461], "b": [0.5] * 3}), check)
    assert (found.check.bound, found.found.mean) == pytest.approx((-0.05, -0.04))
    assert (found.verdict, found.direction and found.direction.verdict) == (
        "not reproduced",
        "reproduced",
    )


def test_where_nothing_lies_above_chance_the_sign_has_to_do() -> None:
    table = rows({"a": [0.4819, 0.482, 0.4821], "b": [0.48] * 3})
    found = check_result(table, clearly_lower("", ("", ""), [LOW], [HIGH], chance=0.5))
    assert found.found.mean == pytest.approx(0.002)
    assert found.verdict == "not reproduced"


def test_a_difference_that_the_paper_does_not_have_cannot_be_asked_for() -> None:
    with pytest.raises(KeyError):
        clearly_lower("", ("", ""), [OTHER], [HIGH])
    with pytest.raises(
        ValueError, match=r"figure: the paper has 0\.8 and 0\.6, and 0\.0 by chance"
    ):
        clearly_lower("figure", ("", ""), [HIGH], [LOW])
    with pytest.raises(ValueError, match=r"and 0\.9 by chance"):
        clearly_lower("", ("", ""), [LOW], [HIGH], chance=0.9)
    with pytest.raises(ValueError, match="and 0.8 by chance"):
        clearly_lower("", ("", ""), [LOW], [HIGH], chance=0.8)
    with pytest.raises(ValueError, match="as many low as high, got 1 and 2"):
        clearly_lower("", ("", ""), [LOW], [HIGH, HIGH])
    with pytest.raises(ValueError, match="no fall"):
        clearly_lower_in_decibels("", ("", ""), LOW, LOW)
    with pytest.raises(ValueError, match="no fall"):
        clearly_lower_in_decibels("", ("", ""), HIGH, LOW)


def test_of_a_difference_too_a_lower_bound_speaks_one_way_alone() -> None:
    low, high = {"a": [0.1] * 3, "b": [0.5] * 3}, {"a": [0.9] * 3, "b": [0.5] * 3}
    below = clearly_lower("", ("", ""), [LOW], [HIGH])
    assert check_result(rows(low), below).verdict == "reproduced"
    assert check_result(rows(low, saturated=False), below).verdict == "undecided"
    assert check_result(rows(high, saturated=False), below).verdict == "not reproduced"
    above = clearly_lower("", ("", ""), [HIGH], [LOW], printed=1.0)
    assert check_result(rows(low), above).verdict == "not reproduced"
    found = check_result(rows(low, saturated=False), above)
    assert (found.verdict, found.direction and found.direction.verdict) == ("undecided",) * 2
    assert check_result(rows(high, saturated=False), above).verdict == "reproduced"
    # Wherever among several it stands.
    several = {**low, "c": [0.1] * 3}
    for first, second in (([LOW, OTHER], [HIGH] * 2), ([OTHER, LOW], [HIGH] * 2)):
        check = clearly_lower("", ("", ""), [LOW] * 2, [HIGH] * 2)
        check = replace(check, cells=(*first, *second))
        assert check_result(rows(several, saturated=False), check).verdict == "undecided"


def test_of_a_difference_too_a_collapsed_encoder_proves_nothing() -> None:
    low, high = {"a": [0.1] * 3, "b": [0.5] * 3}, {"a": [0.9] * 3, "b": [0.5] * 3}
    below = clearly_lower("", ("", ""), [LOW], [HIGH])
    above = clearly_lower("", ("", ""), [HIGH], [LOW], printed=1.0)
    use = clearly_lower("", ("", ""), [HIGH], [LOW], printed=1.0, leaks=False)
    decibels = clearly_lower_in_decibels("", ("", ""), LOW, HIGH)
    # a in the second place of each side.
    two = replace(
        clearly_lower("", ("", ""), [LOW] * 2, [HIGH] * 2), cells=(OTHER, LOW) + (HIGH,) * 2
    )
    owt = replace(two, cells=(HIGH,) * 2 + (OTHER, LOW))
    verdicts = {
        (check, name): check_result(rows(figures, status="collapsed"), shown).verdict
        for check, shown in (
            ("below", below), ("above", above), ("use", use), ("decibels", decibels),
            ("two", two), ("owt", owt),
        )
        for name, figures in (("low", {**low, "c": [0.1] * 3}), ("high", {**high, "c": [0.9] * 3}))
    }  # fmt: skip
    assert verdicts == {
        ("below", "low"): "undecided",  # it leaks little because it says nothing
        ("below", "high"): "not reproduced",
        ("above", "low"): "undecided",
        ("above", "high"): "reproduced",
        ("use", "low"): "not reproduced",  # that it is no use is what is claimed not to be
        ("use", "high"): "reproduced",
        ("decibels", "low"): "undecided",
        ("decibels", "high"): "not reproduced",
        ("two", "low"): "undecided",
        ("two", "high"): "not reproduced",
        ("owt", "low"): "undecided",
        ("owt", "high"): "reproduced",
    }


def test_what_the_direction_alone_says_stands_in_a_sentence() -> None:
    table = rows({"a": [0.49, 0.5, 0.51], "b": [0.5] * 3, "c": [0.1] * 3})
    small = Claim("T1", "", "", (clearly_lower("", ("", ""), [LOW], [HIGH]),))
    plain = Claim("T2", "", "", (lower("", OTHER, HIGH),))
    both = [judge(table, claim) for claim in (small, plain)]
    assert (
        differing(both) == "By the direction of differences alone: T1 undecided, the rest as it is."
    )
    assert differing(both[1:]) == "By the direction of differences alone: every verdict the same."
    assert [direction_in_words(check) for result in both for check in result.checks] == [
        "0.000 (-0.025 to 0.025): undecided",
        "",
    ]


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
