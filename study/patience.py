"""Patience with a database that is away for a while: it is restarted, or its disk is full."""

import time
from collections.abc import Callable
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
            Exception: The last failure, once the outage has lasted too long.
        """
        end = None
        while True:
            try:
                answer = call()
            except AWAY as error:
                now = time.monotonic()
                if end is None:
                    end = now + self._seconds
                    cause = first_line(error.__cause__ or error, self._address)
                    self._warn(
                        f"study.storage does not answer ({cause}); running trials go on, new ones "
                        f"wait for it, for {self._seconds / 60:.0f} minutes at most"
                    )
                if now >= end:
                    raise
                time.sleep(self._retry_seconds)
                continue
            if end is not None:
                self._warn("study.storage answers again")
            return answer
