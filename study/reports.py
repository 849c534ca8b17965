"""What a trial reported of late: a report that was on its way when its reader died is told again.

A checkpoint is behind no report that the trial has made, but the driver may be: one that is killed
takes along what had just reached it, or had not yet.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

EARLIER = "earlier"
"""Key under which a result carries reports of before."""
KEPT_SECONDS = 30.0
"""Longer than any report is on its way; the driver keeps in a file what has reached it."""


def numbers_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """What of a trial's result is reported: its numbers."""
    return {k: v for k, v in result.items() if isinstance(v, bool | int | float)}


class Reports:
    """The reports of one trial.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._made: deque[tuple[float, dict[str, Any]]] = deque()
        self._restored: list[dict[str, Any]] = []

    @property
    def recent(self) -> list[dict[str, Any]]:
        """Those of late, the oldest first."""
        return [*self._restored, *(report for _, report in self._made)]

    def add(self, result: Mapping[str, Any]) -> None:
        """Notes one."""
        now = self._clock()
        # What is not finite is no point of a curve, and no JSON.
        numbers = {k: v for k, v in numbers_of(result).items() if math.isfinite(v)}
        self._made.append((now, numbers))
        while self._made[0][0] < now - KEPT_SECONDS:
            self._made.popleft()

    def restore(self, earlier: Any) -> None:
        """Takes up those of the process before; what is none is passed over."""
        found = earlier if isinstance(earlier, list) else []
        self._restored = [numbers_of(report) for report in found if isinstance(report, dict)]

    def take_restored(self) -> list[dict[str, Any]]:
        """Those of the process before, once."""
        taken, self._restored = self._restored, []
        return taken
