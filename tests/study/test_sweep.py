"""A whole study on a real Ray with fake trials: killed, resumed, and complete to the last trial."""

import io
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from study.config import ResourcesConfig
from study.launch import Options, run_study
from study.loading import load_config
from study.mirror import Mirror
from study.places import find_places
from study.sweep import check_nodes, check_resources, check_shared, max_concurrent, probe
from study.trial import Bundles
from trainables.errors import ConfigError

SMALL = Path(__file__).parent / "small.yaml"
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
        done = finished(results)
        if len(done) >= number:
            return done
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"the study did not get that far:\n{process.communicate()[0]}")


def interrupt(results: Path, blow: signal.Signals, number: int, *words: str) -> tuple[int, str]:
    """Stops a driver after so many trials have ended; returns its exit code and output."""
    process = start(results, *words)
    wait_for_trials(process, results, number)
    process.send_signal(blow)
    text = process.communicate(timeout=120)[0]
    return process.returncode, text


def finished(results: Path) -> set[str]:
    """The trials that have ended."""
    return {path.stem for path in (results / "small" / "trials").glob("*.json")}


def started(results: Path) -> Counter[str]:
    """How often each trial was started."""
    return Counter((results / "starts.txt").read_text().split())


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(420)
def test_a_stopped_study_resumes_and_ends_with_exactly_its_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by SIGTERM, gone on with, killed by SIGKILL, gone on with to the end."""
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    results = tmp_path / "results"
    code, text = interrupt(results, signal.SIGTERM, 5)
    assert code == 1, text
    assert "--resume" in text
    stopped = finished(results)
    assert len(stopped) < 10, "it was to be stopped half-way"
    config = load_config(str(SMALL), ["data.num_images=400", *WORDS])
    with pytest.raises(ConfigError, match="exists already"):
        run_study(config, find_places(config, results), Options(), Console(file=io.StringIO()))

    interrupt(results, signal.SIGKILL, 10, "--resume")
    killed, begun = finished(results), started(results)
    assert stopped < killed
    assert len(killed) < 21, "it was to be killed half-way"
    assert all(begun[key] == 1 for key in stopped), "finished work is not done again"

    process = start(results, "--resume")
    text = process.communicate(timeout=240)[0]
    assert process.returncode == 0, text
    trials, starts = finished(results), started(results)
    # Floor and ceiling (2 trials each), the planted attribute at two cuts, labels, 2 undefended,
    # 2 searched (1 + 2 trials each).
    assert len(trials) == 6 + 5 * 3
    assert set(starts) == trials
    assert all(starts[key] == begun[key] for key in killed), "finished work is not done again"
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
    parts = ResourcesConfig(cpus_per_protect=2, gpus_per_protect=0.5, cpus_per_attack=3)
    bundles = Bundles(parts.model_dump())
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


def test_a_trial_must_fit_on_one_node() -> None:
    parts = ResourcesConfig(cpus_per_protect=6, gpus_per_attack=1)
    check_nodes(parts, [(2, 0), (8, 1)])
    with pytest.raises(ConfigError, match=r"cpus_per_protect: 6 .* largest of 3 nodes has 4 cpus"):
        check_nodes(parts, [(4, 1)] * 3)
    # Each node has enough of one kind alone.
    parts = ResourcesConfig(cpus_per_protect=6, gpus_per_protect=1)
    with pytest.raises(ConfigError, match="none of 2 nodes has both"):
        check_nodes(parts, [(8, 0), (2, 2)])


def test_a_folder_that_a_node_cannot_reach_is_refused_and_the_node_named(tmp_path: Path) -> None:
    nodes = [("1", "alpha"), ("2", "beta")]
    shared, elsewhere = Mirror(tmp_path, None), Mirror(tmp_path / "elsewhere", None)
    check_shared(shared, nodes, partial(partial, probe, shared))

    def own_disk(node_id: str, place: str, token: str) -> None:
        probe(elsewhere if node_id == "2" else shared, node_id, place, token)

    with pytest.raises(ConfigError, match="every node shares: node beta could not"):
        check_shared(shared, nodes, partial(partial, own_disk))

    def lost_write(node_id: str, place: str, token: str) -> None:
        if node_id == "1":
            probe(shared, node_id, place, token)

    with pytest.raises(ConfigError, match="node beta"):
        check_shared(shared, nodes, partial(partial, lost_write))
    assert list(tmp_path.iterdir()) == []
    check_shared(shared, nodes[:1], partial(partial, own_disk))
