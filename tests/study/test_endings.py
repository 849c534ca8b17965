"""How a study ends: what it says and its exit code when something did not go as it should."""

import io
import json
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient
from rich.console import Console

from analysis.errors import AnalysisError
from study import launch
from study.folder import write_json
from study.journal import Journal
from study.launch import Options, run_study
from study.loading import load_config
from study.places import find_places
from study.run import main
from study.search import VerifiedSearch
from study.spool import Spool
from study.tracking import connect
from tests.study.study_fakes import FakeDataset, FakeProtect, fake_trial
from trainables.errors import ConfigError

SMALL = Path(__file__).parent / "small.yaml"
WORDS = ["study.num_encoders=2", "model.cut_point=conv3"]


def drive(config: Any, search: VerifiedSearch, factory: Any) -> None:
    """Runs every trial in this process, one after the other, as `run_sweep` does on Ray."""
    count = 0
    while isinstance(job := search.suggest(str(count)), dict):
        try:
            trial = factory(job["trial"])
            result: dict[str, Any] = {"done": False}
            while not result["done"]:
                result = trial.step()
                search.on_trial_result(str(count), result)
        except MemoryError:
            error = Path(job["results"]) / job["study"] / f"errors/{job['key']}.txt"
            error.parent.mkdir(exist_ok=True)
            error.write_text("Traceback\nMemoryError")
            search.on_trial_complete(str(count), error=True)
        else:
            write_json(result, Path(job["results"]) / job["study"] / f"trials/{job['key']}.json")
            search.on_trial_complete(str(count), {"done": True})
        count += 1


class Study:
    """A small study of fake trials on no Ray."""

    def __init__(self, results: Path) -> None:
        self.config = load_config(str(SMALL), WORDS)
        self.places = find_places(self.config, results)

    def run_id(self) -> str:
        """The study's run in MLflow."""
        client = connect(self.places.tracking)
        experiment = client.get_experiment_by_name("small")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id], "tags.kind = 'study'")
        return str(run.info.run_id)

    def run(self, resume: bool = False) -> tuple[int, str]:
        """Returns the exit code and what was printed."""
        text = io.StringIO()
        console = Console(file=text, width=200)
        code = run_study(self.config, self.places, Options(resume), console, fake_trial)
        return code, text.getvalue()

    def histories(self, metric: str) -> list[list[Metric]]:
        """What MLflow has of a metric, of every encoder that was trained."""
        client = MlflowClient(self.places.tracking)
        experiment = client.get_experiment_by_name(self.config.study.name)
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id], "tags.kind = 'encoder'")
        found = (client.get_metric_history(run.info.run_id, metric) for run in runs)
        return [history for history in found if history]

    def encoders(self) -> pd.DataFrame:
        """The table of encoders, by role."""
        path = self.places.folder.root / "encoders.parquet"
        return pd.read_parquet(path).set_index("role")


@pytest.fixture
def study(tmp_path: Path, monkeypatch) -> Study:
    """A study that has not been started."""
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(launch, "start_ray", lambda: None)
    monkeypatch.setattr(launch, "cluster_resources", lambda: (2.0, 0.0))
    monkeypatch.setattr(launch, "node_resources", lambda: [(2.0, 0.0)])
    monkeypatch.setattr(launch, "check_shared", lambda results: None)
    monkeypatch.setattr(launch, "_prepare_data", lambda *_: FakeDataset())
    monkeypatch.setattr(launch, "check_shares", lambda *_: None)
    monkeypatch.setattr(launch, "run_sweep", drive)
    return Study(tmp_path / "results")


@pytest.fixture
def no_report(monkeypatch) -> None:
    """Leaves out the report, which takes most of the time."""
    summary = {
        "num_verified": 2, "num_dominated": 0, "frontier_size": 1, "frontier": ["a"],
        "hypervolume": 0.25,
    }  # fmt: skip
    monkeypatch.setattr("analysis.rebuild.rebuild", lambda *_: (Path("report.html"), summary))


@pytest.mark.usefixtures("no_report")
def test_a_diverged_encoder_is_named_and_the_exit_code_is_1(study: Study, monkeypatch) -> None:
    outcome = FakeProtect.outcome

    def diverge(self: FakeProtect) -> dict[str, Any]:
        if self.config["kind"] == "protect" and self.config["protector"]["name"] != "labels":
            return {"status": "diverged", "reason": "loss was nan"}
        return outcome(self)

    monkeypatch.setattr(FakeProtect, "outcome", diverge)
    code, text = study.run()
    assert code == 1
    named = [line for line in text.splitlines() if line.startswith("failed for good: ")]
    assert len(named) == 2
    assert all(line.endswith("diverged: loss was nan") for line in named)


