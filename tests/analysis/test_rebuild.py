"""Rebuilding a study's tables and report from MLflow, by a call and by the command."""

from pathlib import Path
from typing import Any

import pytest

from analysis.__main__ import main
from analysis.rebuild import rebuild


def test_rebuild_writes_everything(full_study: Any, tmp_path: Path) -> None:
    report, facts = rebuild("full", tmp_path, full_study.uri)
    assert report == tmp_path / "full" / "report.html"
    assert facts["frontier_size"] == 2
    assert sorted(str(path.relative_to(report.parent)) for path in report.parent.rglob("*.*")) == [
        "attacks.parquet", "encoders.parquet", "figures/cuts.png", "figures/cuts.svg",
        "figures/frontier.png", "figures/frontier.svg",
        "figures/in-loop-against-verified.png", "figures/in-loop-against-verified.svg",
        "figures/reconstructions.png", "figures/reconstructions.svg",
        "figures/saturation.png", "figures/saturation.svg", "figures/what-mattered.png",
        "figures/what-mattered.svg", "frontier.parquet", "report.html",
        "study.yaml",
    ]  # fmt: skip


def test_rebuild_keeps_the_study_file_that_is_there(full_study: Any, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "study.yaml").write_text("study: {name: full}\n")
    rebuild("full", tmp_path, full_study.uri)
    assert (tmp_path / "full" / "study.yaml").read_text() == "study: {name: full}\n"


def test_command_line(full_study: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["full", "--results", str(tmp_path), "--tracking-uri", full_study.uri]) == 0
    printed = capsys.readouterr().out
    assert "5 of 7 encoders verified, 2 on the frontier, hypervolume 0.620" in printed
    assert f"wrote {tmp_path / 'full' / 'report.html'}" in printed
    assert f"wrote {tmp_path / 'full' / 'frontier.parquet'}" in printed


def test_command_line_refuses_an_unknown_study(
    full_study: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["none", "--results", str(tmp_path), "--tracking-uri", full_study.uri]) == 2
    assert "error: study 'none' is not in MLflow" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_command_line_refuses_a_missing_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(["any", "--results", str(tmp_path)]) == 2
    assert "there is no database" in capsys.readouterr().err
