"""What mattered, as the report shows it."""

from pathlib import Path
from typing import Any

import pytest

from analysis.importance import effects, importance_table, read_importances
from analysis.load import load_study
from analysis.rebuild import rebuild


@pytest.fixture
def study(make_study: Any, attacked: Any, request: Any) -> Any:
    """Six searched encoders at two cuts with three λ1, and shares of two values."""
    made = make_study(f"importance-{request.node.name}")
    for number, (cut, weight) in enumerate(
        [("conv4", 1.0), ("conv2", 1.0), ("conv4", 3.0), ("conv2", 3.0), ("conv4", 30.0)]
    ):
        attacked(made, f"e{number}", 0.8 - 0.01 * number, {"decoder": 0.5 - 0.1 * number},
                 cut_point=cut, params={"lambda1": weight, "encoder_lr_decay": 0.01})  # fmt: skip
    attacked(made, "u", 0.9, {"decoder": 0.9}, role="undefended")
    shares = {
        "reconstruction": {
            "num_trials": 30, "utility": {"protector.lambda1": 0.7, "model.cut_point": 0.3},
            "leakage": {"model.cut_point": 0.6, "protector.lambda1": 0.4},
        },
        "broken": "none", "empty": {"num_trials": 9, "utility": {}, "leakage": {}},
    }  # fmt: skip
    made.client.log_dict(made.run_id, shares, "importances.json")
    return made


def test_shares_are_read_and_told(study: Any) -> None:
    (one,) = read_importances(load_study(study.name, study.uri))
    assert (one.protector, one.num_trials) == ("reconstruction", 30)
    assert one.shares == (("model.cut_point", 0.3, 0.6), ("protector.lambda1", 0.7, 0.4))
    table = importance_table([one])
    assert table["head"] == ["value", "share of utility", "share of leakage", "trials"]
    assert [[cell.text for cell in row["cells"]] for row in table["rows"]] == [
        ["cut point", "30%", "60%", "30"], ["λ1", "70%", "40%", "30"],
    ]  # fmt: skip
    assert importance_table([one, one])["head"][0] == "method"


def test_effects_are_of_searched_encoders_by_depth_and_by_value(study: Any) -> None:
    depth, weight = effects(load_study(study.name, study.uri).encoders)
    assert depth.name == "cut_point"
    assert depth.places == (3.0, 1.0, 3.0, 1.0, 3.0), "deeper is further right"
    assert weight.name == "lambda1"
    assert weight.places == (1.0, 1.0, 3.0, 3.0, 30.0)
    assert weight.leakages == pytest.approx((0.5, 0.4, 0.3, 0.2, 0.1))


def test_the_report_has_both(study: Any, tmp_path: Path) -> None:
    report, _ = rebuild(study.name, tmp_path, study.uri)
    page = report.read_text(encoding="utf-8")
    assert '<h2 id="what-mattered">' in page
    assert (tmp_path / study.name / "figures" / "what-mattered.png").is_file()


def test_without_shares_and_without_a_search_nothing_is_said(make_study: Any, attacked: Any,
                                                             tmp_path: Path) -> None:  # fmt: skip
    made = make_study("importance-none")
    attacked(made, "u", 0.9, {"decoder": 0.9}, role="undefended")
    tables = load_study(made.name, made.uri)
    assert read_importances(tables) == ()
    assert effects(tables.encoders) == ()
    report, _ = rebuild(made.name, tmp_path, made.uri)
    assert "what-mattered" not in report.read_text(encoding="utf-8")
