"""What repeated frontiers attain: surfaces by hand, and against the definition."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.attainment import Attainment, attainment, least_leakage, seed_frontiers
from analysis.attainment_figure import attainment_sentences, draw_attainment
from analysis.load import load_study
from analysis.rebuild import rebuild

NAN, INF = math.nan, math.inf


def frontier(*points: tuple[float, float], bounds: tuple[int, ...] = ()) -> Any:
    """Utilities, leakages, and whether each is no lower bound."""
    utilities, leakages = zip(*points, strict=True) if points else ((), ())
    return utilities, leakages, [place not in bounds for place in range(len(points))]


FIRST = frontier((0.8, 0.4), (0.6, 0.2))
SECOND = frontier((0.9, 0.5), (0.7, 0.3))
THIRD = frontier((0.7, 0.2))


def close(corners: Any, *expected: tuple[float, float]) -> bool:
    return [pytest.approx(corner) for corner in expected] == list(corners)


def test_three_frontiers_by_hand() -> None:
    # Least leakage at utility .6: .2 .3 .2; at .7: .4 .3 .2; at .8: .4 .5 –; at .9: – .5 –.
    found = attainment([FIRST, SECOND, THIRD])
    assert close(found.best, (0.7, 0.2), (0.8, 0.4), (0.9, 0.5))
    assert close(found.median, (0.6, 0.2), (0.7, 0.3), (0.8, 0.5)), "two of three"
    assert close(found.worst, (0.6, 0.3), (0.7, 0.4))
    assert (found.num_frontiers, found.num_half) == (3, 2)


def test_half_of_an_even_number_is_the_better_half() -> None:
    two = attainment([FIRST, SECOND])
    assert two.num_half == 1
    assert two.median == two.best
    assert close(two.worst, (0.6, 0.3), (0.7, 0.4), (0.8, 0.5))
    four = attainment([FIRST, SECOND, THIRD, frontier((0.8, 0.9))])
    assert four.num_half == 2
    # At .6 and .7 the ranked leakages are .2 .2 .3 .9 and .2 .3 .4 .9; at .8 .4 .5 .9 –.
    assert close(four.median, (0.6, 0.2), (0.7, 0.3), (0.8, 0.5))


def test_one_frontier_is_all_its_surfaces() -> None:
    found = attainment([FIRST])
    assert found.best == found.median == found.worst
    assert close(found.best, (0.6, 0.2), (0.8, 0.4))


def test_what_is_no_figure_attains_nothing() -> None:
    plain = attainment([FIRST, SECOND])
    worse = frontier((0.8, 0.4), (0.6, 0.2), (0.99, 0.0), (NAN, 0.0), (0.99, NAN), (INF, 0.0),
                     (0.99, -INF), bounds=(2,))  # fmt: skip
    assert attainment([worse, SECOND]) == plain, "lower bounds and what is not finite"
    more = frontier((0.8, 0.4), (0.6, 0.2), (0.5, 0.3), (0.8, 0.4), (0.8, 0.45))
    assert attainment([more, SECOND]) == plain, "dominated ones and duplicates"


def test_a_frontier_of_nothing_is_counted() -> None:
    for nothing in (frontier(), frontier((0.9, 0.1), bounds=(0,)), frontier((NAN, 0.1))):
        found = attainment([FIRST, nothing])
        assert close(found.best, (0.6, 0.2), (0.8, 0.4))
        assert found.worst == ()
        assert found.num_frontiers == 2
        assert attainment([nothing]) == Attainment((), (), (), 1)


def test_equal_frontiers_attain_the_same() -> None:
    found = attainment([FIRST] * 5)
    assert found.best == found.worst == attainment([FIRST]).best


def test_the_definition_holds_for_random_frontiers() -> None:
    generator = np.random.default_rng(0)
    for number in range(1, 8):
        frontiers = [
            (
                np.round(generator.uniform(size=5), 1), np.round(generator.uniform(size=5), 1),
                generator.uniform(size=5) > 0.2,
            )
            for _ in range(number)
        ]  # fmt: skip
        levels = np.linspace(-0.05, 1.05, 12)  # between the rounded utilities
        ranked = np.sort(
            [
                [min([y for x, y, own in zip(*points, strict=True) if own and x >= level],
                     default=INF) for level in levels]
                for points in frontiers
            ],
            axis=0,
        )  # fmt: skip
        found = attainment(frontiers)
        for corners, rank in ((found.best, 1), (found.median, (number + 1) // 2),
                              (found.worst, number)):  # fmt: skip
            assert least_leakage(corners, levels) == pytest.approx(ranked[rank - 1])


def test_least_leakage_is_a_corner_s_up_to_its_utility() -> None:
    corners = ((0.6, 0.2), (0.8, 0.4))
    assert least_leakage(corners, [0.1, 0.6, 0.7, 0.8, 0.81]).tolist() == [0.2, 0.2, 0.4, 0.4, INF]
    assert least_leakage((), [0.5]).tolist() == [INF]


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        attainment([])
    with pytest.raises(ValueError, match="of one length"):
        attainment([([0.1, 0.2], [0.1], [True])])


@pytest.fixture(scope="module")
def study(tracking_uri: str) -> Any:
    """Of a the fresh trainings (.78, .40), (.76, .50) and a lower bound; of b (.60, .20) and two
    without figures; of c one that does not say which it is; a fourth of a runs."""
    from tests.analysis.conftest import FakeStudy, add_attacked

    made = FakeStudy(tracking_uri, "attained")
    for name, utility, leakage in (("a", 0.80, 0.30), ("b", 0.60, 0.10), ("c", 0.50, 0.05)):
        add_attacked(made, name, utility, {"decoder": leakage})

    def again(name: str, number: int, utility: float, leakage: float, **more: Any) -> None:
        add_attacked(made, f"{name}{number}", utility, {"decoder": leakage}, role="confirmation",
                     confirms=name, **more)  # fmt: skip

    again("a", 2, 0.76, 0.50, repeat="2")
    again("a", 1, 0.78, 0.40, repeat="1")
    again("a", 3, 0.90, 0.01, repeat="3", saturated=False)
    again("b", 1, 0.60, 0.20, repeat="1")
    made.encoder("b2", role="confirmation", status="collapsed", confirms="b", repeat="2")
    made.encoder("b3", role="confirmation", status="failed", confirms="b", repeat="3")
    again("c", 1, 0.50, 0.30)
    made.encoder("a4", role="confirmation", status="running", confirms="a", repeat="4")
    return made


def test_the_kth_trainings_make_the_kth_frontier(study: Any) -> None:
    found = seed_frontiers(load_study("attained", study.uri).encoders)
    assert found is not None
    # 1: (.78, .40), (.60, .20), and (.50, .30), which the second beats; 2: (.76, .50); 3: nothing.
    assert found.areas == pytest.approx((0.78 * 0.6 + 0.6 * 0.2, 0.76 * 0.5, 0.0))
    assert found.surfaces.num_frontiers == 3, "of the fourth nothing has an outcome yet"
    assert close(found.surfaces.best, (0.6, 0.2), (0.78, 0.4))
    assert close(found.surfaces.median, (0.76, 0.5))
    assert found.surfaces.worst == ()
    # Of 3 · 3 there are four figures and a lower bound.
    assert (found.num_encoders, found.num_bounds, found.num_missing) == (3, 1, 4)
    first, second = attainment_sentences(found, 0.6)
    assert "confirmed encoders (3) make the k-th of 3 frontiers" in first
    assert "0.000 to 0.588, what at least 2 of them attain 0.380" in first
    assert "the search had found 0.600" in first
    assert second.startswith("Of 9 trainings these attain nothing: 1 whose attackers did not all")
    assert "4 not asked for, not done" in second


def test_the_report_draws_it_with_its_numbers(study: Any, tmp_path: Path) -> None:
    report, _ = rebuild("attained", tmp_path, study.uri)
    page = report.read_text(encoding="utf-8")
    assert '<h3 id="attainment">' in page
    for form in ("png", "svg"):
        assert (report.parent / "figures" / f"attainment.{form}").is_file()
    found = seed_frontiers(load_study("attained", study.uri).encoders)
    assert found is not None
    for size in ((7.4, 4.7), (4.0, 4.9)):
        figure = draw_attainment(found, ((0.5, 0.05), (0.8, 0.3)), 480, size)
        (axes,) = figure.axes
        assert "(test, n = 480 images)" in axes.get_xlabel()
        assert "(test, n = 480 images)" in axes.get_ylabel()
        told = [text.get_text() for text in figure.legends[0].get_texts()]
        assert told[0] == "attained by at least 2 of n = 3 seeds (median)"


def test_the_band_reaches_from_the_best_to_the_worst_surface(make_study: Any) -> None:
    found = attainment([FIRST, SECOND, THIRD])
    from analysis.attainment import SeedFrontiers

    figure = draw_attainment(SeedFrontiers(found, (0.1, 0.2, 0.3), 2, 0, 0), ())
    (band,) = figure.axes[0].collections
    ys = band.get_paths()[0].vertices[:, 1]
    assert ys.min() == pytest.approx(0.2)
    # Beyond .7 not all attain anything: the band is open above.
    assert ys.max() == pytest.approx(0.6)


def test_without_two_trainings_of_one_encoder_there_is_none(
    make_study: Any, attacked: Any, full_study: Any
) -> None:
    assert seed_frontiers(load_study("full", full_study.uri).encoders) is None
    study = make_study("attained-once")
    for name in ("a", "b"):
        attacked(study, name, 0.8, {"decoder": 0.3})
        attacked(study, f"{name}1", 0.8, {"decoder": 0.3}, role="confirmation", confirms=name)
    assert seed_frontiers(load_study(study.name, study.uri).encoders) is None
    assert attainment_sentences(None, 0.5) == []
