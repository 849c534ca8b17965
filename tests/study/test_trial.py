"""The Tune trainable without Tune: checkpoints, results, errors, and one actor for many trials."""

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from study.checkpoints import Checkpoints
from study.folder import StudyFolder
from study.reports import Reports
from study.trial import StudyTrial
from tests.study.study_fakes import FakeProtect, fake_trial
from trainables.checkpoint import load_state, save_state

ROOT = Path(__file__).resolve().parents[2]


class LocalTrial(StudyTrial):
    """Built as Tune builds it, with the fake trials and a checkpoint after every step."""

    def setup(self, config: dict[str, Any]) -> None:
        """Uses the fakes."""
        super().setup(config, factory=fake_trial, checkpoint_seconds=0.0)


def job(tmp_path: Path, key: str, weight: float = 1.0) -> dict[str, Any]:
    """What the search hands out."""
    trial = {
        "kind": "protect", "threads": 1, "output": str(tmp_path / "encoders" / key),
        "protector": {"name": "reconstruction", "lambda1": weight},
    }  # fmt: skip
    return {
        "kind": "protect", "key": key, "results": str(tmp_path), "study": "s", "trial": trial,
    }  # fmt: skip


def test_a_trial_leaves_its_result_and_no_checkpoint(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path, "s")
    trial = LocalTrial(job(tmp_path, "a"))
    assert not trial.train()["done"]
    assert folder.checkpoints("a").all()
    trial.train()
    last = trial.train()
    assert last["done"]
    assert last["utility/mean_mcc"] == pytest.approx(0.9 / 1.01)
    assert json.loads(folder.trial("a").read_text())["status"] == "finished"
    assert not list((folder.root / "checkpoints").iterdir())


def test_a_killed_trial_goes_on_where_it_was(tmp_path: Path) -> None:
    first = LocalTrial(job(tmp_path, "a"))
    first.train()
    first.train()
    second = LocalTrial(job(tmp_path, "a"))
    result = second.train()
    assert (result["train_step"], result["done"]) == (3, True)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("damage", [flip_a_bit, truncate])
