"""Points of training curves that MLflow has not been told yet, one JSON line each.

All else that a study tells MLflow is on disk anyway and is told again by a resumed study; what a
running trial reports is nowhere else.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from study.records import Result
from trainables.checkpoint import write_text


@dataclass(frozen=True)
class Point:
    """What a trial reported, and when.

    Attributes:
        time: Milliseconds since 1970.
        key: The trial's.
        result: Its numbers.
    """

    time: int
    key: str
    result: Result


class Spool:
    """The file of points.

    Args:
        path: Where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, point: Point) -> None:
        """Appends one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(point))

    def rewrite(self, points: Iterable[Point]) -> None:
        """Replaces what is there, whole or not at all."""
        write_text("".join(map(_line, points)), self.path)

    def read(self) -> Iterator[Point]:
        """Goes through what is there; a line that a killed process left half written is skipped."""
        if not self.path.is_file():
            return
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, TypeError):
                time, key, result = json.loads(line)
                yield Point(int(time), str(key), dict(result))

    def remove(self) -> None:
        """Forgets all of them: they are told."""
        self.path.unlink(missing_ok=True)


def _line(point: Point) -> str:
    numbers = {k: v for k, v in point.result.items() if isinstance(v, bool | int | float)}
    return json.dumps([point.time, point.key, numbers]) + "\n"
