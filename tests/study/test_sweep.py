"""A whole study on a real Ray with fake trials: killed, resumed, and complete to the last trial."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from study.config import ResourcesConfig
from study.errors import ConfigError
from study.loading import load_config
from study.sweep import Bundles, check_resources, max_concurrent

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("study.num_encoders=4", "attack.group=2", "study.max_concurrent=2")


def start(results: Path, *words: str) -> subprocess.Popen[str]:
    """Starts the driver in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, str(ROOT / "tests" / "study" / "study_driver.py"), str(results)]
    return subprocess.Popen(
        [*command, *WORDS, *words], cwd=ROOT, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def wait_for_trials(process: subprocess.Popen[str], results: Path, number: int) -> set[str]:
    """Waits until so many trials have ended; returns their keys."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        done = {path.stem for path in (results / "small" / "trials").glob("*.json")}
        if len(done) >= number:
            return done
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"the study did not get that far:\n{process.communicate()[0]}")


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(420)
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_a_stopped_study_resumes_and_ends_with_exactly_its_trials(
    tmp_path: Path, blow: signal.Signals
) -> None:
    results = tmp_path / "results"
    process = start(results)
    wait_for_trials(process, results, 5)
    process.send_signal(blow)
    text = process.communicate(timeout=120)[0]
    done = {path.stem for path in (results / "small" / "trials").glob("*.json")}
    if blow == signal.SIGTERM:
        assert process.returncode == 1, text
        assert "--resume" in text
        refused = start(results)
        text = refused.communicate(timeout=120)[0]
        assert refused.returncode != 0
        assert "exists already" in text
    assert len(done) < 19, "it was to be stopped half-way"

    process = start(results, "--resume")
    text = process.communicate(timeout=240)[0]
    assert process.returncode == 0, text
    trials = {path.stem for path in (results / "small" / "trials").glob("*.json")}
    # Floor and ceiling (2 trials each), labels, 2 undefended, 2 searched (1 + 2 trials each).
    assert len(trials) == 4 + 5 * 3
    starts = Counter((results / "starts.txt").read_text().split())
    assert set(starts) == trials
    assert all(starts[key] == 1 for key in done), "finished work is not done again"
    assert sum(starts.values()) <= len(trials) + 4
    assert not list((results / "small" / "checkpoints").glob("*.pt"))

    encoders = pd.read_parquet(results / "small" / "encoders.parquet")
    assert sorted(encoders["role"]) == sorted(
        ["ceiling", "floor", "labels", "searched", "searched", "undefended", "undefended"]
    )
    assert set(encoders["status"]) == {"verified"}
    assert encoders["encoder_id"].is_unique
    attacks = pd.read_parquet(results / "small" / "attacks.parquet")
    # Three attackers on each of seven, and the in-loop adversary of the two searched ones.
    assert len(attacks) == 3 * 7 + 2
    frontier = pd.read_parquet(results / "small" / "frontier.parquet")
    assert 1 <= len(frontier) <= 4
    assert (results / "small" / "report.html").stat().st_size > 10_000


def test_every_kind_of_trial_holds_what_it_is_given() -> None:
    bundles = Bundles(ResourcesConfig(cpus_per_protect=2, gpus_per_protect=0.5, cpus_per_attack=3))
    assert bundles({"kind": "protect"}).bundles == [{"CPU": 2.0, "GPU": 0.5}]
    assert bundles({"kind": "attack"}).bundles == [{"CPU": 3.0}]


@pytest.mark.parametrize(
    ("words", "cpus", "gpus", "expected"),
    [
        ([], 2, 0, 2),
        (["resources.cpus_per_protect=4", "resources.cpus_per_attack=2"], 8, 0, 4),
        (["resources.gpus_per_protect=0.5", "resources.gpus_per_attack=0.25"], 16, 1, 4),
        (["study.max_concurrent=3"], 16, 0, 3),
        (["resources.cpus_per_attack=2", "resources.cpus_per_protect=2"], 3, 0, 1),
    ],
)
def test_as_many_trials_at_a_time_as_fit(words, cpus, gpus, expected) -> None:
    assert max_concurrent(load_config("quickstart", words), cpus, gpus) == expected


def test_trials_that_could_never_start_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"resources\.gpus_per_attack: 1 asked for.* 0 gpus"):
        check_resources(ResourcesConfig(gpus_per_attack=1), cpus=2, gpus=0)
    with pytest.raises(ConfigError, match=r"resources\.cpus_per_protect: 3 asked for.* 2 cpus"):
        check_resources(ResourcesConfig(cpus_per_protect=3), cpus=2, gpus=0)
