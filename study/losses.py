"""Trials whose process was lost, with its node or by a kill: they are started again, after a rest.

An exception is a trial's own, and Tune tries it once more; a process that ends without a word says
nothing about the trial. Tune alone would give up on it within milliseconds: what it starts again
goes to the node that is just dying.
"""

import time
from collections import Counter
from collections.abc import Callable

from study.jobs import Job

MAX_LOSSES = 3
"""Times that a trial's process may be lost before the trial itself is taken for the cause."""
REST_SECONDS = 5.0
"""Time before it is started again, times the losses: Ray notices late that a node is gone."""


class Losses:
    """Keeps lost trials until they may be started again.

    Args:
        rest: Seconds, see REST_SECONDS.
        clock: Tells the time.
    """

    def __init__(
        self, rest: float = REST_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rest = rest
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._waiting: list[tuple[float, Job]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, job: Job) -> int:
        """Takes a lost trial in.

        Returns:
            How often it was lost; 0 if it is not to be started again.
        """
        self._counts[job.key] += 1
        count = self._counts[job.key]
        if count > MAX_LOSSES:
            return 0
        self._waiting.append((self._clock() + count * self._rest, job))
        return count

    def rested(self) -> Job | None:
        """Hands out one that may be started again; None if there is none."""
        for entry in self._waiting:
            if entry[0] <= self._clock():
                self._waiting.remove(entry)
                return entry[1]
        return None
