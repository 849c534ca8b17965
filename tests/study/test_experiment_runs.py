"""What MLflow is told of a paper's experiment, and what the analysis reads back."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.errors import AnalysisError
from analysis.rows import read_rows
from analysis.tracked_rows import read_tracked_rows
from study.experiment_runs import ExperimentRuns
from study.tracking import connect
from trainables.experiments.rows import write_rows

SETTINGS = {"a": {"protector": {"lambda1": 1.0}, "precision": "fp32"}, "b": {"precision": "fp32"}}


def row(encoder: str, role: str = "", **more: Any) -> dict[str, Any]:
    return {
        "recipe": "xiao-table1", "size": "tiny", "encoder": encoder, "seed": 0, "role": role,
        "attacker": role and "decoder", "kind": None, "status": "finished",
        "saturated": True if role else None, "made/code": "0123", **more,
    }  # fmt: skip


class Told:
    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"
        self.path = folder / "xiao-table1-tiny.parquet"
        self.said: list[str] = []
        self.client = connect(self.uri)
        self.runs = self.open(folder)

    def open(self, folder: Path) -> ExperimentRuns:
        return ExperimentRuns(
            self.client, self.uri, "xiao-table1", "tiny", folder / "kept", self.said.append
        )

    def tell(self, *rows: dict[str, Any]) -> None:
        write_rows(rows, SETTINGS, self.path)
        self.runs.tell(self.path)

    def of_kind(self, kind: str) -> list[Any]:
        experiment = self.client.get_experiment_by_name("xiao-table1-tiny")
        return list(self.client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'"))


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_mlflow_has_a_run_per_encoder_and_the_table(told: Told) -> None:
    nan = float("nan")
    told.tell(
        row("a", **{"utility/mean_mcc": 0.5, "utility/mcc/$smile": 0.5}),
        row("a", "weak", test=0.7, leakage=nan),
        row("b", **{"utility/mean_mcc": 0.1, "status": "diverged"}),
    )
    first, second = sorted(told.of_kind("encoder"), key=lambda run: run.info.run_name)
    assert first.data.metrics == {"utility/mean_mcc": 0.5, "weak/test": 0.7, "weak/saturated": 1.0}
    assert first.data.params == {"encoder": "a", "protector.lambda1": "1.0", "precision": "fp32"}
    assert first.data.tags["recipe"] == "xiao-table1"
    assert (first.info.status, second.info.status) == ("FINISHED", "FAILED")
    read, kept = read_tracked_rows(told.uri, "tiny"), read_rows(told.path.parent, "tiny")
    pd.testing.assert_frame_equal(read.table, kept.table)
    assert read.settings == kept.settings


def test_more_rows_are_told_once_and_others_left_alone(told: Told, tmp_path: Path) -> None:
    told.tell(row("a"), row("a", "weak", test=0.7))
    before = {run.info.run_id: run.info.end_time for run in told.of_kind("encoder")}
    again = Told(tmp_path)
    again.tell(row("a"), row("a", "weak", test=0.7), row("b"))
    again.tell(row("a"), row("a", "weak", test=0.7), row("b"))
    runs = {run.info.run_id: run.info.end_time for run in told.of_kind("encoder")}
    assert len(runs) == 2
    assert before.items() <= runs.items()
    assert len(told.of_kind("experiment")) == 1


def test_a_report_is_kept_beside_the_table(told: Told, tmp_path: Path) -> None:
    told.tell(row("a"))
    report = tmp_path / "report-tiny.html"
    report.write_text("a page", encoding="utf-8")
    told.runs.tell(told.path, report)
    (run,) = told.of_kind("experiment")
    names = sorted(kept.path for kept in told.client.list_artifacts(run.info.run_id))
    assert names == [report.name, told.path.name]
    assert run.info.status == "FINISHED"
    ended = run.info.end_time
    told.runs.tell(told.path, report)
    assert told.of_kind("experiment")[0].info.end_time == ended, "it is known already"


def test_an_outage_costs_nothing_but_what_mlflow_lacks(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*given: Any, **more: Any) -> None:
        raise ConnectionError("nobody there")

    with monkeypatch.context() as patch:
        patch.setattr(type(told.client), "log_batch", away)
        told.tell(row("a"))
        told.tell(row("a"), row("b"))
    assert told.runs.outage == "nobody there"
    assert len(told.said) == 1
    told.runs.tell(told.path)
    assert told.runs.outage == ""
    assert len(read_tracked_rows(told.uri, "tiny").table) == 2


def test_what_is_not_there_is_told(told: Told) -> None:
    with pytest.raises(AnalysisError, match=r"no experiment of size small .* study/run\.py"):
        read_tracked_rows(told.uri, "small")
    with pytest.raises(AnalysisError, match="no database"):
        read_tracked_rows("sqlite:///nowhere/mlflow.db", "small")
