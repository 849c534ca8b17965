"""The books of a study: Optuna's, MLflow's and Tune's trials and the tables' rows agree."""

import collections
import json

import optuna
import pandas as pd
from mlflow.tracking import MlflowClient

from study.folder import StudyFolder


def check_books(
    folder: StudyFolder, tracking: str, storage: str, num_encoders: int, curve: int | None = 3
) -> None:
    """Asserts that exactly the trials asked for are there, each once, in all four places.

    Args:
        folder: The study's files.
        tracking: MLflow's address.
        storage: Optuna's.
        num_encoders: What was asked for.
        curve: Steps that each training reports, from 1 on; None if that is not known.
    """
    client = MlflowClient(tracking_uri=tracking)
    experiment = client.get_experiment_by_name(folder.name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=50_000)
    by_kind = collections.defaultdict(list)
    for run in runs:
        by_kind[run.data.tags["kind"]].append(run)
    assert len(by_kind["study"]) == 1
    assert {run.info.status for run in runs} == {"FINISHED"}
    keys = [
        tuple(run.data.tags.get(name) for name in ("kind", "trial_id", "attacker", "seed"))
        for run in runs
    ]
    assert len(set(keys)) == len(keys), "a run is there twice"

    # Encoders: as many as were asked for, beside labels, the floor and the ceiling.
    encoders = {run.data.tags["encoder_id"]: run for run in by_kind["encoder"]}
    roles = collections.Counter(run.data.tags["role"] for run in encoders.values())
    own = {k: r for k, r in encoders.items() if r.data.tags["role"] not in ("floor", "ceiling")}
    beside = ("floor", "ceiling", "labels", "confirmation")
    assert sum(roles.values()) - sum(roles[name] for name in beside) == num_encoders
    assert {run.data.tags["status"] for run in own.values()} == {"verified"}

    # Tune's trials: a result for every encoder, and one for every trial that attacked it.
    stored = {path.stem for path in (folder.root / "trials").glob("*.json")}
    assert own.keys() <= stored
    trials = {run.data.tags["trial_id"] for run in by_kind["attack"]} - {"constant", "identity"}
    assert trials <= stored
    assert not list((folder.root / "checkpoints").glob("*.pt"))
    for path in (folder.root / "trials").glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8"))["status"] == "finished", path

    # Optuna's: every searched encoder is one of its completed trials, and none is left open.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    proposed = optuna.load_study(study_name=folder.name, storage=storage).trials
    states = collections.Counter(trial.state.name for trial in proposed)
    assert states["RUNNING"] == 0
    told = {
        trial.user_attrs["encoder_id"]
        for trial in proposed if trial.state == optuna.trial.TrialState.COMPLETE
    }  # fmt: skip
    assert told == {k for k, run in own.items() if run.data.tags["role"] == "searched"}

    # The tables: the same encoders and attacks.
    rows = pd.read_parquet(folder.root / "encoders.parquet")
    assert sorted(rows["encoder_id"]) == sorted(encoders)
    attacks = pd.read_parquet(folder.root / "attacks.parquet")
    assert len(attacks) == len(by_kind["attack"])
    assert sorted(attacks["run_id"]) == sorted(run.info.run_id for run in by_kind["attack"])

    # Curves: every step once.
    for run in own.values():
        if run.data.tags["role"] == "labels" and curve is None:
            continue
        steps = [p.step for p in client.get_metric_history(run.info.run_id, "train/loss")]
        assert steps == sorted(set(steps)), "a step is there twice"
        if curve is not None:
            assert steps == list(range(1, curve + 1)), (steps, run.data.tags)
    (study,) = by_kind["study"]
    history = client.get_metric_history(study.info.run_id, "hypervolume")
    assert [point.step for point in history] == list(range(1, num_encoders + 1))
