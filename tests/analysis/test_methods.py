"""Several methods in one study: their summaries, records and figures."""

import math
from typing import Any

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from analysis.drawing import render
from analysis.figures import draw_gap
from analysis.frontier_figure import draw_frontier
from analysis.gaps import gap_record
from analysis.kinds import IN_LOOP_KINDS, saturation_gap, worst_leakage
from analysis.load import load_study
from analysis.marks import method_colour
from analysis.methods import compares_methods, method_summaries, searched_methods
from analysis.records import encoder_labels, frontier_record, saturation_panels
from analysis.tables import best_trade, frontier, is_defended, study_hypervolume, summary


@pytest.fixture
def tables(methods_study: Any) -> Any:
    return load_study("methods", methods_study.uri)


def test_baselines_may_be_on_the_frontier_and_collapsed_encoders_may_not(tables: Any) -> None:
    best = frontier(tables.encoders)
    assert best["encoder_id"].tolist() == ["i", "u", "o1", "r2", "b"]
    # .80 (1-.80) + .76 (.80-.40) + .60 (.40-.30) + .50 (.30-.20); identity leaks all.
    assert study_hypervolume(tables.encoders) == pytest.approx(0.574)
    facts = summary(tables)
    counts = ("num_encoders", "num_verified", "num_collapsed", "num_failed")
    assert [facts[name] for name in counts] == [11, 9, 1, 1]
    trade = facts["best_trade"]
    assert (trade["encoder_id"], trade["method"]) == ("o1", "obfuscator")


def test_a_collapsed_encoder_is_no_best_trade(tables: Any) -> None:
    """Not even if figures of leakage came with it."""
    encoders = tables.encoders.copy()
    chosen = encoders["encoder_id"] == "l2"
    for name in ("utility/mean_mcc", "utility/mean_mcc_selection"):
        encoders.loc[chosen, name] = 0.81
    for name in ("leakage/worst", "leakage/worst_selection"):
        encoders.loc[chosen, name] = 0.0
    encoders.loc[chosen, "saturated"] = 1.0
    assert best_trade(encoders)["encoder_id"] == "o1"  # type: ignore[index]
    assert study_hypervolume(encoders) == pytest.approx(0.574)


def test_method_summaries(tables: Any) -> None:
    found = {one.method: one for one in method_summaries(tables.encoders)}
    assert list(found) == [
        "reconstruction", "label_flip", "obfuscator", "none", "identity", "blur", "noise",
    ]  # fmt: skip
    rebuild, flip, both = (found[name] for name in list(found)[:3])
    # .75 (1-.50) + .60 (.50-.30)
    assert rebuild.hypervolume == pytest.approx(0.495)
    assert flip.hypervolume == pytest.approx(0.28)
    assert both.hypervolume == pytest.approx(0.456), "without the lower bound"
    counts = [
        (one.num_encoders, one.num_verified, one.num_lower_bounds, one.num_collapsed,
         one.num_failed, one.num_on_frontier)
        for one in (rebuild, flip, both)
    ]  # fmt: skip
    assert counts == [(2, 2, 0, 0, 0, 1), (2, 1, 0, 1, 0, 0), (3, 2, 1, 0, 1, 1)]
    # r1 loses exactly .05 and drops .30; l1 loses .10.
    assert rebuild.best_trade is not None
    assert rebuild.best_trade["encoder_id"] == "r1"
    assert flip.best_trade is None
    assert rebuild.median_gap == pytest.approx({"reconstruction": 0.175})
    assert flip.median_gap == pytest.approx({"attribute": 0.2})
    assert both.median_gap == pytest.approx({"reconstruction": 0.07, "attribute": 0.155})
    assert rebuild.median_leakage == pytest.approx({"reconstruction": 0.3, "attribute": 0.35})
    assert rebuild.worst_attackers == {"attribute": 1, "decoder": 1}
    assert [one.is_searched for one in found.values()] == [True] * 3 + [False] * 4


def test_a_method_of_lower_bounds_has_no_hypervolume(tables: Any) -> None:
    encoders = tables.encoders.copy()
    encoders.loc[encoders["protector"] == "obfuscator", "saturated"] = 0.0
    found = {one.method: one for one in method_summaries(encoders)}
    assert found["obfuscator"].hypervolume is None
    assert found["obfuscator"].best_trade is None


