"""Where a study's figures come from: which code, which versions, which machine, for each start."""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from study.folder import StudyFolder, read_json, write_json

FILE = "provenance.json"
LIBRARIES = ("torch", "torchvision", "ray", "optuna", "mlflow", "numpy", "scikit-learn", "pyarrow")
ROOT = Path(__file__).resolve().parent.parent
GIT_SECONDS = 5.0


def note_start(folder: StudyFolder) -> dict[str, Any]:
    """Notes a start of a study beside the earlier ones; one like the last is only counted.

    Returns:
        `starts`, the oldest first: `code`, `versions`, `machine`, `first` and `last` (UTC) and
        `count` of each.
    """
    path = folder.root / FILE
    starts = list((read_json(path) or {}).get("starts", []))
    now, circumstances = datetime.now(UTC).isoformat(timespec="seconds"), _circumstances()
    if starts and all(starts[-1].get(name) == value for name, value in circumstances.items()):
        starts[-1] |= {"last": now, "count": int(starts[-1].get("count", 1)) + 1}
    else:
        starts.append({**circumstances, "first": now, "last": now, "count": 1})
    write_json({"starts": starts}, path)
    folder.mirror.push(path)
    return {"starts": starts}


def _circumstances() -> Mapping[str, Any]:
    return {"code": code_version(ROOT), "versions": versions(), "machine": machine()}


def code_version(root: Path) -> str:
    """The commit of a checkout, `+ changes` if files differ from it; empty outside of one."""
    commit = _git(root, "rev-parse", "HEAD")
    if not commit:
        return ""
    return commit + (" + changes" if _git(root, "status", "--porcelain") else "")


def _git(root: Path, *words: str) -> str:
    # Of this folder alone: a copy may lie within somebody else's checkout.
    if not (root / ".git").exists():
        return ""
    try:
        ended = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False,
            timeout=GIT_SECONDS, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ended.stdout.strip() if ended.returncode == 0 else ""


def versions() -> dict[str, str]:
    """Python's version and those of what computes and stores."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> str:
    """The driver's machine, without its name."""
    cores = len(os.sched_getaffinity(0))
    return f"{platform.system()} on {platform.machine()}, {cores} cores"
