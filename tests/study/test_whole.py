"""The path a user takes, with real trials, a real Ray and a real MLflow, at the smallest size."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
WORDS = (
    "data.num_images=400", "study.num_encoders=2", "model.cut_point=conv4", "model.width=0.125",
    "protector.rounds=20", "protector.warmup=4", "protector.lambda2=0", "protector.mu1=0",
    "protector.mu2=0", "attack.suite=[decoder, attribute]", "attack.evaluate_every=10",
    "attack.max_steps=600", "attack.min_delta=0.02", "attack.patience=3",
    "attack.min_steps=0", "study.name=whole", "resources.precision=auto",
)  # fmt: skip


def run(folder, *words):
    """Runs the command line as a user would, from another folder, without a fixed Ray or MLflow."""
    drop = {"RAY_ADDRESS", "MLFLOW_TRACKING_URI"}
    env = {k: v for k, v in os.environ.items() if k not in drop} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "study" / "run.py"), "quickstart", *WORDS, *words]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=280, check=False
    )


@pytest.mark.slow
@pytest.mark.ray
def test_one_command_gives_a_report_and_another_goes_on(tmp_path):
    first = run(tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    results = tmp_path / "results" / "whole"
    encoders = pd.read_parquet(results / "encoders.parquet").set_index("role")
    assert sorted(encoders.index) == ["ceiling", "floor", "labels", "searched", "undefended"]
    measured = encoders.drop(["ceiling", "floor"])
    assert (measured["status"] == "verified").all()
    assert measured.loc["labels", "utility/mean_mcc"] == 1.0
    assert measured["leakage/worst"].between(0, 1).all()
    assert measured.loc["searched", "leakage/worst"] >= measured.loc["searched", "leakage/in_loop"]
    attacks = pd.read_parquet(results / "attacks.parquet")
    # Two attackers on each of five encoders, and the in-loop adversary of the defended one.
    assert len(attacks) == 11
    frontier = pd.read_parquet(results / "frontier.parquet")
    assert set(frontier["role"]) <= {"undefended", "searched"}
    assert len(frontier) >= 1
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "data:image/webp;base64" in page
    assert "undefended" in page
    assert "resources.precision: auto is" in first.stdout
    assert (results / "precision.json").is_file()

    # The same command again starts nothing over; --resume with more encoders adds just these.
    again = run(tmp_path)
    assert again.returncode == 2
    assert "--resume" in again.stderr
    more = run(tmp_path, "study.num_encoders=3", "--resume")
    assert more.returncode == 0, more.stdout + more.stderr
    grown = pd.read_parquet(results / "encoders.parquet")
    assert len(grown) == len(encoders) + 1
    same = grown.merge(encoders.reset_index(), on="encoder_id", suffixes=("", "_before"))
    assert (same["run_id"] == same["run_id_before"]).all()
