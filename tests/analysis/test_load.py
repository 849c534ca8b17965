"""Reading studies back: values, types, and studies that are not whole."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from analysis import load
from analysis.errors import AnalysisError
from analysis.load import load_study


def test_values_and_types_of_the_tables(full_study: Any) -> None:
    tables = load_study("full", full_study.uri)
    assert tables.status == "finished"
    assert tables.config["model"]["backbone"] == "resnet18"
    assert tables.data["split_sizes"]["test"] == 480
    assert tables.started is not None
    assert tables.ended is not None

    encoders = tables.encoders.set_index("encoder_id")
    ids = ["constant", "identity", "lab", "u4", "u3", "s1", "s2", "s3", "s4", "s5"]
    assert encoders.index.tolist() == ids
    row = encoders.loc["s2"]
    assert row["lambda1"] == 8.0
    assert row["lambda2"] == 2.5
    assert row["optuna_trial"] == 1
    assert row["utility/mean_mcc"] == 0.5
    assert row["leakage/decoder_strong"] == 0.04
    assert row["cut_point"] == "conv4"
    assert row["worst_attacker"] == "decoder"
    assert encoders.loc["s4", "reason"] == "loss is nan in round 12"
    assert bool(encoders["utility/mean_mcc"].isna()["s4"])
    assert "train/loss" not in encoders
    for name in ("lambda1", "adversary_steps", "saturated", "leakage/attribute"):
        assert encoders[name].dtype == float, name
    for name in ("reason", "role", "cut_point"):
        assert pd.api.types.is_string_dtype(encoders[name]), name
        assert encoders[name].notna().all(), name

    attacks = tables.attacks
    assert len(attacks) == 8 * 3
    assert attacks["saturated"].dtype == "boolean"
    assert attacks.loc[attacks["encoder_id"] == "s2", "saturated"].tolist() == [False] * 3
    assert "lambda1" not in attacks
    one = attacks[(attacks["encoder_id"] == "u4") & (attacks["attacker"] == "decoder")].iloc[0]
    assert one["score/test"] == pytest.approx(0.2 + 0.55 * 0.75)
    assert one["seed"] == 0
    assert one["steps"] == 500


def test_curves_are_sorted_and_without_repeats(make_study: Any) -> None:
    study = make_study("curves")
    run = study.encoder("e1")
    curve = [(100, 0.4, 1e-3), (0, 0.1, 1e-3), (50, 0.3, 1e-3), (50, 0.3, 1e-3)]
    attack = study.attack("e1", run, "decoder", curve=curve)
    found = load_study("curves", study.uri).curve(attack, "train/selection")
    assert found["step"].tolist() == [0, 50, 100]
    assert found["value"].tolist() == [0.1, 0.3, 0.4]
    assert load_study("curves", study.uri).curve(attack, "train/nothing").empty


def test_infinite_metrics_come_back_infinite(make_study: Any) -> None:
    study = make_study("infinite")
    study.encoder("e1", metrics={"utility/mean_mcc": math.inf, "leakage/worst": -math.inf})
    row = load_study("infinite", study.uri).encoders.iloc[0]
    assert row["utility/mean_mcc"] == math.inf
    assert row["leakage/worst"] == -math.inf


def test_ids_that_look_like_numbers_stay_text(make_study: Any) -> None:
    study = make_study("ids")
    study.encoder("1e5", params={"cut_point": "conv3", "note": "12", "mixed": "3"})
    study.encoder("007", params={"cut_point": "conv3", "note": "None", "mixed": "off"})
    encoders = load_study("ids", study.uri).encoders
    assert encoders["encoder_id"].tolist() == ["1e5", "007"]
    assert encoders["note"].tolist()[0] == 12
    assert math.isnan(encoders["note"].tolist()[1])
    assert encoders["mixed"].tolist() == ["3", "off"]


def test_an_encoder_run_made_again_counts_once(make_study: Any) -> None:
    study = make_study("again")
    first = study.encoder("e1", status="failed")
    study.attack("e1", first, "decoder", metrics={"leakage/test": 0.1})
    second = study.encoder("e1", metrics={"leakage/worst": 0.5})
    study.attack("e1", second, "decoder", metrics={"leakage/test": 0.5})
    tables = load_study("again", study.uri)
    assert tables.encoders["status"].tolist() == ["verified"]
    assert tables.attacks["leakage/test"].tolist() == [0.5]


def test_unfinished_study_without_anything(make_study: Any) -> None:
    study = make_study("empty", status="running", with_files=False)
    tables = load_study("empty", study.uri)
    assert tables.status == "running"
    assert tables.ended is None
    assert tables.encoders.empty
    assert tables.attacks.empty
    assert tables.config == {}
    assert tables.data == {}
    assert tables.encoders["leakage/worst"].dtype == float
    assert tables.artifact(tables.run_id, "study.yaml") is None
    assert tables.artifact_names(tables.run_id) == []


def test_running_attack_has_no_saturation_yet(make_study: Any) -> None:
    study = make_study("running-attack", status="running")
    run = study.encoder("e1", status="running")
    study.attack("e1", run, "decoder", saturated=None)
    attacks = load_study("running-attack", study.uri).attacks
    assert attacks["saturated"].isna().all()
    assert math.isnan(attacks["score/test"].iloc[0])


def test_artifacts(full_study: Any) -> None:
    tables = load_study("full", full_study.uri)
    run_id = str(tables.encoders.set_index("encoder_id").loc["u4", "run_id"])
    assert tables.artifact_names(run_id) == ["decoder.png", "decoder_strong.png", "originals.png"]
    path = tables.artifact(run_id, "originals.png")
    assert path is not None
    assert path.read_bytes().startswith(b"\x89PNG")
    assert tables.artifact(run_id, "absent.png") is None


def test_tables_take_pages_not_runs(make_study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study("pages")
    for number in range(7):
        run = study.encoder(f"e{number}")
        study.attack(f"e{number}", run, "decoder")
    monkeypatch.setattr(load, "PAGE", 3)
    calls = []
    search = MlflowClient.search_runs

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return search(*args, **kwargs)

    monkeypatch.setattr(MlflowClient, "search_runs", counted)
    tables = load_study("pages", study.uri)
    assert tables.encoders["encoder_id"].tolist() == [f"e{number}" for number in range(7)]
    assert len(tables.attacks) == 7
    assert len(calls) == 1 + 3 + 3


def test_unknown_study_lists_those_there_are(full_study: Any) -> None:
    with pytest.raises(AnalysisError, match=r"study 'fulll' is not in MLflow.* there are: .*full"):
        load_study("fulll", full_study.uri)


def test_experiment_that_holds_no_study(full_study: Any) -> None:
    with pytest.raises(AnalysisError, match="study 'Default' is not in MLflow"):
        load_study("Default", full_study.uri)


def test_missing_database_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "absent.db"
    with pytest.raises(AnalysisError, match=r"there is no database .*absent\.db"):
        load_study("any", f"sqlite:///{file}")
    assert not file.exists()


def test_address_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="tracking URI 'gopher://x'"):
        load_study("any", "gopher://x")


def test_database_that_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "damaged.db"
    file.write_bytes(b"this is no database" * 100)
    with pytest.raises(AnalysisError, match="MLflow cannot be read"):
        load_study("any", f"sqlite:///{file}")


def test_an_artifacts_name_cannot_leave_its_run(make_study: Any, attacked: Any) -> None:
    study = make_study("outside")
    run = attacked(study, "u", 0.7, {"decoder": 0.5}, role="undefended")
    study.strip(run, "originals", 80)
    tables = load_study("outside", study.uri)
    place = tables.artifact(run, "originals.png")
    assert place is not None
    beside = place.parents[2] / "secret.png"
    beside.write_bytes(b"secret")
    assert tables.artifact(run, "../../secret.png") is None
    assert tables.artifact(run, str(beside)) is None
