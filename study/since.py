"""What a study has gained since it last came to its end: for whoever starts it every night."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from study.config import StudyConfig
from study.folder import StudyFolder, read_json, write_json
from trainables.attackers.suite import SUITE_VERSION
from trainables.seeding import config_hash

NUM_ENCODERS = "num_encoders"
COMPLETE = "complete"


@dataclass(frozen=True)
class Since:
    """The difference that one start made.

    Attributes:
        start: How many times the study has come to its end, this one included.
        new_encoders: Encoders that count towards `study.num_encoders` and were started.
        new_frontier: The encoders on the frontier that were not there before, by identity.
        hypervolume: The area the frontier commands now; None where it has none.
        hypervolume_before: Likewise at the last end.
        failures: What did not end as it should.
        seconds: How long it took.
    """

    start: int
    new_encoders: int
    new_frontier: tuple[str, ...]
    hypervolume: float | None
    hypervolume_before: float | None
    failures: int
    seconds: float

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"new_frontier": list(self.new_frontier)}

    def metrics(self) -> dict[str, float]:
        """For MLflow, at step `start`."""
        change = (self.hypervolume or 0.0) - (self.hypervolume_before or 0.0)
        return {
            "since/new_encoders": self.new_encoders,
            "since/new_frontier_points": len(self.new_frontier),
            "since/hypervolume_change": change,
            "since/failures": self.failures,
            "since/seconds": self.seconds,
        }

    def sentence(self) -> str:
        """In one line."""
        points = f"{len(self.new_frontier)} new on the frontier"
        if self.new_frontier:
            points += f" ({', '.join(self.new_frontier)})"
        areas = [
            "none" if area is None else f"{area:.4f}"
            for area in (self.hypervolume_before, self.hypervolume)
        ]
        return (
            f"since the last end: {self.new_encoders} encoders more, {points}, hypervolume "
            f"{areas[0]} → {areas[1]}, {self.failures} failures, "
            f"{timedelta(seconds=round(self.seconds))}"
        )


class Ends:
    """The note of how a study was when it last came to its end.

    Args:
        folder: The study's files.
    """

    def __init__(self, folder: StudyFolder) -> None:
        self._path = folder.ended
        self._before: Mapping[str, Any] = read_json(self._path) or {}

    def note_size(self, num_encoders: int) -> None:
        """Notes how many encoders it has, before anything else can go wrong."""
        write_json({**self._before, NUM_ENCODERS: num_encoders, COMPLETE: None}, self._path)

    def has_all(self, config: StudyConfig) -> bool:
        """Whether it came to its end with all that this configuration asks for, and well."""
        return bool(self._before.get(COMPLETE) == _fingerprint(config))

    def note(
        self,
        num_encoders: int,
        summary: Mapping[str, Any],
        failures: int,
        started: float,
        complete: StudyConfig | None = None,
    ) -> Since:
        """Notes how it is, and says what is new.

        Args:
            num_encoders: Encoders that count and were started.
            summary: `analysis.tables.summary`.
            failures: What did not end as it should.
            started: `time.monotonic()` when this start began.
            complete: The configuration all of which was done, and well; None if something is left.
        """
        before = self._before
        known = set(before.get("frontier", ()))
        since = Since(
            start=int(before.get("start", 0)) + 1,
            new_encoders=num_encoders - int(before.get(NUM_ENCODERS, 0)),
            new_frontier=tuple(name for name in summary["frontier"] if name not in known),
            hypervolume=summary["hypervolume"],
            hypervolume_before=before.get("hypervolume"),
            failures=failures,
            seconds=round(time.monotonic() - started, 1),
        )
        now = {
            NUM_ENCODERS: num_encoders,
            "start": since.start,
            "frontier": list(summary["frontier"]),
            "hypervolume": summary["hypervolume"],
            COMPLETE: None if complete is None else _fingerprint(complete),
        }
        write_json(now, self._path)
        return since


def _fingerprint(config: StudyConfig) -> str:
    """Everything that is asked for, and who attacks."""
    return config_hash({"study": config.resolved(), "suite_version": SUITE_VERSION})
