"""A frontier per cut point, by hand."""

from pathlib import Path
from typing import Any

import pytest

from analysis.cut_frontiers import cut_frontiers, cut_table
from analysis.load import load_study
from analysis.rebuild import rebuild


def test_each_cut_point_has_its_own_frontier(full_study: Any) -> None:
    shallow, deep = cut_frontiers(load_study("full", full_study.uri).encoders)
    assert (shallow.name, deep.name) == ("conv3", "conv4")
    # u3 (.78, .75) and s3 (.70, .35) are both beaten at conv4, but not at conv3.
    assert list(shallow.corners) == [(0.70, 0.35), (0.78, 0.75)]
    assert shallow.area == pytest.approx(0.78 * 0.25 + 0.70 * 0.40)
    # s2 (.50, .05) is a lower bound.
    assert list(deep.corners) == [(0.75, 0.20), (0.80, 0.60)]
    assert deep.area == pytest.approx(0.62)
    assert [point.label for point in deep.points if not point.saturated] != []


def test_the_table_and_the_report_have_them(full_study: Any, tmp_path: Path) -> None:
    encoders = load_study("full", full_study.uri).encoders
    table = cut_table(cut_frontiers(encoders), encoders)
    assert [[cell.text for cell in row["cells"][:8]] for row in table["rows"]] == [
        ["conv3", "2", "2", "0", "0.475", "0.780", "0.350", "0.550"],
        ["conv4", "3", "2", "2", "0.620", "0.800", "0.200", "≥ 0.200"],
    ]
    report, _ = rebuild("full", tmp_path, full_study.uri)
    assert '<h2 id="cuts">' in report.read_text(encoding="utf-8")
    assert (tmp_path / "full" / "figures" / "cuts.png").is_file()


def test_one_cut_point_alone_has_none(make_study: Any, attacked: Any) -> None:
    study = make_study("one-cut")
    attacked(study, "a", 0.8, {"decoder": 0.5})
    attacked(study, "b", 0.7, {"decoder": 0.3})
    # A baseline is not cut.
    attacked(study, "c", 0.7, {"decoder": 0.3}, cut_point="", role="baseline")
    encoders = load_study("one-cut", study.uri).encoders
    assert cut_frontiers(encoders) == ()
    assert cut_table((), encoders)["rows"] == []
