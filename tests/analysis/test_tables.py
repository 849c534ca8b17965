"""Frontier, summary and Parquet files against hand-worked figures."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.load import load_study
from analysis.tables import (
    best_trade,
    frontier,
    is_defended,
    provisional_frontier,
    study_hypervolume,
    summary,
    write_tables,
)


def encoder(encoder_id: str, utility: float, leakage: float, **values: Any) -> dict[str, Any]:
    defaults = {
        "encoder_id": encoder_id, "role": "searched", "status": "verified",
        "protector": "reconstruction", "cut_point": "conv4", "lambda1": 1.0, "lambda2": 0.0,
        "utility/mean_mcc": utility, "leakage/worst": leakage, "worst_attacker": "decoder",
        "utility/mean_mcc_selection": utility, "leakage/worst_selection": leakage,
        "saturated": 1.0, "saturation_gap": math.nan, "num_public": 640.0,
    }  # fmt: skip
    return defaults | values


def test_frontier_and_hypervolume_of_the_full_study(full_study: Any) -> None:
    encoders = load_study("full", full_study.uri).encoders
    assert frontier(encoders)["encoder_id"].tolist() == ["u4", "s1"]
    # .80 (1 - .60) + .75 (.60 - .20)
    assert study_hypervolume(encoders) == pytest.approx(0.62)


def test_only_verified_finite_encoders_that_can_be_deployed_are_on_the_frontier() -> None:
    encoders = pd.DataFrame(
        [
            encoder("kept", 0.5, 0.5),
            encoder("twin", 0.5, 0.5),
            encoder("labels", 1.0, 0.0, role="labels"),
            encoder("floor", 0.9, 0.0, role="floor"),
            encoder("ceiling", 0.9, 0.1, role="ceiling"),
            encoder("collapsed", 0.9, 0.0, status="collapsed"),
            encoder("running", 0.9, 0.0, status="running"),
            encoder("nan", math.nan, 0.0),
            encoder("infinite", math.inf, 0.0),
        ]
    )
    assert frontier(encoders)["encoder_id"].tolist() == ["kept", "twin"]
    assert study_hypervolume(encoders) == pytest.approx(0.25)


def test_an_unsaturated_encoder_is_off_the_frontier_and_dominates_none() -> None:
    rows = [
        encoder("u", 0.8, 0.6, role="undefended", protector="none"),
        encoder("bound", 0.7, 0.1, saturated=0.0),
        encoder("unknown", 0.7, 0.1, saturated=math.nan),
        encoder("beaten by bounds alone", 0.6, 0.3),
    ]
    encoders = pd.DataFrame(rows)
    assert frontier(encoders)["encoder_id"].tolist() == ["u", "beaten by bounds alone"]
    assert provisional_frontier(encoders).empty, "there is a frontier"
    bounds = pd.DataFrame([row | {"saturated": 0.0} for row in rows])
    assert frontier(bounds).empty
    assert study_hypervolume(bounds) == 0.0
    assert provisional_frontier(bounds)["encoder_id"].tolist() == ["u", "bound", "unknown"]


def test_summary_of_the_full_study(full_study: Any) -> None:
    facts = summary(load_study("full", full_study.uri))
    json.dumps(facts, allow_nan=False)
    expected = {
        "num_encoders": 7, "num_verified": 5, "num_failed": 1, "num_collapsed": 1,
        "num_running": 0, "num_not_finite": 0, "num_attacks": 18, "num_unsaturated_attacks": 3,
        "num_unsaturated_encoders": 1,
        "num_unsaturated_references": 0, "provisional_size": 0,
        "num_public": 640, "frontier_size": 2,
        "labels_utility": 1.0, "labels_leakage": 0.04,
    }  # fmt: skip
    assert {name: facts[name] for name in expected} == expected
    assert (
        facts["frontier"]
        == frontier(load_study("full", full_study.uri).encoders)["encoder_id"].tolist()
    )
    # Gaps .15, .03 and .05.
    assert facts["median_saturation_gap"] == pytest.approx(0.05)
    assert facts["max_saturation_gap"] == pytest.approx(0.15)
    trade = facts["best_trade"]
    # Exactly at the limit of the loss, .80 - .75, which is .05 but for the last bit.
    assert trade["encoder_id"] == "s1"
    assert trade["undefended_id"] == "u4"
    assert trade["leakage_drop"] == pytest.approx(0.4)
    assert trade["utility_loss"] == pytest.approx(0.05)


def test_best_trade_compares_within_a_cut() -> None:
    encoders = pd.DataFrame(
        [
            encoder("u3", 0.90, 0.9, role="undefended", protector="none", cut_point="conv3"),
            encoder("u4", 0.70, 0.5, role="undefended", protector="none"),
            # Against u3 it would lose .22; against its own cut it loses .02.
            encoder("a", 0.68, 0.2),
            # Drops .35 at its own cut.
            encoder("b", 0.88, 0.55, cut_point="conv3"),
        ]
    )
    trade = best_trade(encoders)
    assert trade is not None
    assert trade["encoder_id"] == "b"
    assert trade["undefended_id"] == "u3"
    assert trade["leakage_drop"] == pytest.approx(0.35)
    without_b = best_trade(encoders.iloc[:3])
    assert without_b is not None
    assert (without_b["encoder_id"], without_b["undefended_id"]) == ("a", "u4")


def test_the_best_trade_is_chosen_on_selection_and_reported_on_test() -> None:
    selection = ("utility/mean_mcc_selection", "leakage/worst_selection")

    def chosen(utility: float, leakage: float) -> dict[str, float]:
        return dict(zip(selection, (utility, leakage), strict=True))

    encoders = pd.DataFrame(
        [
            encoder("u", 0.80, 0.60, role="undefended", protector="none", **chosen(0.82, 0.62)),
            # The best drop on test (.50) is not the best on selection (.32).
            encoder("lucky on test", 0.79, 0.10, **chosen(0.80, 0.30)),
            # Within the limit on selection only (.04), it loses .06 on test.
            encoder("best on selection", 0.74, 0.25, **chosen(0.78, 0.15)),
            # Within the limit on test only.
            encoder("loses too much", 0.80, 0.00, **chosen(0.70, 0.00)),
            encoder("no figures", 0.80, 0.00, **chosen(math.nan, 0.0)),
        ]
    )
    trade = best_trade(encoders)
    assert trade is not None
    assert trade["encoder_id"] == "best on selection"
    assert (trade["utility"], trade["leakage"]) == (0.74, 0.25)
    assert trade["leakage_drop"] == pytest.approx(0.35)
    assert trade["utility_loss"] == pytest.approx(0.06)
    assert trade["leakage_drop_selection"] == pytest.approx(0.47)
    assert trade["utility_loss_selection"] == pytest.approx(0.04)


def test_best_trade_of_a_cut_without_baseline_takes_the_most_useful_undefended() -> None:
    encoders = pd.DataFrame(
        [
            encoder("u3", 0.80, 0.9, role="undefended", protector="none", cut_point="conv3"),
            encoder("u4", 0.70, 0.5, role="undefended", protector="none"),
            encoder("a", 0.76, 0.6, cut_point="fc"),
        ]
    )
    trade = best_trade(encoders)
    assert trade is not None
    assert trade["undefended_id"] == "u3"
    assert trade["leakage_drop"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(encoder("a", 0.64, 0.1), id="loses too much"),
        pytest.param(encoder("a", 0.70, 0.5), id="leaks as much"),
        pytest.param(encoder("a", 0.70, 0.1, saturated=0.0), id="is a lower bound"),
        pytest.param(encoder("a", 0.70, 0.1, lambda1=0.0), id="has no defence"),
        pytest.param(encoder("a", math.nan, 0.1), id="was not measured"),
    ],
)
def test_no_best_trade_if_the_only_encoder(row: dict[str, Any]) -> None:
    baseline = encoder("u4", 0.70, 0.5, role="undefended", protector="none")
    assert best_trade(pd.DataFrame([baseline, row])) is None


def test_a_lower_bound_is_named_apart() -> None:
    baseline = encoder("u4", 0.70, 0.5, role="undefended", protector="none")
    encoders = pd.DataFrame([baseline, encoder("a", 0.7, 0.1, saturated=0.0)])
    trade = best_trade(encoders, saturated_only=False)
    assert trade is not None
    assert trade["encoder_id"] == "a"
    assert trade["saturated"] is False


def test_defended_needs_a_weight_only_where_weights_are_the_defence() -> None:
    encoders = pd.DataFrame(
        [
            encoder("off", 0.5, 0.5, lambda1=0.0, lambda2=math.nan),
            encoder("perceptual", 0.5, 0.5, lambda1=0.0, lambda2=1.0),
            encoder("flip", 0.5, 0.5, protector="label_flip", lambda1=math.nan, lambda2=math.nan),
            encoder("none", 0.5, 0.5, protector="none"),
        ]
    )
    assert is_defended(encoders).tolist() == [False, True, True, False]


def test_parquet_files(full_study: Any, tmp_path: Path) -> None:
    tables = load_study("full", full_study.uri)
    paths = write_tables(tables, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "attacks.parquet", "encoders.parquet", "frontier.parquet",
    ]  # fmt: skip
    encoders = pd.read_parquet(paths["encoders"])
    pd.testing.assert_frame_equal(encoders, tables.encoders)
    assert pd.read_parquet(paths["frontier"])["encoder_id"].tolist() == ["u4", "s1"]
    attacks = pd.read_parquet(paths["attacks"])
    assert len(attacks) == 24
    assert attacks["saturated"].dtype == "boolean"


def test_parquet_types_do_not_depend_on_what_there_is(
    make_study: Any, full_study: Any, tmp_path: Path
) -> None:
    empty = make_study("empty-types", status="running", with_files=False)
    written = write_tables(load_study("empty-types", empty.uri), tmp_path)
    frame = pd.read_parquet(written["encoders"])
    full = load_study("full", full_study.uri).encoders
    assert frame.empty
    assert frame.dtypes.to_dict() == full[frame.columns].dtypes.to_dict()


def test_saturation_is_counted_apart_for_references_and_not_in_the_loop(
    make_study: Any, attacked: Any
) -> None:
    study = make_study("saturation-counts")
    attacked(study, "identity", math.nan, {"decoder": 1.0}, role="ceiling", saturated=False)
    run = attacked(study, "e1", 0.5, {"decoder": 0.5})
    study.attack("e1", run, "in_loop", saturated=False, metrics={"leakage/test": 0.4})
    facts = summary(load_study("saturation-counts", study.uri))
    assert facts["num_attacks"] == 1
    assert facts["num_unsaturated_attacks"] == 0
    assert facts["num_unsaturated_references"] == 1


def test_summary_of_an_empty_study(make_study: Any) -> None:
    study = make_study("empty-summary", status="running", with_files=False)
    facts = summary(load_study("empty-summary", study.uri))
    json.dumps(facts, allow_nan=False)
    assert facts["num_encoders"] == 0
    assert facts["hypervolume"] == 0.0
    assert facts["best_trade"] is None
    assert facts["num_public"] is None
