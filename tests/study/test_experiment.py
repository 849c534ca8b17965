"""A paper's experiment on a real Ray: the same rows as in one process."""

from pathlib import Path

import pandas as pd
import pytest

from analysis.tracked_rows import read_tracked_rows
from study import experiment
from study.run import main
from trainables.__main__ import main as alone

NAME = "pittaluga-collapse"


def run(results: Path, *words: str) -> int:
    return main([NAME, "--results", str(results), *words])


def table(results: Path) -> pd.DataFrame:
    return pd.read_parquet(results / "reproduction" / f"{NAME}-tiny.parquet")


@pytest.mark.ray
def test_ray_s_rows_are_those_of_one_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run(there) == 0
    assert "5/5" in capsys.readouterr().out
    report = there / "reproduction" / "report-tiny.html"
    assert "Pittaluga, section 4.2" in report.read_text(encoding="utf-8")
    report.unlink()
    assert run(there) == 0
    said = capsys.readouterr().out
    assert "5 of 5 were done before" in said
    assert f"report: {report}" in said
    assert report.is_file()
    tracked = read_tracked_rows(f"sqlite:///{there / 'mlflow.db'}", "tiny").table
    pd.testing.assert_frame_equal(tracked[table(there).columns], table(there))
    assert alone([NAME, "--results", str(here)]) == 0
    times = ["seconds", "cost/latency_ms"]
    pd.testing.assert_frame_equal(
        table(there).drop(columns=times, errors="ignore"),
        table(here).drop(columns=times, errors="ignore"),
    )


def test_a_dry_run_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "results", "--dry-run") == 0
    assert "batch (seed 0): to do; not attacked" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--size", "huge"], "tiny, small, paper"),
        (["resources.cpus_per_protect=0"], "resources.cpus_per_protect"),
        (["resources.precision=auto"], "fp32 or bf16"),
        (["resources.cpu=1"], "resources.cpu"),
        (["study.num_encoders=3"], "study.num_encoders=3"),
        (["--size", "small"], "data.root"),
        (["--time-budget", "6h"], "are for studies"),
        (["--confirm", "3"], "are for studies"),
    ],
)
def test_bad_input_starts_nothing(
    tmp_path: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "results", *words) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_stopped_it_says_that_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "_run", stop)
    assert run(tmp_path / "results") == 1
    assert "the same command goes on from here" in capsys.readouterr().out


def test_a_bucket_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([NAME, "--results", "s3://bucket/folder"]) == 2
    assert "every node shares" in capsys.readouterr().err
