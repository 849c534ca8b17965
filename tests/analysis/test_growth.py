"""Hypervolume over encoders and hours: hand-worked times of work, areas and pauses."""

from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric

from analysis.growth import Growth, draw_growth, growth, growth_note, work
from analysis.load import load_study
from analysis.rebuild import rebuild
from analysis.tables import study_hypervolume

HOUR = 3_600_000


def hours(*values: float) -> list[float]:
    return [value * HOUR for value in values]


def told(*pairs: tuple[float, bool]) -> list[tuple[float, bool]]:
    return [(hour * HOUR, began) for hour, began in pairs]


def test_pauses_between_starts_are_no_work() -> None:
    starts = told((0.001, True), (2, False), (10, True), (13, False))
    done = work(0.0, starts, hours(0.5, 1.5, 11))
    assert done.stretches == ((0, 2 * HOUR), (10 * HOUR, 13 * HOUR))
    assert done.pauses_known
    found = [done.hours(moment) for moment in hours(0, 1.5, 5, 11, 13, 20)]
    assert found == pytest.approx([0, 1.5, 2, 3, 5, 5])


def test_a_killed_start_ends_with_the_last_that_was_seen_of_it() -> None:
    starts = told((0, True), (10, True), (20, True))
    done = work(0.0, starts, hours(1, 1.5, 11))
    assert done.stretches == (
        (0, 1.5 * HOUR), (10 * HOUR, 11 * HOUR), (20 * HOUR, 20 * HOUR),
    )  # fmt: skip
    assert done.pauses_known


def test_what_was_before_starts_were_told_counts_its_pauses() -> None:
    done = work(0.0, [], hours(1, 9))
    assert (done.stretches, done.pauses_known) == (((0, 9 * HOUR),), False)
    done = work(0.0, told((10, True), (12, False)), hours(1, 9, 11))
    assert done.stretches == ((0, 9 * HOUR), (10 * HOUR, 12 * HOUR))
    assert not done.pauses_known
    assert work(0.0, [], []).stretches == ((0, 0),)


@pytest.fixture
def study(make_study: Any, attacked: Any, request: Any) -> Any:
    """Encoders that end after 1, 3 and 2 hours of which the third is of a second start, at 10.

    Areas: u (.8, .6) .8·.4 = .32; the lower bound (.5, .05) adds nothing; s (.5, .2) another .5·.4.
    """
    made = make_study(f"growth-{request.node.name}", status="running")
    made.begin = begin = made.client.get_run(made.run_id).info.start_time
    runs = {
        "u": (attacked(made, "u", 0.8, {"decoder": 0.6}, role="undefended"), 1.0),
        "s": (attacked(made, "s", 0.5, {"decoder": 0.2}), 11.0),
        "b": (attacked(made, "b", 0.5, {"decoder": 0.05}, saturated=False), 2.0),
        "c": (made.encoder("c", status="collapsed"), 2.5),
        "k": (made.encoder("k", status="running"), 9.0),
    }
    for name, (run, hour) in runs.items():
        status = "KILLED" if name == "k" else "FINISHED"
        made.client.set_terminated(run, status, begin + int(hour * HOUR))
    return made


def tell_starts(made: Any, *pairs: tuple[float, int]) -> None:
    points = [
        Metric("at_work", value, made.begin + int(hour * HOUR), step)
        for step, (hour, value) in enumerate(pairs)
    ]
    made.client.log_batch(made.run_id, metrics=points)


def test_areas_and_hours_by_hand(study: Any) -> None:
    tell_starts(study, (0, 1), (10, 1))
    tables = load_study(study.name, study.uri)
    found = growth(tables)
    assert found is not None
    assert found.areas == pytest.approx((0.32, 0.32, 0.52))
    assert found.areas[-1] == study_hypervolume(tables.encoders)
    assert found.bounds == (False, True, False)
    # The first start was killed after the collapsed encoder, at 2.5; KILLED says nothing.
    assert found.hours == pytest.approx((1.0, 2.0, 2.5 + 1.0), abs=0.01)
    assert found.seams == pytest.approx((2.5,), abs=0.01)
    assert found.worked == pytest.approx(3.5, abs=0.01)
    assert (found.pauses_known, found.num_unplaced, found.num_test) == (True, 0, 480)
    assert "one of 1 later starts" in growth_note(found)


def test_a_study_that_did_not_tell_its_starts(study: Any) -> None:
    found = growth(load_study(study.name, study.uri))
    assert found is not None
    assert found.hours == pytest.approx((1.0, 2.0, 11.0))
    assert not found.pauses_known
    assert "pauses are counted in" in growth_note(found)
    figure = draw_growth(found)
    assert "pauses counted in" in figure.axes[1].get_xlabel()


def test_the_report_has_both_panels(study: Any, tmp_path: Path) -> None:
    tell_starts(study, (0, 1), (3, 0), (10, 1), (12, 0))
    report, _ = rebuild(study.name, tmp_path, study.uri)
    page = report.read_text(encoding="utf-8")
    assert '<h2 id="growth">' in page
    # Of a study that runs too, and without its pause.
    assert "UTC · 5.0 h of work · running" in page
    assert "one of 1 later starts" in page
    for form in ("png", "svg"):
        assert (report.parent / "figures" / f"hypervolume.{form}").is_file()


def test_a_single_encoder_of_an_unfinished_study(make_study: Any, attacked: Any) -> None:
    made = make_study("growth-single", status="running")
    run = attacked(made, "u", 0.8, {"decoder": 0.6}, role="undefended")
    attacked(made, "s", 0.8, {"decoder": 0.5})
    begin = made.client.get_run(made.run_id).info.start_time
    made.client.set_terminated(run, "FINISHED", begin + HOUR // 2)
    found = growth(load_study(made.name, made.uri))
    assert found is not None
    assert (found.areas, found.num_unplaced) == (pytest.approx((0.32,)), 1)
    assert "1 more have no known end" in growth_note(found)
    for narrow in (False, True):
        by_number, by_time = draw_growth(found, narrow).axes
        assert "minutes since the first start" in by_time.get_xlabel()
        assert by_number.get_xlabel() == "encoders verified"
        assert "(test, n = 480 images)" in by_number.get_ylabel()
        (line,) = [line for line in by_time.lines if len(line.get_xdata()) > 1]
        assert list(line.get_xdata()) == pytest.approx([0, 30, 30])
        assert list(line.get_ydata()) == pytest.approx([0, 0.32, 0.32])


def test_hours_are_hours_from_two_on() -> None:
    found = Growth((0.3, 0.4), (False, True), (1.0, 3.0), (2.0,), 4.0, True, 0, None)
    figure = draw_growth(found)
    by_number, by_time = figure.axes
    assert by_time.get_xlabel() == "hours since the first start\n(pauses left out)"
    assert by_number.get_ylabel().endswith("(test)")
    assert [list(line.get_xdata()) for line in by_time.lines[:2]] == [[2, 2], [0, 1, 3, 4]]
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["hollow: a lower bound, adds nothing", "a later start"]


def test_without_a_verified_encoder_there_is_none(make_study: Any, full_study: Any) -> None:
    empty = make_study("growth-empty", status="running")
    assert growth(load_study(empty.name, empty.uri)) is None
    assert growth(load_study("full", full_study.uri)) is None, "no run of it says when it ended"
    assert growth_note(None) == ""