def test_a_damaged_checkpoint_is_dropped_and_the_one_before_it_is_used(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    first = LocalTrial(job(tmp_path, "a"))
    first.train()
    first.train()
    checkpoints = StudyFolder(tmp_path, "s").checkpoints("a")
    newest, _ = checkpoints.all()
    damage(newest)
    second = LocalTrial(job(tmp_path, "a"))
    second._checkpoint_seconds = 1e9
    result = second.train()
    assert result["train_step"] == 2
    assert "the one before was used" in result["note"]
    assert newest not in checkpoints.all()
    assert "note" not in second.train()


def test_a_trial_whose_checkpoints_are_all_damaged_starts_over(tmp_path: Path) -> None:
    first = LocalTrial(job(tmp_path, "a"))
    first.train()
    first.train()
    checkpoints = StudyFolder(tmp_path, "s").checkpoints("a")
    for path in checkpoints.all():
        truncate(path)
    trial = LocalTrial(job(tmp_path, "a"))
    trial._checkpoint_seconds = 1e9
    result = trial.train()
    assert result["train_step"] == 1
    assert "started over" in result["note"]
    assert checkpoints.all() == []
    trial.train()
    assert trial.train()["done"]


def test_a_checkpoint_that_is_whole_and_of_another_kind_is_dropped_too(tmp_path: Path) -> None:
    checkpoints = StudyFolder(tmp_path, "s").checkpoints("a")
    checkpoints.save(lambda path: save_state({"another": 1}, path))
    result = LocalTrial(job(tmp_path, "a")).train()
    assert result["train_step"] == 1
    assert "started over" in result["note"]


def test_only_the_newest_two_checkpoints_are_kept_and_each_trial_has_its_own(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "checkpoints"
    for key in ("a", "a-b"):
        for number in range(4):
            path = Checkpoints(folder, key).save(lambda path, n=number: save_state({"n": n}, path))
            assert Checkpoints(folder, key).is_intact(path)
    for key in ("a", "a-b"):
        states = [load_state(path) for path in Checkpoints(folder, key).all()]
        assert states == [{"n": 3}, {"n": 2}]
    (folder / ".a.new.pt").write_bytes(b"half")  # what a kill during a write leaves
    (folder / "..a.new.pt.x7").write_bytes(b"less")
    Checkpoints(folder, "a").clear()
    assert [path.name.split(".")[0] for path in folder.iterdir()] == ["a-b", "a-b"]


def test_a_checkpoint_that_memory_did_not_suffice_for_is_kept(tmp_path: Path, monkeypatch) -> None:
    LocalTrial(job(tmp_path, "a")).train()

    def fail(self: FakeProtect, path: Path) -> None:
        raise MemoryError

    monkeypatch.setattr(FakeProtect, "load", fail)
    with pytest.raises(MemoryError):
        LocalTrial(job(tmp_path, "a")).train()
    assert StudyFolder(tmp_path, "s").checkpoints("a").all()


def test_a_stopped_trial_saves_itself(tmp_path: Path) -> None:
    trial = LocalTrial(job(tmp_path, "a"))
    trial._checkpoint_seconds = 1e9
    trial.train()
    assert not StudyFolder(tmp_path, "s").checkpoints("a").all()
    trial.stop()
    assert StudyFolder(tmp_path, "s").checkpoints("a").all()


def test_a_finished_trial_reports_at_once(tmp_path: Path) -> None:
    trial = LocalTrial(job(tmp_path, "a"))
    for _ in range(3):
        trial.train()
    (tmp_path / "encoders" / "a" / "encoder.pt").unlink()
    again = LocalTrial(job(tmp_path, "a"))
    assert again.train()["done"]
    assert not (tmp_path / "encoders" / "a" / "encoder.pt").exists()


def test_a_damaged_result_is_measured_again(tmp_path: Path) -> None:
    path = StudyFolder(tmp_path, "s").trial("a")
    path.parent.mkdir(parents=True)
    path.write_text('{"status": "fini')
    assert not LocalTrial(job(tmp_path, "a")).train()["done"]


def test_one_actor_takes_one_trial_after_the_other(tmp_path: Path) -> None:
    trial = LocalTrial(job(tmp_path, "a", weight=1.0))
    while not trial.train()["done"]:
        pass
    assert trial.reset_config(job(tmp_path, "b", weight=3.0))
    results = [trial.train() for _ in range(3)]
    assert [result["done"] for result in results] == [False, False, True]
    assert results[2]["utility/mean_mcc"] == pytest.approx(0.9 / 1.03)


def test_an_error_is_kept_for_the_summary(tmp_path: Path, monkeypatch) -> None:
    def fail(self: FakeProtect) -> dict[str, Any]:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(FakeProtect, "step", fail)
    trial = LocalTrial(job(tmp_path, "a"))
    with pytest.raises(RuntimeError, match="out of luck"):
        trial.train()
    text = StudyFolder(tmp_path, "s").error("a").read_text()
    assert text.strip().endswith("RuntimeError: out of luck")


def test_a_result_that_is_not_finite_is_an_error_not_a_file(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(FakeProtect, "outcome", lambda self: {"utility/mean_mcc": float("nan")})
    trial = LocalTrial(job(tmp_path, "a"))
    trial.train()
    trial.train()
    with pytest.raises(ValueError, match="JSON compliant"):
        trial.train()
    assert not StudyFolder(tmp_path, "s").trial("a").exists()


def test_reports_that_were_on_their_way_are_told_again(tmp_path: Path) -> None:
    """A driver that is killed has not read what the trial reported just before its checkpoint."""
    first = LocalTrial(job(tmp_path, "a"))
    first.train()
    first.train()
    second = LocalTrial(job(tmp_path, "a"))
    result = second.train()
    assert [report["train_step"] for report in result["earlier"]] == [1, 2]
    assert result["train_step"] == 3
    # And where the last step was on its way, the result on disk has it all.
    stored = json.loads(StudyFolder(tmp_path, "s").trial("a").read_text())
    assert [report["train_step"] for report in stored["earlier"]] == [1, 2, 3]
    assert not list((tmp_path / "s" / "checkpoints").iterdir())
    # One that goes on in its own process has nothing to tell twice.
    undisturbed = LocalTrial(job(tmp_path, "b"))
    assert "earlier" not in undisturbed.train()
    assert "earlier" not in undisturbed.train()


def test_reports_of_long_ago_have_arrived_and_odd_ones_are_passed_over() -> None:
    now = 0.0
    reports = Reports(lambda: now)
    reports.add({"train_step": 1, "note": "words", "train/loss": math.nan})
    now = 20.0
    reports.add({"train_step": 2})
    assert reports.recent == [{"train_step": 1}, {"train_step": 2}]
    now = 40.0
    reports.add({"train_step": 3})
    assert reports.recent == [{"train_step": 2}, {"train_step": 3}]
    for odd in (None, 7, "text", {"a": 1}):
        reports.restore(odd)
        assert reports.take_restored() == []
    reports.restore([{"train_step": 1}, "text", {"train_step": 2, "more": [1]}])
    assert reports.take_restored() == [{"train_step": 1}, {"train_step": 2}]
    assert reports.take_restored() == []


WRITER = """
import sys, time
from pathlib import Path
import torch
from tests.study.test_trial import LocalTrial, job

folder = Path(sys.argv[1])
trial = LocalTrial(job(folder, "a"))
trial.train()
save = torch.save

def half(state, file):
    save(state, file)
    file.seek(file.tell() // 2)
    file.truncate()
    file.flush()
    print("half", flush=True)
    time.sleep(60)

torch.save = half
trial.train()
"""


def test_a_trial_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "half\n"
    writer.kill()
    assert writer.wait() == -signal.SIGKILL
    folder = tmp_path / "s" / "checkpoints"
    before = StudyFolder(tmp_path, "s").checkpoints("a").all()
    assert len(before) == 1, "that of the first step"
    assert len(list(folder.iterdir())) > 1, "and the half of the second"
    trial = LocalTrial(job(tmp_path, "a"))
    result = trial.train()
    assert result["train_step"] == 2
    assert "note" not in result, "nothing was damaged"
    assert trial.train()["done"]
    assert not list(folder.iterdir()), "nor does the half stay behind"