def test_a_collapsed_encoder_is_logged_and_no_failure(study: Study, monkeypatch) -> None:
    """It is a finding about its protector: the study has done all there was to do."""
    outcome = FakeProtect.outcome
    report = {
        "status": "collapsed", "reason": "99% of the outputs are constant",
        "collapse/below_0.01": 0.99, "collapse/below_0.5": 1.0, "collapse/total_variance": 0.1,
    }  # fmt: skip

    def collapse(self: FakeProtect) -> dict[str, Any]:
        defended = self.config["kind"] == "protect" and "lambda1" in self.config["protector"]
        return outcome(self) | (report if defended else {})

    monkeypatch.setattr(FakeProtect, "outcome", collapse)
    code, text = study.run()
    assert code == 0, text
    assert "failed for good" not in text
    named = [line for line in text.splitlines() if line.startswith("collapsed, ")]
    assert len(named) == 1
    assert named[0].endswith(": 99% of the outputs are constant")
    assert "] warning: no verdict on reconstruction conv3 λ1=1: collapsed: 99%" in text
    encoder = study.encoders().loc["searched"]
    assert encoder["status"] == "collapsed"
    assert encoder["reason"] == "99% of the outputs are constant"
    for name in ("collapse/below_0.01", "collapse/below_0.5", "collapse/total_variance"):
        assert encoder[name] == report[name]
    assert encoder["utility/mean_mcc"] == pytest.approx(0.9 / 1.01)
    assert encoder["in_loop/decoder"] == 0.25
    assert encoder["cost/parameters"] == 100
    attacks = pd.read_parquet(study.places.folder.root / "attacks.parquet")
    assert encoder["encoder_id"] not in set(attacks["encoder_id"])
    assert encoder["encoder_id"] not in set(
        pd.read_parquet(study.places.folder.root / "frontier.parquet")["encoder_id"]
    )
    # It would collapse again: there is nothing to go on with.
    code, text = study.run(resume=True)
    assert code == 0
    assert "nothing is left to do" in text


def test_what_went_wrong_is_tried_again_on_resume_in_the_same_run(
    study: Study, monkeypatch
) -> None:
    step = FakeProtect.step

    def die(self: FakeProtect) -> dict[str, Any]:
        if self.config["kind"] == "attack" and self.config["in_loop"]:
            raise MemoryError
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(FakeProtect, "step", die)
        code, text = study.run()
    assert code == 1
    assert "failed: MemoryError; if memory was short: lower attack.batch_size" in text
    before = study.encoders().loc["searched"]
    assert before["status"] == "failed"
    code, text = study.run(resume=True)
    assert code == 0, text
    assert "failed" not in text
    assert "2 encoders verified" in text
    after = study.encoders().loc["searched"]
    assert (after["status"], after["reason"]) == ("verified", "")
    assert after["run_id"] == before["run_id"]
    attacks = pd.read_parquet(study.places.folder.root / "attacks.parquet")
    assert set(attacks["status"]) == {"finished"}
    assert len(attacks) == 5 * 3 + 1


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("call", ["job_progressed", "encoder_verified"])
def test_an_mlflow_that_goes_away_for_good_does_not_stop_the_study(
    study: Study, monkeypatch, call: str
) -> None:
    asked = threading.Event()

    def gone(*_: Any) -> None:
        asked.set()
        raise ConnectionError("MLflow does not answer")

    def drive_until_gone(*given: Any) -> None:
        """Patience is for an MLflow that is gone, not for what it takes before that."""
        drive(*given)
        assert asked.wait(60)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, call, gone)
        for name in ("set_status", "close"):
            patch.setattr(Journal, name, gone)
        patch.setattr(launch, "run_sweep", drive_until_gone)
        patch.setattr(launch, "PATIENCE_SECONDS", 0.5)
        code, text = study.run()
    folder = study.places.folder
    assert code == 1
    assert "MLflow does not take results (ConnectionError: MLflow does not answer)" in text
    assert text.count("does not take results") == 1
    assert str(folder.spool) in text
    assert "--resume" in text
    assert "Traceback" not in text
    # Everything was measured: three encoders, an attack on each, three references.
    assert len(list((folder.root / "trials").iterdir())) == 3 + 3 + 3
    waiting = [point.result["train_step"] for point in Spool(folder.spool).read()]
    code, text = study.run(resume=True)
    assert code == 0, text
    assert "train " not in text
    assert not folder.spool.exists()
    assert waiting
    for history in study.histories("train/loss"):
        assert [point.step for point in history] == [1, 2, 3]


