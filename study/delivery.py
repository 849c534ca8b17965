"""Tells the journal from a thread of its own, in order and through MLflow's outages.

MLflow takes tens of milliseconds per run, and is away for minutes at times; the slots of finished
trials would stand empty as long. A study does not end because of it: what could not be told is
tried again, and what training trials report is kept in a file until it is: a driver that is killed
loses none of it.
"""

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from analysis.addresses import masked
from study.jobs import Job
from study.leakages import AttackFigures
from study.records import EncoderRecord, Listener, Result
from study.spool import Point, Spool

SETTLE_SECONDS = 10.0
"""Time that points of curves may wait for company."""
RETRY_SECONDS = 10.0
"""Time between two tries of what MLflow did not take."""
PATIENCE_SECONDS = 120.0
"""Time that MLflow may take nothing at the end of a study."""


class Retold(Listener, Protocol):
    """A listener that can be told the same thing again, as of the time when it happened."""

    def told_at(self, time: int) -> None:
        """What follows happened then: milliseconds since 1970."""

    def recover(self) -> None:
        """What was told last failed, and may have been taken in part."""

    def curve(self, key: str, result: Result) -> None:
        """What the trial of this key reported once."""

    def settle(self) -> None:
        """Passes on what it has collected."""


@dataclasses.dataclass(frozen=True)
class _Event:
    time: int
    call: str
    given: tuple[Any, ...]

    def point(self) -> Point | None:
        """What of it is nowhere else."""
        if self.call == "curve":
            return Point(self.time, *self.given)
        if self.call == "job_progressed" and self.given[0].kind == "protect":
            return Point(self.time, self.given[0].key, self.given[1])
        return None


class Delivery:
    """A listener that only notes what it is told, and has another one told of it.

    Args:
        listener: Who is told; by nobody else until `close` has returned.
        spool: Where points of curves are kept until the listener has passed them on.
        warn: Is told of outages, in a few words.
        retry_seconds: Time between two tries.

    Attributes:
        outage: What the last try raised; None while all is well.
    """

    def __init__(
        self,
        listener: Retold,
        spool: Spool,
        warn: Callable[[str], None],
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self.outage: Exception | None = None
        self._listener = listener
        self._spool = spool
        self._warn = warn
        self._retry_seconds = retry_seconds
        self._events: deque[_Event] = deque()
        self._changed = threading.Condition()
        # Points that were told, and that the listener may not have passed on.
        self._collected: list[Point] = []
        self._closing = False
        self._settled = time.monotonic()
        self._given_up = threading.Event()
        # A daemon: an interpreter that ends because of an error must not wait for a server.
        self._thread = threading.Thread(target=self._tell_all, name="delivery", daemon=True)
        self._thread.start()

    def replay(self) -> None:
        """Tells what an earlier start of the study left in the spool."""
        with self._changed:
            for point in self._spool.read():
                self._events.append(_Event(point.time, "curve", (point.key, point.result)))
            self._changed.notify()

    def close(self, patience: float) -> int:
        """Waits until everything is told, or gives up on a listener that takes nothing.

        Args:
            patience: Seconds without anything told.

        Returns:
            How many things were not told; the points among them are in the spool.
        """
        with self._changed:
            self._events.append(_settling())
            self._closing = True
            self._changed.notify()
        waiting, end = len(self._events), time.monotonic() + patience
        while self._thread.is_alive() and time.monotonic() < end:
            self._thread.join(0.1)
            if len(self._events) < waiting:
                waiting, end = len(self._events), time.monotonic() + patience
        self._given_up.set()
        with self._changed:
            if self._events:
                self._spool_all()
            return len(self._events)

    def job_started(self, job: Job, record: EncoderRecord | None) -> None:
        """See `Listener`."""
        self._note("job_started", job, None if record is None else _as_it_is(record))

    def job_progressed(self, job: Job, result: Result) -> None:
        """See `Listener`."""
        self._note("job_progressed", job, dict(result))

    def job_finished(self, job: Job, result: Result) -> None:
        """See `Listener`."""
        self._note("job_finished", job, result)

    def job_failed(self, job: Job, reason: str) -> None:
        """See `Listener`."""
        self._note("job_failed", job, reason)

    def references_measured(self, figures: Mapping[str, list[AttackFigures]]) -> None:
        """See `Listener`."""
        self._note("references_measured", figures)

    def encoder_verified(self, record: EncoderRecord) -> None:
        """See `Listener`."""
        self._note("encoder_verified", _as_it_is(record))

    def confirmation_begins(self, records: Sequence[EncoderRecord]) -> None:
        """See `Listener`."""
        self._note("confirmation_begins", [_as_it_is(record) for record in records])

    def encoder_dominated(self, record: EncoderRecord) -> None:
        """See `Listener`."""
        self._note("encoder_dominated", _as_it_is(record))

    def encoder_failed(self, record: EncoderRecord) -> None:
        """See `Listener`."""
        self._note("encoder_failed", _as_it_is(record))

    def warn(self, message: str) -> None:
        """See `Listener`."""
        self._note("warn", message)

    def _note(self, call: str, *given: Any) -> None:
        event = _Event(int(time.time() * 1000), call, given)
        with self._changed:
            self._events.append(event)
            point = event.point()
            if point is not None:
                with suppress(OSError):  # a full disk has worse to say, and says it elsewhere
                    self._spool.add(point)
            self._changed.notify()

    def _tell_all(self) -> None:
        while (event := self._next()) is not None:
            if self._given_up.is_set():
                return
            if self._tell(event):
                self._told(event)
            elif self._given_up.wait(self._retry_seconds):
                return

    def _told(self, event: _Event) -> None:
        with self._changed:
            self._events.popleft()
            point = event.point()
            if point is not None:
                self._collected.append(point)
            if event.call == "settle":
                self._collected.clear()
                self._settled = time.monotonic()
                self._spool_all()

    def _next(self) -> _Event | None:
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._closing)
            if not self._events:
                return None
            if time.monotonic() - self._settled > SETTLE_SECONDS and self._collected:
                self._settled = time.monotonic()
                self._events.appendleft(_settling())
            return self._events[0]

    def _tell(self, event: _Event) -> bool:
        try:
            if self.outage is not None:
                self._listener.recover()
            self._listener.told_at(event.time)
            getattr(self._listener, event.call)(*event.given)
        except Exception as error:  # whatever it is: no finished training is thrown away for it
            self._begin_outage(error)
            return False
        if self.outage is not None:
            self.outage = None
            self._warn("MLflow takes results again")
        return True

    def _begin_outage(self, error: Exception) -> None:
        begins, self.outage = self.outage is None, error
        if begins:
            text = masked((str(error).strip() or type(error).__name__).splitlines()[0])
            self._warn(
                f"MLflow does not take results ({type(error).__name__}: {text}); the study goes "
                f"on, and what there is to tell waits"
            )

    def _spool_all(self) -> None:
        points = [*self._collected, *filter(None, (event.point() for event in self._events))]
        with suppress(OSError):
            if points:
                self._spool.rewrite(points)
            else:
                self._spool.remove()


def _settling() -> _Event:
    return _Event(int(time.time() * 1000), "settle", ())


def _as_it_is(record: EncoderRecord) -> EncoderRecord:
    """A record that does not change any more: the search goes on with its own."""
    return dataclasses.replace(record, numbers=list(record.numbers), attacked=dict(record.attacked))
