"""Where figures come from: commits of a real checkout, and starts that are counted."""

import subprocess
from pathlib import Path
from typing import Any

from study import provenance as module
from study.folder import StudyFolder
from study.provenance import note_start
from trainables.provenance import code_version, machine, versions


def git(root: Path, *words: str) -> str:
    names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    ended = subprocess.run(
        ["git", "-C", str(root), *names, *words], check=True, capture_output=True, text=True
    )
    return ended.stdout.strip()


def test_the_commit_of_a_checkout_and_whether_files_differ(tmp_path: Path) -> None:
    assert code_version(tmp_path) == ""
    git(tmp_path, "init", "-q")
    assert code_version(tmp_path) == "", "no commit yet"
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert code_version(tmp_path) == commit
    (tmp_path / "file").write_text("2")
    assert code_version(tmp_path) == f"{commit} + changes"
    # A copy within somebody else's checkout is not theirs.
    (tmp_path / "copy").mkdir()
    assert code_version(tmp_path / "copy") == ""


def test_versions_and_machine_name_nobody() -> None:
    found = versions()
    assert {"python", "torch", "ray", "mlflow"} <= found.keys()
    assert machine().startswith("Linux on ")


def test_starts_are_counted_and_a_change_is_a_new_entry(tmp_path: Path, monkeypatch: Any) -> None:
    folder = StudyFolder(tmp_path, "s")
    monkeypatch.setattr(module, "code_version", lambda root: "abc")
    note_start(folder)
    (one,) = note_start(folder)["starts"]
    assert (one["code"], one["count"]) == ("abc", 2)
    assert one["first"] <= one["last"]
    monkeypatch.setattr(module, "code_version", lambda root: "def")
    first, second = note_start(folder)["starts"]
    assert (first["count"], second["count"]) == (2, 1)
    assert second["code"] == "def"
