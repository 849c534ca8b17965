"""Disks that are full, databases that restart, clocks that jump: with real disks and databases."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from study.delivery import Delivery
from study.folder import StudyFolder, read_json
from study.journal import Journal
from study.patience import AWAY, Patience
from study.proposals import Proposals
from study.search import VerifiedSearch
from study.spool import Spool
from study.tracking import Runs, connect
from study.trial import StudyTrial
from tests.services import PostgreSQL
from tests.study.search_driver import Driver
from tests.study.study_fakes import CONTENT, fake_trial


class Disk:
    """A small disk of its own, which can be filled and emptied."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)],
            check=False, capture_output=True,
        )  # fmt: skip
        if mounted.returncode:
            if os.environ.get("CUTPOINT_ALL_SERVERS") and os.geteuid() == 0:
                pytest.fail(f"no small disk can be mounted: {mounted.stderr!r}")
            pytest.skip("only root can mount a small disk")

    def fill(self) -> None:
        """Leaves no room for a single byte."""
        with (self.path / "filler").open("ab", buffering=0) as file:
            for size in (65536, 512, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    continue

    def empty(self) -> None:
        """Makes room again."""
        (self.path / "filler").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """One that is empty."""
    disk = Disk(tmp_path / "disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk.path)], check=False)


class LocalTrial(StudyTrial):
    """Built as Tune builds it, with the fake trials and a checkpoint after every step."""

    def setup(self, config: dict[str, Any], full_disk_seconds: float = 30.0) -> None:
        """Uses the fakes."""
        super().setup(
            config, factory=fake_trial, checkpoint_seconds=0.0, full_disk_seconds=full_disk_seconds
        )


def job(results: Path, output: Path) -> dict[str, Any]:
    """What the search hands out."""
    trial = {
        "kind": "protect", "threads": 1, "output": str(output),
        "protector": {"name": "reconstruction", "lambda1": 1.0},
    }  # fmt: skip
    return {"kind": "protect", "key": "a", "results": str(results), "study": "s", "trial": trial}


def test_a_full_disk_costs_a_trial_its_checkpoints_and_no_more(
    disk: Disk, tmp_path: Path
) -> None:
    folder = StudyFolder(disk.path, "s")
    trial = LocalTrial(job(disk.path, tmp_path / "output"))
    trial.train()
    (kept,) = folder.checkpoints("a").all()
    disk.fill()
    result = trial.train()
    assert "no checkpoint could be written" in result["note"]
    assert "No space left" in result["note"]
    # What is there is whole: a process that dies now goes on from it.
    assert folder.checkpoints("a").is_intact(kept)
    assert folder.checkpoints("a").all() == [kept]
    # The last step has a result, which waits for room.
    threading.Timer(1.0, disk.empty).start()
    start = time.monotonic()
    last = trial.train()
    assert last["done"]
    assert time.monotonic() - start > 0.5
    stored = read_json(folder.trial("a"))
    assert stored is not None
    assert stored["status"] == "finished"
    assert folder.checkpoints("a").all() == []


def test_a_disk_that_stays_full_ends_the_trial_with_that_reason(disk: Disk, tmp_path: Path) -> None:
    folder = StudyFolder(disk.path, "s")
    trial = LocalTrial(job(disk.path, tmp_path / "output"))
    trial._full_disk_seconds = 0.2
    trial.train()
    disk.fill()
    trial.train()
    with pytest.raises(OSError, match="No space left"):
        trial.train()
    disk.empty()
    assert not folder.trial("a").exists()
    # The next start has its checkpoint and loses nothing else.
    again = LocalTrial(job(disk.path, tmp_path / "output"))
    assert again.train()["train_step"] == 2
    assert again.train()["done"]


def test_a_full_disk_under_mlflows_artifacts_holds_nothing_up(
    make_bench, disk: Disk, tmp_path: Path
) -> None:
    bench = make_bench("study.num_encoders=2", "model.cut_point=conv3")
    client = connect(f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = Runs(client, bench.folder.name, disk.path / "artifacts")
    warnings: list[str] = []
    journal = Journal(runs, bench.config, bench.folder, CONTENT)
    told = Delivery(journal, Spool(bench.folder.spool), warnings.append, 0.05)
    bench.search = VerifiedSearch(bench.jobs, bench.folder, bench.proposals, told)
    disk.fill()
    Driver(bench).run()
    assert bench.search.finished
    end = time.monotonic() + 30
    while not warnings and time.monotonic() < end:  # a busy machine may not have tried yet
        time.sleep(0.05)
    assert told.close(0.3) > 0
    assert "No space left" in warnings[0]
    disk.empty()
    again = Journal(Runs(client, bench.folder.name, disk.path / "artifacts"), bench.config,
                    bench.folder, CONTENT)  # fmt: skip
    told = Delivery(again, Spool(bench.folder.spool), warnings.append, 0.05)
    bench = make_bench("study.num_encoders=2", "model.cut_point=conv3")
    search = VerifiedSearch(bench.jobs, bench.folder, bench.proposals, told)
    told.replay()
    assert not isinstance(search.suggest("1"), dict)  # nothing is run a second time
    assert told.close(10) == 0
    again.close("FINISHED")
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    encoders = [run for run in found if run.data.tags["kind"] == "encoder"]
    assert len(encoders) == 2 + 3
    for run in encoders:
        if run.data.tags["role"] not in ("floor", "ceiling"):
            history = client.get_metric_history(run.info.run_id, "train/loss")
            assert sorted(point.step for point in history) == [1, 2, 3]
            names = [file.path for file in client.list_artifacts(run.info.run_id)]
            assert "config.json" in names


def test_optuna_goes_on_where_it_was_when_postgresql_is_back(
    make_config, postgresql: PostgreSQL, monkeypatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgresql.password)
    storage = postgresql.make_database("optuna")
    warnings: list[str] = []
    patience = Patience(storage, warnings.append, 30, 0.1)
    proposals = Proposals(make_config("study.sampler=tpe"), storage, patience=patience)

    def outage() -> None:
        postgresql.stop("immediate")  # as bad as a crash
        threading.Timer(1.0, postgresql.start).start()

    numbers = []
    for index in range(6):
        if index in (1, 3):
            outage()
        proposal = proposals.propose()
        if index in (2, 3):
            outage()
        proposals.note_encoder(proposal.number, f"encoder-{index}")
        if index == 4:
            outage()
        if index == 5:
            outage()
            proposals.fail(proposal.number, "diverged")
        else:
            proposals.verified(proposal.number, 0.5, 0.1 * index, saturated=True)
        numbers.append(proposal.number)
    assert numbers == list(range(6))
    trials = proposals.trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 5 + ["FAIL"]
    assert [trial.user_attrs["encoder_id"] for trial in trials] == [
        f"encoder-{index}" for index in range(6)
    ]
    assert trials[3].values == [0.5, pytest.approx(0.3)]
    assert any("does not answer" in text for text in warnings)
    assert warnings[-1] == "study.storage answers again"
    assert all(postgresql.password not in text for text in warnings)
    # For good: the study is stopped with the error, and resumed where it was.
    short = Proposals(make_config(), storage, patience=Patience(storage, warnings.append, 0.2, 0.1))
    postgresql.stop("immediate")
    with pytest.raises(AWAY):
        short.propose()
    postgresql.start()
    assert len(optuna.load_study(study_name="small", storage=storage).trials) == 6


def test_whoever_stops_a_study_does_not_wait_for_its_database() -> None:
    def away() -> None:
        raise optuna.exceptions.StorageInternalError("gone")

    heard: list[int] = []
    mine = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    handler = signal.getsignal(signal.SIGINT)
    try:
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        start = time.monotonic()
        with pytest.raises(optuna.exceptions.StorageInternalError):
            Patience("sqlite:///x.db", retry_seconds=0.05)(away)
        assert 0.3 <= time.monotonic() - start < 10
        assert heard == [signal.SIGINT], "whoever heeded it before is told, once"
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, mine)


def test_a_clock_that_jumps_changes_nothing_that_is_measured(
    make_bench, tmp_path: Path, monkeypatch
) -> None:
    """An hour back, a day on, at every look: only the moments that MLflow shows are odd."""
    real, jumps = time.time, iter([0.0, -3600.0, 86400.0, -7200.0] * 100_000)
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    bench = make_bench("study.num_encoders=2", "model.cut_point=conv3")
    client = connect(f"sqlite:///{tmp_path / 'mlflow.db'}")
    journal = Journal(Runs(client, "small", tmp_path / "kept"), bench.config, bench.folder, CONTENT)
    told = Delivery(journal, Spool(bench.folder.spool), print, 0.05)
    bench.search = VerifiedSearch(bench.jobs, bench.folder, bench.proposals, told)
    Driver(bench).run()
    assert told.close(20) == 0
    journal.close("FINISHED")
    assert [r.status for r in bench.search.records.values()] == ["verified"] * 3
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    (study,) = (run for run in runs if run.data.tags["kind"] == "study")
    history = client.get_metric_history(study.info.run_id, "hypervolume")
    assert sorted(point.step for point in history) == [1, 2]
    assert study.data.metrics["hypervolume"] == max(point.value for point in history)
