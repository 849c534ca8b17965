"""Where a study's files are, and how finished work is kept: one JSON file per trial.

What is in these files and in Optuna's storage is all the state a study has. Whoever stops it, in
whatever way, loses at most what the running trials did since their last checkpoints.
"""

import json
import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from study.checkpoints import Checkpoints
from study.failures import SILENT
from study.mirror import Mirror
from trainables.checkpoint import write_text

LOOK_SECONDS = 0.2
"""Time between two looks for a file that is to appear."""


@dataclass(frozen=True)
class StudyFolder:
    """The files of one study, and those it shares with others in the same results folder.

    Attributes:
        results: The results folder, absolute.
        name: The study's name.
        address: Where the results folder's files are kept, if `results` is only this machine's
            copy of them.
    """

    results: Path
    name: str
    address: str | None = None

    def __str__(self) -> str:
        return str(self.root) if self.address is None else f"{self.address}/{self.name}"

    @cached_property
    def mirror(self) -> Mirror:
        """Passes files on to other machines and takes theirs, where no folder is shared."""
        return Mirror(self.results, self.address)

    @property
    def root(self) -> Path:
        """The study's own folder."""
        return self.results / self.name

    @property
    def cache(self) -> Path:
        """Image stores, shared by all studies."""
        return self.results / "cache"

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.root / "study.yaml"

    @property
    def precision(self) -> Path:
        """What `resources.precision=auto` was found to be."""
        return self.root / "precision.json"

    @property
    def ended(self) -> Path:
        """How large the study was when it last came to its end."""
        return self.root / "ended.json"

    @property
    def spool(self) -> Path:
        """Points of curves that MLflow has not been told yet."""
        return self.root / "mlflow-spool.jsonl"

    @property
    def lock(self) -> Path:
        """Held while the study runs; beside the folder, so that it exists before it."""
        return self.results / f".{self.name}.lock"

    def encoder(self, encoder_id: str) -> Path:
        """Folder of one encoder: its weights and its reconstructions."""
        return self.root / "encoders" / encoder_id

    def checkpoints(self, key: str) -> Checkpoints:
        """Where a trial that is not finished goes on from."""
        return Checkpoints(self.root / "checkpoints", key)

    def trial(self, key: str) -> Path:
        """The final result of a trial."""
        return self.root / "trials" / f"{key}.json"

    def error(self, key: str) -> Path:
        """What a trial raised, for a person to read."""
        return self.root / "errors" / f"{key}.txt"

    def reason(self, key: str) -> str:
        """Why a trial failed: the last line of what it raised."""
        self.mirror.pull(self.error(key))
        try:
            return self.error(key).read_text(encoding="utf-8").strip().splitlines()[-1]
        except (OSError, IndexError):
            return SILENT

    def forget_error(self, key: str) -> None:
        """Removes what an earlier attempt of a trial raised."""
        self.error(key).unlink(missing_ok=True)
        self.mirror.remove(self.error(key))

    def take_over(self) -> None:
        """Makes this machine's copy what is at the address, where there is one."""
        if self.address is None:
            return
        if self.config.name not in self.mirror.names(self.root):
            # A copy of what is no more there: the study was deleted, or never passed on.
            shutil.rmtree(self.root, ignore_errors=True)
        self.mirror.pull_folder(self.root)
        self.mirror.pull_folder(self.root / "trials", missing_only=True)
        self.mirror.pull_folder(self.results / "references", missing_only=True)
        self.mirror.pull_folder(self.cache, missing_only=True)

    def reference(self, key: str) -> Path:
        """A floor or a ceiling, shared by all studies."""
        return self.results / "references" / f"{key}.json"


def write_json(value: dict[str, Any], path: Path) -> None:
    """Writes a mapping whole or not at all.

    Raises:
        ValueError: If a number in it is not finite.
    """
    write_text(json.dumps(value, allow_nan=False, indent=1), path)


def read_json(path: Path, patience: float = 0.0) -> dict[str, Any] | None:
    """Reads a mapping; None if the file is not there or is no complete JSON mapping.

    Files are written whole, but a full disk or a machine that lost power can leave one damaged:
    the work is then done again.

    Args:
        path: The file.
        patience: Seconds to wait for a file that another machine has just written.
    """
    end = time.monotonic() + patience
    while True:
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
            value = None
        if isinstance(value, dict):
            return value
        left = end - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(LOOK_SECONDS, left))