def test_which_studies_compare_methods(tables: Any, full_study: Any) -> None:
    assert searched_methods(tables.encoders) == ["reconstruction", "label_flip", "obfuscator"]
    encoders = tables.encoders
    one = encoders[encoders["protector"].isin(["none", "reconstruction", "labels"])]
    assert not compares_methods(one)
    assert compares_methods(encoders[encoders["role"] != "searched"]), "it has baselines"
    assert not compares_methods(load_study("full", full_study.uri).encoders)


@pytest.mark.parametrize(
    ("method", "role", "values", "defended"),
    [
        ("blur", "baseline", {}, True),
        ("identity", "baseline", {}, False),
        ("obfuscator", "searched", {"lambda1": 0.0, "lambda2": 0.0}, False),
        ("obfuscator", "searched", {"lambda1": 1.0, "lambda2": 0.0}, True),
        ("obfuscator", "searched", {}, True),
        (
            "obfuscator",
            "searched",
            {"lambda1": 0.0, "lambda2": 1.0, "defend_reconstruction": "False"},
            False,
        ),
        (
            "obfuscator",
            "searched",
            {"lambda1": 0.0, "lambda2": 1.0, "defend_reconstruction": "True"},
            True,
        ),
    ],
)
def test_what_defends(method: str, role: str, values: dict[str, Any], defended: bool) -> None:
    row = {"protector": method, "role": role, "lambda1": math.nan, "lambda2": math.nan} | values
    assert is_defended(pd.DataFrame([row])).tolist() == [defended]


def test_baselines_are_called_by_their_method(tables: Any) -> None:
    labels = encoder_labels(tables.encoders)
    assert [labels[name] for name in ("i", "b", "n", "l1", "o2")] == [
        "identity", "blur", "noise σ=0.3", "#3", "#6",
    ]  # fmt: skip
    twice = pd.DataFrame(
        [(f"n{n}", "baseline", "noise", sigma) for n, sigma in enumerate((0.1, 0.1, math.nan))],
        columns=["encoder_id", "role", "protector", "sigma"],
    )
    assert list(encoder_labels(twice).values()) == ["noise σ=0.1", "noise σ=0.1 (2)", "noise"]


def test_frontier_record_has_every_method_and_its_own_staircase(tables: Any) -> None:
    record = frontier_record(tables)
    assert record.by_method
    assert {own.method: own.corners for own in record.own_frontiers} == {
        "reconstruction": ((0.6, 0.3), (0.75, 0.5)),
        "label_flip": ((0.7, 0.6),),
        "obfuscator": ((0.76, 0.4),),
    }
    methods = {point.label: point.method for point in record.points}
    assert methods["#3"] == "label_flip"
    assert methods["blur"] == "blur"
    assert "#4" not in methods, "it collapsed"


def test_colours_are_methods_and_shapes_cuts_where_several_are_searched(tables: Any) -> None:
    figure = draw_frontier(frontier_record(tables))
    axes = figure.axes[0]
    drawn = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0])): line  # type: ignore[index]
        for line in axes.lines
        if line.get_marker() not in ("None", "")
    }
    r1, r2, o2 = drawn[0.75, 0.5], drawn[0.6, 0.3], drawn[0.7, 0.1]
    assert to_hex(r1.get_markerfacecolor()) == method_colour("reconstruction").lower()
    assert r1.get_markerfacecolor() == r2.get_markerfacecolor()
    assert r1.get_marker() != r2.get_marker(), "cuts"
    assert to_hex(o2.get_markeredgecolor()) == method_colour("obfuscator").lower()
    assert o2.get_markerfacecolor() == "white", "a lower bound"
    assert {drawn[place].get_marker() for place in ((0.82, 1.0), (0.5, 0.2), (0.4, 0.5))} == {"p"}
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == [
        "reconstruction", "label_flip", "obfuscator", "cut at conv3", "cut at conv4", "undefended",
        "blur", "identity", "noise", "labels only (reference)", "hollow: a lower bound",
        "frontier", "in colour: each method's own",
    ]  # fmt: skip
    assert len({method_colour(name) for name in entries[:3]}) == 3
    written = {text.get_text() for text in axes.texts}
    assert {"blur", "identity", "noise σ=0.3", "undefended conv4", "labels", "#5"} <= written


