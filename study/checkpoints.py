"""The checkpoints of one trial: the newest and the one before it, each named after its content.

`KEY.NUMBER.HASH.pt`. What a full disk, a lost machine or a bad sector did to a file shows by its
hash, which `torch.load` does not look at; the trial then goes on from the one before.
"""

import glob
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

KEPT = 2
HASH_DIGITS = 16


class Checkpoints:
    """Finds, writes and removes them.

    Args:
        folder: Where they lie, among other trials'; made when the first is written.
        key: The trial's.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self._key = folder, key

    def save(self, write: Callable[[Path], None]) -> Path:
        """Adds one, and then removes all but the newest two.

        Args:
            write: Writes the trial's state to a file.

        Returns:
            The new checkpoint.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / f".{self._key}.new.pt"
        write(new)
        known = self.all()
        number = _number(known[0]) + 1 if known else 0
        path = self.folder / f"{self._key}.{number:06d}.{_hash(new)}.pt"
        new.replace(path)
        for old in known[KEPT - 1 :]:
            old.unlink(missing_ok=True)
        return path

    def all(self) -> list[Path]:
        """Those that are there, the newest first; they need not be intact."""
        if not self.folder.is_dir():
            return []
        return self.among([path.name for path in self.folder.iterdir()])

    def among(self, names: Iterable[str]) -> list[Path]:
        """Those of file names that are this trial's checkpoints, the newest first."""
        paths = [self.folder / name for name in names if name.startswith(f"{self._key}.")]
        found = [path for path in paths if path.name.count(".") == self._key.count(".") + 3]
        return sorted((p for p in found if _number(p) >= 0), key=_number, reverse=True)

    @property
    def reports(self) -> Path:
        """What the trial reported shortly before its newest checkpoint."""
        return self.folder / f"{self._key}.reports.json"

    def is_intact(self, path: Path) -> bool:
        """Whether a checkpoint's content is what was written."""
        try:
            return path.suffixes[-2:-1] == [f".{_hash(path)}"]
        except OSError:
            return False

    def clear(self) -> None:
        """Removes them all, and what a killed process left half written."""
        self.reports.unlink(missing_ok=True)
        for path in [*self.all(), *self.folder.glob(f".{glob.escape(self._key)}.new.pt*"),
                     *self.folder.glob(f"..{glob.escape(self._key)}.new.pt*")]:  # fmt: skip
            path.unlink(missing_ok=True)


def _number(path: Path) -> int:
    """The checkpoint's number; -1 if its name is none of ours."""
    parts = path.name.split(".")
    return int(parts[-3]) if parts[-1] == "pt" and parts[-3].isdecimal() else -1


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:HASH_DIGITS]
