"""MLflow's runs against a real database: layout, curves, failures, and telling everything twice."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient
from PIL import Image

from analysis.growth import growth
from analysis.load import load_study
from study.folder import write_json
from study.journal import Journal
from study.search import VerifiedSearch
from study.tracking import Runs, connect, has_study
from tests.study.study_fakes import CONTENT, fake_trial
from trainables.errors import ConfigError


class Told:
    """A study whose search tells a journal, driven to its end."""

    def __init__(self, bench: Any, tmp_path: Path, finish: int = 99) -> None:
        self.bench = bench
        self.address = f"sqlite:///{tmp_path / 'mlflow.db'}"
        self.client = connect(self.address)
        folder = bench.folder
        runs = Runs(self.client, folder.name, tmp_path / "mlartifacts")
        self.journal = Journal(runs, bench.config, folder, CONTENT)
        self.search = VerifiedSearch(bench.jobs, folder, bench.proposals, self.journal)
        for count in range(finish):
            config = self.search.suggest(str(count))
            if not isinstance(config, dict):
                break
            self._run(str(count), config)

    def _run(self, trial_id: str, config: dict[str, Any]) -> None:
        trial = fake_trial(config["trial"])
        result: dict[str, Any] = {"done": False}
        while not result["done"]:
            result = trial.step()
            self.search.on_trial_result(trial_id, result)
        if config["kind"] == "protect":
            for name in ("codes.npz", "code.png"):
                (Path(config["trial"]["output"]) / name).write_bytes(b"kept")
        if config["kind"] == "attack":
            folder = Path(config["trial"]["output"])
            for name in ("originals", "others", "decoder", "in_loop"):
                folder.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (64, 16), "teal").save(folder / f"{name}.png")
            write_json({"people": [0, 1, 2, 3], "others": [True] * 4}, folder / "people.json")
        if result.get("cost/latency_ms") and trial.config["protector"].get("lambda1") == 6.0:
            result |= {"status": "diverged", "reason": "loss was nan"}
        write_json(result, self.bench.folder.trial(config["key"]))
        self.search.on_trial_complete(trial_id, {"done": True})

    def runs(self, kind: str) -> list[Any]:
        """All runs of one kind."""
        experiment = self.client.get_experiment_by_name("small")
        assert experiment is not None
        return list(self.client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'"))


HOUR = 3_600_000
"""Milliseconds."""
SMALL = ("study.num_encoders=2", "model.cut_point=conv3")


def test_study_encoders_and_attacks_are_nested_and_complete(make_bench, tmp_path: Path) -> None:
    told = Told(make_bench(*SMALL), tmp_path)
    told.journal.set_status("finished")
    told.journal.close("FINISHED")
    (study,) = told.runs("study")
    assert study.data.tags["status"] == "finished"
    assert study.data.params["image_size"] == "32"
    assert {f.path for f in told.client.list_artifacts(study.info.run_id)} == {
        "study.yaml",
        "data.json",
    }
    history = told.client.get_metric_history(study.info.run_id, "hypervolume")
    assert [point.step for point in history] == [1, 2]
    assert history[1].value > history[0].value
    encoders = {run.data.tags["role"]: run for run in told.runs("encoder")}
    assert encoders.keys() == {"floor", "ceiling", "labels", "undefended", "searched"}
    for run in encoders.values():
        assert run.data.tags["mlflow.parentRunId"] == study.info.run_id
        assert run.info.status == "FINISHED"
        assert run.data.tags["status"] == "verified"
    attacks = told.runs("attack")
    by_parent: dict[str, set[str]] = {}
    for run in attacks:
        parent = run.data.tags["mlflow.parentRunId"]
        by_parent.setdefault(parent, set()).add(run.data.tags["attacker"])
    suite = {"decoder", "decoder_strong", "attribute"}
    assert by_parent[encoders["searched"].info.run_id] == suite | {"in_loop"}
    assert by_parent[encoders["undefended"].info.run_id] == suite
    assert by_parent[encoders["floor"].info.run_id] == suite


def test_the_searched_encoders_run_holds_the_promised_names(make_bench, tmp_path: Path) -> None:
    told = Told(make_bench(*SMALL), tmp_path)
    (run,) = [run for run in told.runs("encoder") if run.data.tags["role"] == "searched"]
    params = run.data.params
    assert (params["protector"], params["cut_point"]) == ("reconstruction", "conv3")
    assert float(params["lambda1"]) == 1.0
    assert float(params["log10_lambda1"]) == 0.0
    assert float(params["log10_encoder_lr_decay"]) == -2.0
    assert "code_width" not in params
    assert run.data.tags["optuna_trial"] == "0"
    assert run.data.tags["trial_id"] == run.data.tags["encoder_id"]
    assert run.data.tags["worst_attacker"] == "decoder"
    metrics = run.data.metrics
    # λ1 = 1: the decoder reaches 5/12 of the way from floor to ceiling, the in-loop one 1/12.
    assert metrics["leakage/worst"] == pytest.approx(5 / 12)
    assert metrics["leakage/decoder"] == pytest.approx(5 / 12)
    assert metrics["leakage/in_loop"] == pytest.approx(1 / 12)
    assert metrics["saturation_gap"] == pytest.approx(4 / 12)
    assert metrics["utility/mean_mcc"] == pytest.approx(0.9 / 1.01)
    assert metrics["in_loop/decoder"] == 0.25
    assert metrics["cost/code_bytes"] == 64
    assert metrics["num_public"] == 64
    assert metrics["saturated"] == 1
    assert metrics["seconds/protect"] == pytest.approx(0.3)
    curve = told.client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in curve] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    names = {file.path for file in told.client.list_artifacts(run.info.run_id)}
    assert {"config.json", "reconstructions.png", "decoder.png", "originals.png"} <= names
    assert {"others.png", "people.json"} <= names, "what the quiz is made of"
    assert {"codes.npz", "code.png"} <= names
    (labels,) = [run for run in told.runs("encoder") if run.data.tags["role"] == "labels"]
    names = {file.path for file in told.client.list_artifacts(labels.info.run_id)}
    assert {"codes.npz", "code.png"} <= names


def test_an_attack_run_holds_scores_leakage_and_curve(make_bench, tmp_path: Path) -> None:
    told = Told(make_bench(*SMALL), tmp_path)
    (run,) = [
        run
        for run in told.runs("attack")
        if run.data.tags["attacker"] == "decoder" and run.data.params.get("lambda1")
    ]
    assert run.data.tags["saturated"] == "true"
    assert run.data.params["cut_point"] == "conv3"
    assert run.data.metrics["score/test"] == pytest.approx(0.5 + 0.4 * 5 / 12)
    assert run.data.metrics["leakage/test"] == pytest.approx(5 / 12)
    assert (run.data.metrics["floor"], run.data.metrics["ceiling"]) == (0.5, 0.9)
    assert run.data.metrics["ssim"] == pytest.approx(0.5 + 0.4 * 5 / 12)
    rates = told.client.get_metric_history(run.info.run_id, "train/rate")
    assert [(point.step, point.value) for point in rates] == [(50, 1e-3), (100, 1e-4)]


def test_every_start_says_when_it_begins_and_ends(make_bench, tmp_path: Path) -> None:
    first = Told(make_bench(*SMALL), tmp_path, finish=5)
    first.journal.close("KILLED")  # as after Ctrl-C
    killed = Told(make_bench(*SMALL), tmp_path, finish=1)
    last = Told(make_bench(*SMALL), tmp_path)
    last.journal.close("FINISHED")
    (study,) = last.runs("study")
    told = killed.client.get_metric_history(study.info.run_id, "at_work")
    told.sort(key=lambda point: point.step)
    assert [(point.step, point.value) for point in told] == list(enumerate([1, 0, 1, 1, 0]))
    assert [point.timestamp for point in told] == sorted(point.timestamp for point in told)
    # Read back, the areas over encoders are those that were logged one by one.
    grown = growth(load_study("small", last.address))
    assert grown is not None
    history = last.client.get_metric_history(study.info.run_id, "hypervolume")
    history.sort(key=lambda point: point.step)
    assert grown.areas == pytest.approx([point.value for point in history])
    assert grown.pauses_known
    assert len(grown.seams) == 2
    begun = told[-1].timestamp - study.info.start_time
    assert 0 < grown.worked <= (begun / HOUR)
    assert list(grown.hours) == sorted(grown.hours)
    assert grown.hours[-1] <= grown.worked


def test_a_diverged_encoder_is_a_failed_run_with_its_reason(make_bench, tmp_path: Path) -> None:
    told = Told(make_bench(*SMALL, "protector.lambda1=6"), tmp_path)
    (run,) = [run for run in told.runs("encoder") if run.data.tags["role"] == "searched"]
    assert run.info.status == "FAILED"
    assert (run.data.tags["status"], run.data.tags["reason"]) == ("diverged", "loss was nan")
    assert "leakage/worst" not in run.data.metrics


def test_a_killed_study_goes_on_in_the_same_runs(make_bench, tmp_path: Path) -> None:
    first = Told(make_bench(*SMALL), tmp_path, finish=5)
    # The next encoder starts, and then the driver is gone: its run stays RUNNING.
    first.search.suggest("killed")
    running = [run for run in first.runs("encoder") if run.info.status == "RUNNING"]
    assert len(running) == 1
    # On opening, before anything goes on, nothing is left that pretends to run.
    Runs(first.client, "small", tmp_path / "mlartifacts")
    states = [run.info.status for run in first.runs("encoder")]
    assert states.count("KILLED") == 1
    assert "RUNNING" not in states
    second = Told(make_bench(*SMALL), tmp_path)
    second.journal.close("FINISHED")
    assert len(second.runs("study")) == 1
    encoders = second.runs("encoder")
    assert len(encoders) == 5
    assert {run.info.status for run in encoders} == {"FINISHED"}
    assert running[0].info.run_id in {run.info.run_id for run in encoders}
    assert len(second.runs("attack")) == 3 * 5 + 1
    third = Told(make_bench(*SMALL), tmp_path)
    assert len(third.runs("attack")) == 3 * 5 + 1
    history = third.client.get_metric_history(third.runs("study")[0].info.run_id, "hypervolume")
    assert [point.step for point in history] == [1, 2]


@pytest.mark.parametrize("lost", ["log_batch", "set_terminated", "create_run", "log_artifact"])
@pytest.mark.parametrize("taken", [False, True])
def test_what_is_told_again_after_an_error_is_there_once(
    make_bench, tmp_path: Path, monkeypatch, lost: str, taken: bool
) -> None:
    told = Told(make_bench(*SMALL), tmp_path, finish=0)
    request, calls = getattr(MlflowClient, lost), 0

    def fail_now_and_then(*given: Any, **named: Any) -> Any:
        """The third request fails, and every eleventh after it, whether it got there or not."""
        nonlocal calls
        calls += 1
        fails = calls % 11 == 3
        answer = request(*given, **named) if taken or not fails else None
        if fails:
            raise ConnectionError
        return answer

    class Again:
        """Makes every call until it is not lost, as of the same moment."""

        def __init__(self, journal: Journal) -> None:
            self.journal, self.time = journal, 1000

        def __getattr__(self, name: str) -> Any:
            def call(*given: Any) -> None:
                self.time += 1
                for _ in range(50):
                    try:
                        self.journal.told_at(self.time)
                        getattr(self.journal, name)(*given)
                        return
                    except ConnectionError:
                        self.journal.recover()
                raise AssertionError("not told in fifty calls")

            return call

    told.bench = make_bench(*SMALL)
    told.search = VerifiedSearch(
        told.bench.jobs, told.bench.folder, told.bench.proposals, Again(told.journal)
    )
    monkeypatch.setattr(MlflowClient, lost, fail_now_and_then)
    for count in range(99):
        config = told.search.suggest(str(count))
        if not isinstance(config, dict):
            break
        told._run(str(count), config)
    monkeypatch.setattr(MlflowClient, lost, request)
    told.journal.close("FINISHED")
    assert calls >= 3
    assert (len(told.runs("encoder")), len(told.runs("attack"))) == (5, 3 * 5 + 1)
    for kind in ("study", "encoder", "attack"):
        for run in told.runs(kind):
            assert run.info.status == "FINISHED"
            for name in run.data.metrics:
                history = told.client.get_metric_history(run.info.run_id, name)
                steps = [point.step for point in history]
                assert sorted(set(steps)) == sorted(steps), (kind, name)


def test_a_lower_bound_adds_no_hypervolume(make_bench, tmp_path: Path) -> None:
    told = Told(make_bench(*SMALL), tmp_path)
    record = next(r for r in told.search.records.values() if r.role == "searched")
    assert record.verdict is not None
    for saturated in (False, True):
        record.verdict = replace(record.verdict, worst_leakage=0.0, saturated=saturated)
        told.journal.encoder_verified(record)
    told.journal.close("FINISHED")
    (study,) = told.runs("study")
    history = told.client.get_metric_history(study.info.run_id, "hypervolume")
    areas = [point.value for point in sorted(history, key=lambda point: point.step)]
    assert areas[2] == areas[1] < areas[3]


def test_both_in_loop_adversaries_have_runs_under_the_first_attack(
    make_bench, tmp_path: Path
) -> None:
    words = ("protector.name=obfuscator", "data.image_size=48", "attack.group=1")
    words = (*words, *SMALL[1:], "study.num_encoders=1", "study.baselines=[]")
    told = Told(make_bench(*words), tmp_path)
    (encoder,) = [run for run in told.runs("encoder") if run.data.tags["role"] == "searched"]
    metrics = encoder.data.metrics
    # The fakes' in-loop adversaries go a twelfth of the way from floor to ceiling; with λ1 = 1 the
    # attackers go five.
    for kind in ("reconstruction", "attribute"):
        assert metrics[f"leakage/worst_{kind}"] == pytest.approx(5 / 12)
        assert metrics[f"saturation_gap/{kind}"] == pytest.approx(4 / 12)
    assert metrics["in_loop/attribute"] == 0.25
    runs = {run.data.tags["attacker"]: run.data.tags for run in told.runs("attack")}
    own = encoder.data.tags["encoder_id"]
    trials = {
        run.data.tags["attacker"]: run.data.tags["trial_id"]
        for run in told.runs("attack")
        if run.data.tags["encoder_id"] == own
    }
    assert trials["in_loop"] == trials["in_loop_attribute"] == trials["decoder"]
    assert trials["attribute"] != trials["decoder"]
    assert runs.keys() == {"decoder", "decoder_strong", "attribute", "in_loop", "in_loop_attribute"}


def test_an_address_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"MLFLOW_TRACKING_URI.*127\.0\.0\.1:9"):
        connect("http://127.0.0.1:9")


def test_a_study_is_known_once_it_has_a_run(make_bench, tmp_path: Path) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert not has_study(client, "small")
    Told(make_bench(*SMALL), tmp_path, finish=0)
    assert has_study(client, "small")


def test_a_deleted_experiment_is_named(make_bench, tmp_path: Path) -> None:
    client = Told(make_bench(*SMALL), tmp_path, finish=0).client
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    with pytest.raises(ConfigError, match="deleted"):
        Runs(client, "small", tmp_path / "mlartifacts")


def test_steps_that_a_resumed_trial_comes_by_again_are_written_once(make_bench, tmp_path) -> None:
    first = Told(make_bench(*SMALL), tmp_path, finish=5)
    config = first.search.suggest("killed")
    assert isinstance(config, dict)
    for step in (1, 2, 3):
        first.journal.curve(config["key"], {"train/loss": 1 / step, "train_step": step})
    first.journal.settle()
    second = Told(make_bench(*SMALL), tmp_path, finish=0)
    second.search.suggest("again")
    for step in (2, 3, 4):
        second.journal.curve(config["key"], {"train/loss": 9.0, "train_step": step})
    second.journal.settle()
    (run,) = [run for run in second.runs("encoder") if run.info.status == "RUNNING"]
    history = second.client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in history] == [
        (1, 1.0), (2, 1 / 2), (3, 1 / 3), (4, 9.0),
    ]  # fmt: skip