def test_with_one_method_colours_are_cuts_and_baselines_neutral(tables: Any) -> None:
    keep = tables.encoders["protector"].isin(["none", "reconstruction", "blur"])
    tables.encoders.drop(index=tables.encoders.index[~keep], inplace=True)
    record = frontier_record(tables)
    assert not record.by_method
    figure = draw_frontier(record)
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["cut at conv3", "cut at conv4", "undefended", "baseline", "frontier"]
    cuts = {to_hex(line.get_markerfacecolor()) for line in figure.axes[0].lines
            if line.get_marker() in ("^", "D")}  # fmt: skip
    assert len(cuts) == 2


def test_provisional_staircases_are_dashed_for_each_method(tables: Any) -> None:
    tables.encoders["saturated"] = 0.0
    record = frontier_record(tables)
    assert record.provisional
    assert {own.method for own in record.own_frontiers} == set(searched_methods(tables.encoders))
    dashed = [line for line in draw_frontier(record).axes[0].lines if line.get_linestyle() == "--"]
    assert len(dashed) == 4


def test_gap_record_pairs_like_with_like(tables: Any) -> None:
    panels = {panel.kind: panel.points for panel in gap_record(tables).panels}
    pairs = {
        kind: {p.label: (p.in_loop, p.verified) for p in panels[kind]} for kind in IN_LOOP_KINDS
    }
    assert pairs == {
        "reconstruction": {
            "#1": (0.2, 0.3), "#2": (0.05, 0.3), "#5": (0.3, 0.4), "#6": (0.06, 0.1),
        },
        "attribute": {"#3": (0.1, 0.3), "#5": (0.05, 0.35), "#6": (0.04, 0.05)},
    }  # fmt: skip
    for narrow in (False, True):
        figure = draw_gap(gap_record(tables), narrow)
        assert [axes.get_xlabel() for axes in figure.axes] == [
            "leakage to the in-loop decoder\n(test, n = 480 images)",
            "leakage to the in-loop attribute classifier\n(test, n = 480 images)",
        ]  # fmt: skip
        assert render(figure, "png").startswith(b"\x89PNG")


def test_a_kind_without_points_has_no_panel(tables: Any) -> None:
    tables.encoders["leakage/in_loop"] = math.nan
    (panel,) = gap_record(tables).panels
    assert panel.kind == "attribute"
    assert len(draw_gap(gap_record(tables)).axes) == 1


def test_a_study_from_before_the_kinds_still_has_its_gap(full_study: Any) -> None:
    encoders = load_study("full", full_study.uri).encoders.set_index("encoder_id")
    for name in ("leakage/worst_reconstruction", "leakage/in_loop_attribute", "collapse/below_0.5"):
        assert encoders[name].isna().all()
        assert encoders[name].dtype == float
    assert saturation_gap(encoders, "reconstruction")["s1"] == pytest.approx(0.15)
    assert worst_leakage(encoders, "reconstruction")["s1"] == pytest.approx(0.2)
    assert saturation_gap(encoders, "attribute").isna().all()
    assert worst_leakage(encoders, "attribute").isna().all()


def test_an_attribute_gap_is_not_taken_for_one_of_reconstruction(tables: Any) -> None:
    encoders = tables.encoders.set_index("encoder_id")
    encoders.loc["l1", "saturation_gap"] = 0.2
    assert math.isnan(saturation_gap(encoders, "reconstruction")["l1"])


def test_saturation_panels_name_the_method(tables: Any) -> None:
    labels = [panel.label for panel in saturation_panels(tables)]
    assert labels == ["undefended conv4", "identity", "#5 obfuscator", "#2 reconstruction", "blur"]


def test_a_searched_method_without_a_cut_is_said_to_have_none(tables: Any) -> None:
    tables.encoders.loc[tables.encoders["encoder_id"] == "n", "role"] = "searched"
    entries = draw_frontier(frontier_record(tables)).legends[0].get_texts()
    texts = [text.get_text() for text in entries]
    assert "not cut" in texts
    assert "noise" in texts[:4], "a colour of its own"
