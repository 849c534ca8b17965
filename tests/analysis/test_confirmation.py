"""What fresh trainings say: hand-worked means, flattery and intervals."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.choice import Wish
from analysis.choice_cards import choice_cards
from analysis.confirmation import Confirmation, confirmation, mean_interval
from analysis.confirmation_report import (
    confirmation_sentences,
    draw_confirmation,
    fresh_sentence,
)
from analysis.load import load_study
from analysis.rebuild import rebuild


@pytest.fixture(scope="module")
def study(tracking_uri: str) -> Any:
    """Two confirmed encoders: a (.80, .30) → .78, .76 and .40, .50; b (.60, .10) → .60 and .20."""
    from tests.analysis.conftest import FakeStudy, add_attacked

    made = FakeStudy(tracking_uri, "confirmed")
    add_attacked(made, "a", 0.80, {"decoder": 0.30})
    add_attacked(made, "b", 0.60, {"decoder": 0.10})
    add_attacked(made, "c", 0.50, {"decoder": 0.90})
    for number, (utility, leakage) in enumerate([(0.78, 0.40), (0.76, 0.50)], 1):
        add_attacked(made, f"a{number}", utility, {"decoder": leakage}, role="confirmation",
                     confirms="a", repeat=str(number))  # fmt: skip
    add_attacked(made, "b1", 0.60, {"decoder": 0.20}, role="confirmation", confirms="b")
    made.encoder("b2", role="confirmation", status="collapsed", confirms="b")
    return made


@pytest.fixture(scope="module")
def found(study: Any) -> Confirmation:
    told = confirmation(load_study(study.name, study.uri).encoders)
    assert told is not None
    return told


def test_fresh_trainings_are_averaged_beside_what_was_searched(found: Confirmation) -> None:
    a, b = found.encoders
    assert (a.encoder_id, a.num_asked, a.num_verified) == ("a", 2, 2)
    assert a.searched == (0.80, 0.30)
    assert a.utility is not None
    assert a.leakage is not None
    assert (a.utility.value, a.leakage.value) == pytest.approx((0.77, 0.45))
    assert (a.leakage.low, a.leakage.high) == pytest.approx((0.40, 0.50))
    assert (b.encoder_id, b.num_asked, b.num_verified) == ("b", 2, 1)
    assert b.leakage is not None
    assert b.leakage.value == pytest.approx(0.20)
    assert math.isnan(b.leakage.low), "of one training nothing is known about the spread"


def test_flattery_is_averaged_over_encoders(found: Confirmation) -> None:
    assert found.utility_flattery is not None
    assert found.leakage_flattery is not None
    assert found.utility_flattery.value == pytest.approx((0.03 + 0.0) / 2)
    assert found.leakage_flattery.value == pytest.approx((0.15 + 0.10) / 2)
    first, second = confirmation_sentences(found)
    assert "2 encoders of the frontier or near it were trained and attacked again" in first
    assert "3 fresh trainings" in first
    assert "0.015 less mean MCC" in first
    assert "leak 0.125 more" in first
    assert second.startswith("1 of 4 fresh trainings were not verified")


def test_the_answer_is_told_with_what_fresh_seeds_bring(found: Confirmation) -> None:
    (sentence,) = fresh_sentence(found, "a")
    assert sentence.startswith(
        "Trained and attacked again from 2 fresh seeds, the same settings leak 0.450 "
        "(95%: 0.400 to 0.500) at a mean MCC of 0.770 on average"
    )
    (sentence,) = fresh_sentence(found, "b")
    assert "1 fresh seed, the same settings leak 0.200 at" in sentence
    assert fresh_sentence(found, "c") == []
    assert fresh_sentence(found, None) == []
    assert fresh_sentence(None, "a") == []


def test_both_stay_on_the_frontier_as_neither_beats_the_other(found: Confirmation) -> None:
    assert [one.probability for one in found.encoders] == [1.0, 1.0]


def test_how_often_one_beats_the_other(make_study: Any, attacked: Any) -> None:
    study = make_study("confirmed-often")
    attacked(study, "a", 0.8, {"decoder": 0.3})
    attacked(study, "b", 0.8, {"decoder": 0.3})
    # a: .2 or .6, of which the mean of two draws is .2, .4 or .6 with chances 1, 2, 1 of 4.
    for name, leakage, of in (("a1", 0.2, "a"), ("a2", 0.6, "a"), ("b1", 0.5, "b")):
        attacked(study, name, 0.8, {"decoder": leakage}, role="confirmation", confirms=of)
    told = confirmation(load_study(study.name, study.uri).encoders)
    assert told is not None
    shares = {one.encoder_id: one.probability for one in told.encoders}
    assert shares["a"] == pytest.approx(0.75, abs=0.05)
    assert shares["b"] == pytest.approx(0.25, abs=0.05)


def test_a_lower_bound_proves_nothing(make_study: Any, attacked: Any) -> None:
    study = make_study("confirmed-bound")
    attacked(study, "a", 0.8, {"decoder": 0.3})
    attacked(study, "a1", 0.8, {"decoder": 0.1}, role="confirmation", confirms="a",
             saturated=False)  # fmt: skip
    told = confirmation(load_study(study.name, study.uri).encoders)
    assert told is not None
    (one,) = told.encoders
    assert one.is_bound
    assert one.leakage is not None
    assert one.probability is None


def test_the_interval_of_a_mean_holds_it_nineteen_times_of_twenty() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for number in range(200):
        own = mean_interval(generator.normal(0.5, 0.1, 30), seed=number)
        assert own is not None
        held += own.low <= 0.5 <= own.high
    assert 180 <= held <= 198


def test_intervals_of_few_and_of_equal_values() -> None:
    assert mean_interval(np.array([])) is None
    alone = mean_interval(np.array([0.3]))
    assert alone is not None
    assert (alone.value, math.isnan(alone.low)) == (0.3, True)
    same = mean_interval(np.array([0.3, 0.3, 0.3]))
    assert same is not None
    assert (same.low, same.high) == (same.value, same.value)


def test_confirmations_are_on_no_frontier_and_in_no_count(study: Any, tmp_path: Path) -> None:
    report, facts = rebuild(study.name, tmp_path, study.uri)
    assert facts["num_encoders"] == 3
    assert facts["frontier"] == ["a", "b"]
    page = report.read_text(encoding="utf-8")
    assert '<h2 id="confirmation">' in page
    assert "2 of 2" in page
    assert "0.450 (0.400 to 0.500)" in page
    assert "In the search every encoder was trained once" in page
    assert (tmp_path / study.name / "figures" / "confirmation.svg").is_file()


def test_the_figure_says_of_how_many_images_and_trainings(study: Any, found: Any) -> None:
    encoders = load_study(study.name, study.uri).encoders
    for size in ((7.4, 4.7), (4.0, 4.9)):
        figure = draw_confirmation(encoders, found, 480, size)
        axes = figure.axes[0]
        for label in (axes.get_xlabel(), axes.get_ylabel()):
            assert "(test, n = 480 images)" in label
        told = [text.get_text() for text in figure.legends[0].get_texts()]
        assert told[1] == "mean of fresh trainings, n = 1 to 2 each, 95% interval"


def test_a_recommended_encoder_is_told_with_its_fresh_trainings(study: Any) -> None:
    tables = load_study(study.name, study.uri)
    told = confirmation(tables.encoders)
    (card,) = choice_cards(tables, [Wish("utility floor", 0.7)], None, told)
    assert card.doubts[-1] == (
        "Fresh trainings (2): mean MCC 0.770, worst leakage 0.450 on average."
    )
    (card,) = choice_cards(tables, [Wish("utility floor", 0.7)])
    assert "Trained once" in card.doubts[-1]


def test_without_confirmations_nothing_is_said(full_study: Any) -> None:
    assert confirmation(load_study("full", full_study.uri).encoders) is None
    assert confirmation_sentences(None) == []
