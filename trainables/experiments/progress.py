"""How far a unit is: a note in its folder, from the process that runs it to the one that waits.

A file, since workers may be on other nodes, and all that both surely see is the results folder.
"""

import json
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from trainables.checkpoint import write_text

NOTE_SECONDS = 5.0
"""Time between two notes of a unit."""


@dataclass(frozen=True)
class Progress:
    """How far a unit is.

    Attributes:
        what: What is done at present, in a word.
        share: How much of that is done, 0 to 1; attackers count as if they took all their steps.
        whole: How much of the unit is done, 0 to 1: of what was missing when it was started.
        before: How much of the unit a checkpoint had done before that.
    """

    what: str
    share: float
    whole: float
    before: float = 0.0

    def __str__(self) -> str:
        return f"{self.share:.0%} of {self.what}"


class ProgressNote:
    """Keeps the note of a unit while it is run.

    Args:
        path: Of the note.
        parts: How many trainings and attackers the unit has to do.
    """

    def __init__(self, path: Path, parts: int) -> None:
        self._path = path
        self._parts = max(parts, 1)
        self._before, self._present, self._what = 0, 0, ""
        self._written = -math.inf
        self._resumed, self._came_with = False, 0.0

    def begin(self, what: str, parts: int) -> None:
        """What came before has ended; says what is done next, and how many parts that is."""
        self._before += self._present
        self._what, self._present = what, parts
        self._written = -math.inf
        self.reach(0.0)

    def resume(self) -> None:
        """The present task goes on from a checkpoint: what it has reached next was there before."""
        self._resumed = True

    def reach(self, share: float) -> None:
        """Notes how much of the present task is done, 0 to 1, unless that was noted just now."""
        if self._resumed:
            self._resumed = False
            self._came_with += self._present * share / self._parts
        now = time.monotonic()
        if now - self._written < NOTE_SECONDS:
            return
        self._written = now
        whole = (self._before + self._present * share) / self._parts
        with suppress(OSError):  # a full disk has worse to say
            progress = Progress(self._what, share, whole, self._came_with)
            write_text(json.dumps(asdict(progress)), self._path)

    def end(self) -> None:
        """Removes the note."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def read_progress(path: Path) -> Progress | None:
    """Reads a unit's note; None if it has none, so that nobody runs it."""
    try:
        return Progress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def time_left(seconds: float, done: int, parts: Sequence[Progress], total: int) -> str:
    """Estimates the time that a run of units still takes, in words.

    It is rather too much: attackers saturate before they have taken all the steps they may.

    Args:
        seconds: Since its start.
        done: Units that have ended.
        parts: How far those are that are running.
        total: Units altogether.

    Returns:
        For example "; about 40 min left"; nothing while there is nothing to go by.
    """
    reached = done + sum(part.whole for part in parts)
    own = reached - sum(part.before for part in parts)
    if own <= 0 or done == total:
        return ""
    return f"; about {_duration(seconds / own * (total - reached))} left"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{seconds / 3600:.1f} h"
