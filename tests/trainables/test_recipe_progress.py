"""What a long recipe says while nothing of it has ended."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trainables.experiments import progress, runner
from trainables.experiments.config import load_experiment
from trainables.experiments.progress import Progress, ProgressNote, read_progress, time_left
from trainables.experiments.runner import Place, run_units, units
from trainables.experiments.store import encoder_folder


def test_a_note_counts_what_was_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "NOTE_SECONDS", 0.0)
    path = tmp_path / "progress.json"
    note = ProgressNote(path, 5)
    assert read_progress(path) is None
    note.begin("training", 1)
    note.reach(0.5)
    assert read_progress(path) == Progress("training", 0.5, 0.1)
    note.begin("4 attackers", 4)
    assert read_progress(path) == Progress("4 attackers", 0.0, 0.2)
    note.reach(0.25)
    assert read_progress(path) == Progress("4 attackers", 0.25, 0.4)
    assert str(read_progress(path)) == "25% of 4 attackers"
    note.end()
    assert read_progress(path) is None


def test_what_a_checkpoint_brought_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "NOTE_SECONDS", 0.0)
    path = tmp_path / "progress.json"
    note = ProgressNote(path, 2)
    note.begin("training", 1)
    note.resume()
    note.reach(0.8)
    assert read_progress(path) == Progress("training", 0.8, 0.4, 0.4)
    note.reach(0.9)
    assert read_progress(path) == Progress("training", 0.9, 0.45, 0.4)


def test_a_note_is_not_written_at_every_step(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    note = ProgressNote(path, 2)
    note.begin("training", 1)
    note.reach(0.9)
    assert read_progress(path) == Progress("training", 0.0, 0.0)
    # What comes next is said at once.
    note.begin("decoder", 1)
    assert read_progress(path) == Progress("decoder", 0.0, 0.5)


@pytest.mark.parametrize("content", ["", "no", "[1]", json.dumps({"what": "training"})])
def test_a_note_that_is_none_is_nobody_at_work(tmp_path: Path, content: str) -> None:
    path = tmp_path / "progress.json"
    path.write_text(content)
    assert read_progress(path) is None


def test_a_note_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    note = ProgressNote(tmp_path / "file" / "progress.json", 1)
    note.begin("training", 1)
    note.end()


def test_the_time_left_counts_what_is_under_way() -> None:
    halves = [Progress("training", 1.0, 0.5), Progress("training", 1.0, 0.5)]
    # 10 minutes for what makes one unit of four; then for two of four.
    assert time_left(600, 0, halves, 4) == "; about 30 min left"
    assert time_left(600, 1, halves, 4) == "; about 10 min left"
    # What a checkpoint brought took none of them: half a unit in 10 minutes, three left.
    brought = [Progress("training", 1.0, 0.5, 0.5), halves[1]]
    assert time_left(600, 0, brought, 4) == "; about 60 min left"
    assert time_left(600, 0, brought[:1], 4) == ""
    assert time_left(36000, 1, [], 4) == "; about 30.0 h left"
    assert time_left(600, 0, [], 4) == ""
    assert time_left(600, 4, [], 4) == ""


def test_a_run_says_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "NEWS_SECONDS", 0.1)
    monkeypatch.setattr(progress, "NOTE_SECONDS", 0.0)
    words = ["protector.rounds=20", "protector.warmup=5", "attack.max_steps=20"]
    experiment = load_experiment("pittaluga-table1", "tiny", words)
    wanted = units(experiment, ["flip-first", "gan-first"])
    stale = encoder_folder(wanted[1].encoder, 0, tmp_path).progress
    ProgressNote(stale, 1).begin("what a killed run did", 1)
    said: list[str] = []
    here = Place(lambda: ThreadPoolExecutor(1), "cpu", 1)
    assert not run_units(wanted, tmp_path, here, said.append)
    assert not any("killed" in line for line in said)
    first, second = (f"{unit.label}" for unit in wanted)
    assert any(line.startswith(f"0/2 {first} at ") and "% of training" in line for line in said)
    (ended,) = (line for line in said if line.startswith(f"1/2 {first}: "))
    assert ended.endswith(" min left")
    assert any(line.startswith(f"1/2 {second} at ") for line in said)
    assert said[-1].startswith(f"2/2 {second}: ")
    assert "left" not in said[-1]
    assert not list(tmp_path.rglob("progress.json"))