@pytest.mark.usefixtures("no_report")
def test_the_same_command_every_night_adds_as_many_encoders_each_time(study: Study) -> None:
    words = ["study.num_encoders=+2", "model.cut_point=conv3"]
    study.config = load_config(str(SMALL), words)
    for night in (1, 2, 3):
        code, text = study.run(resume=True)
        assert code == 0, text
        first = "1 new on the frontier (a), hypervolume none → 0.2500"
        then = "0 new on the frontier, hypervolume 0.2500 → 0.2500"
        news = first if night == 1 else then
        assert f"since the last end: 2 encoders more, {news}, 0 failures, 0:0" in text
        trials = study.places.folder.root / "trials"
        trained = [path for path in trials.iterdir() if "-" not in path.stem]
        assert len(trained) == 2 * night + 1  # and `labels`, which is free
    study.config = load_config(str(SMALL), ["study.num_encoders=6", *words[1:]])
    code, text = study.run(resume=True)
    assert code == 0, text
    assert "train " not in text
    assert "since the last end: 0 encoders more" in text
    summary = json.loads((study.places.folder.root / "summary.json").read_text())
    assert summary["since_last_end"]["start"] == 4
    client = MlflowClient(study.places.tracking)
    (run,) = client.search_runs(["1"], "tags.kind = 'study'")
    history = client.get_metric_history(run.info.run_id, "since/new_encoders")
    assert [(point.step, point.value) for point in history] == [(1, 2), (2, 2), (3, 2), (4, 0)]
    assert run.data.tags["last_end"].startswith("20")


@pytest.mark.usefixtures("no_report")
def test_importances_that_cannot_be_computed_cost_no_report(study: Study, monkeypatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a forest of one tree")

    monkeypatch.setattr("study.ending.importances", fail)
    code, text = study.run()
    assert code == 0
    assert "which searched values mattered is not known: ValueError: a forest of one tree" in text


def test_without_a_report_the_command_that_makes_it_is_named(study: Study, monkeypatch) -> None:
    def fail(*_: Any) -> None:
        raise AnalysisError("no such study")

    monkeypatch.setattr("analysis.rebuild.rebuild", fail)
    code, text = study.run()
    assert code == 1
    assert "all trials are done" in text
    assert f"python -m analysis small --results {study.places.folder.results}" in text


@pytest.mark.parametrize("moment", ["_prepare_data", "run_sweep"])
def test_ctrl_c_is_one_line(study: Study, monkeypatch, moment: str) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, moment, interrupt)
    code, text = study.run()
    assert code == 1
    assert text.splitlines()[-1].startswith("stopped; go on with: ")
    monkeypatch.undo()


def test_ctrl_c_before_the_study_is_one_line(capsys, monkeypatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("study.loading.load_config", interrupt)
    assert main([]) == 1
    assert capsys.readouterr().err == "stopped before anything was started\n"


def test_a_results_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    study = Study(tmp_path / "file" / "results")
    with pytest.raises(ConfigError, match="--results: cannot write to"):
        study.run()


def test_a_permission_that_is_missing_later_is_no_bad_input(study: Study, monkeypatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "cache")

    monkeypatch.setattr(launch, "_prepare_data", refuse)
    code, text = study.run()
    assert code == 1
    assert "PermissionError" in text


def test_a_study_that_has_all_it_was_asked_for_starts_nothing(study: Study, monkeypatch) -> None:
    assert study.run()[0] == 0
    folder = study.places.folder

    def no_ray() -> None:
        raise AssertionError("Ray was started")

    with monkeypatch.context() as patch:
        patch.setattr(launch, "start_ray", no_ray)
        for _ in range(2):
            code, text = study.run(resume=True)
            assert code == 0, text
            assert "nothing is left to do: small has its 2 encoders" in text
            assert str(folder.root / "report.html") in text
    # What is missing is made again, and what MLflow was not told is told.
    for change in (
        lambda: (folder.root / "report.html").unlink(),
        lambda: folder.spool.write_text(""),
        lambda: connect(study.places.tracking).set_tag(study.run_id(), "status", "failed"),
    ):
        change()
        code, text = study.run(resume=True)
        assert code == 0, text
        assert "since the last end: 0 encoders more" in text
    study.config = load_config(str(SMALL), ["study.num_encoders=3", *WORDS[1:]])
    code, text = study.run(resume=True)
    assert code == 0
    assert "since the last end: 1 encoders more" in text
