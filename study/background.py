"""Tells a listener from a thread of its own, in order, so that nobody waits for it.

MLflow takes tens of milliseconds per run, and minutes where its server is away for a while; the
slots of finished trials would stand empty as long.
"""

import dataclasses
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from study.jobs import Job
from study.leakages import AttackFigures
from study.records import EncoderRecord, Listener, Result


class Background:
    """A listener that only notes what it is told, and has another one told of it.

    What the other one raises is raised by the next call, or by `drain`; nothing is told after it.

    Args:
        listener: Who is told; by nobody else until `end` or `drain` has returned.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._error: Exception | None = None
        # A daemon: an interpreter that ends because of an error must not wait for a server.
        self._thread = threading.Thread(target=self._tell_all, name="listener", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Waits until everything is told, or was refused, and ends the thread."""
        self._waiting.put(None)
        self._thread.join()

    def drain(self) -> None:
        """Waits until everything is told, and ends the thread.

        Raises:
            Exception: What the listener raised, if it did.
        """
        self.end()
        if self._error is not None:
            raise self._error

    def job_started(self, job: Job, record: EncoderRecord | None) -> None:
        """See `Listener`."""
        self._note(self._listener.job_started, job, None if record is None else _as_it_is(record))

    def job_progressed(self, job: Job, result: Result) -> None:
        """See `Listener`."""
        self._note(self._listener.job_progressed, job, dict(result))

    def job_finished(self, job: Job, result: Result) -> None:
        """See `Listener`."""
        self._note(self._listener.job_finished, job, result)

    def job_failed(self, job: Job, reason: str) -> None:
        """See `Listener`."""
        self._note(self._listener.job_failed, job, reason)

    def references_measured(self, figures: Mapping[str, list[AttackFigures]]) -> None:
        """See `Listener`."""
        self._note(self._listener.references_measured, figures)

    def encoder_verified(self, record: EncoderRecord) -> None:
        """See `Listener`."""
        self._note(self._listener.encoder_verified, _as_it_is(record))

    def encoder_failed(self, record: EncoderRecord) -> None:
        """See `Listener`."""
        self._note(self._listener.encoder_failed, _as_it_is(record))

    def warn(self, message: str) -> None:
        """See `Listener`."""
        self._note(self._listener.warn, message)

    def _note(self, call: Callable[..., None], *given: Any) -> None:
        if self._error is not None:
            raise self._error
        self._waiting.put(lambda: call(*given))

    def _tell_all(self) -> None:
        while (tell := self._waiting.get()) is not None:
            if self._error is not None:
                continue
            try:
                tell()
            except Exception as error:  # whatever it is, it is raised where it can end the study
                self._error = error


def _as_it_is(record: EncoderRecord) -> EncoderRecord:
    """A record that does not change any more: the search goes on with its own."""
    return dataclasses.replace(record, numbers=list(record.numbers), attacked=dict(record.attacked))
