"""A frontier per kind of leakage, by hand."""

from pathlib import Path
from typing import Any

import pytest

from analysis.kind_frontiers import kind_frontiers, kind_table
from analysis.load import load_study
from analysis.rebuild import rebuild


def test_each_kind_has_its_own_frontier(methods_study: Any) -> None:
    tables = load_study("methods", methods_study.uri)
    found = kind_frontiers(tables.encoders)
    panels = {panel.name: panel for panel in found.panels}
    assert panels.keys() == {"reconstruction", "attribute"}
    # Reconstruction: as worst leakage, (.82, 1), (.80, .80), (.76, .40), r1 (.75, .30), blur.
    corners = [(0.5, 0.2), (0.75, 0.3), (0.76, 0.4), (0.8, 0.8), (0.82, 1.0)]
    assert list(panels["reconstruction"].corners) == [pytest.approx(c) for c in corners]
    # Attribute: identity (.82, .9), u (.80, .70), o1 (.76, .35), l1 (.70, .30), r2 (.60, .20),
    # blur (.50, .15); r1 (.75, .50) is beaten by o1, o2 is a lower bound.
    corners = [(0.5, 0.15), (0.6, 0.2), (0.7, 0.3), (0.76, 0.35), (0.8, 0.7), (0.82, 0.9)]
    assert list(panels["attribute"].corners) == [pytest.approx(c) for c in corners]
    area = 0.82 * 0.1 + 0.80 * 0.2 + 0.76 * 0.35 + 0.70 * 0.05 + 0.60 * 0.1 + 0.50 * 0.05
    assert panels["attribute"].area == pytest.approx(area)
    # Nobody beats r1 in all three: o1 is more useful and infers less, but rebuilds more.
    assert set(found.joint) == {"i", "u", "b", "r1", "r2", "l1", "o1"}


def test_the_table_and_the_report_have_them(methods_study: Any, tmp_path: Path) -> None:
    tables = load_study("methods", methods_study.uri)
    table = kind_table(kind_frontiers(tables.encoders))
    assert [row["cells"][0].text for row in table["rows"]] == [
        "reconstruction", "attribute inference", "all of these at once",
    ]  # fmt: skip
    assert [row["cells"][1].text for row in table["rows"]] == ["5", "6", "7"]
    report, _ = rebuild("methods", tmp_path, methods_study.uri)
    assert '<h2 id="kinds">' in report.read_text(encoding="utf-8")
    assert (tmp_path / "methods" / "figures" / "kinds.png").is_file()


def test_one_kind_alone_has_none(full_study: Any) -> None:
    found = kind_frontiers(load_study("full", full_study.uri).encoders)
    assert found.panels == ()
    assert kind_table(found)["rows"] == []
