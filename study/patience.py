"""Patience with a database that is away for a while: it is restarted, or its disk is full."""

import signal
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import optuna
import sqlalchemy.exc

from analysis.addresses import first_line

Answer = TypeVar("Answer")
PATIENCE_SECONDS = 600.0
"""Time that a database may be away before the study is stopped; it is resumed where it was."""
RETRY_SECONDS = 2.0
AWAY = (
    optuna.exceptions.StorageInternalError,
    sqlalchemy.exc.DBAPIError,
    sqlalchemy.exc.InvalidRequestError,  # of a session whose connection was lost
)


class Patience:
    """Tries again what a database could not do.

    Args:
        address: The database's, for what is said.
        warn: Is told once per outage, and of its end.
        seconds: How long an outage may last.
        retry_seconds: Time between two tries.
    """

    def __init__(
        self,
        address: str,
        warn: Callable[[str], None] = lambda text: None,
        seconds: float = PATIENCE_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._address = address
        self._warn = warn
        self._seconds = seconds
        self._retry_seconds = retry_seconds

    def __call__(self, call: Callable[[], Answer]) -> Answer:
        """Returns what a call returns; it may be made several times.

        Raises:
            Exception: The last failure, once the outage has lasted too long, or once the process
                was told to stop: whoever stops a study does not wait for a database.
        """
        try:
            return call()
        except AWAY as error:
            cause = first_line(error.__cause__ or error, self._address)
        self._warn(
            f"study.storage does not answer ({cause}); running trials go on, new ones wait for it, "
            f"for {self._seconds / 60:.0f} minutes at most"
        )
        end = time.monotonic() + self._seconds
        with _heeding_stops() as stopped:
            while True:
                time.sleep(self._retry_seconds)
                try:
                    answer = call()
                except AWAY:
                    if stopped.is_set() or time.monotonic() >= end:
                        raise
                    continue
                self._warn("study.storage answers again")
                return answer


@contextmanager
def _heeding_stops() -> Iterator[threading.Event]:
    """Notes that the process was told to stop (SIGINT), and passes it on to whoever heeds it."""
    stopped = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def note(signum: int, frame: types.FrameType | None) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)
        if callable(before):
            before(signum, frame)

    try:
        signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread, which alone may set handlers
        yield stopped
        return
    try:
        yield stopped
    finally:
        if signal.getsignal(signal.SIGINT) is note:
            signal.signal(signal.SIGINT, before)
