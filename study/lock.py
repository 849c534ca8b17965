"""Two starts of one study cannot both run: a lock beside its folder, and one in its database."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy
from filelock import FileLock, Timeout

from analysis.addresses import masked
from study.places import Places, check_database, open_database
from trainables.errors import ConfigError


@contextmanager
def running_alone(places: Places) -> Iterator[None]:
    """Keeps every other process from running the same study, here and on other machines.

    The folder's lock holds wherever its file system has locks. PostgreSQL's holds too where two
    starts share no folder; it lasts as long as the connection, so that no dead driver keeps it.

    Raises:
        ConfigError: If the study is being run already, or the results folder cannot be made.
    """
    folder = places.folder
    lock = FileLock(folder.lock, timeout=0)
    try:
        folder.results.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise ConfigError(
            f"study.name: {folder.name!r} is being run by another process (its lock is "
            f"{folder.lock})"
        ) from error
    except OSError as error:
        raise ConfigError(f"--results: cannot write to {folder.results}: {error}") from error
    try:
        with _database_lock(places):
            yield
    finally:
        lock.release()


@contextmanager
def _database_lock(places: Places) -> Iterator[None]:
    if not places.storage.startswith("postgresql"):
        yield
        return
    # No table: only a number, which PostgreSQL knows as long as the connection lasts.
    digest = hashlib.sha256(f"cutpoint {places.folder.name}".encode()).digest()
    number = int.from_bytes(digest[:8], "big", signed=True)
    check_database("study.storage", places.storage)
    with open_database(places.storage) as engine:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            taken = connection.execute(
                sqlalchemy.text("SELECT pg_try_advisory_lock(:number)"), {"number": number}
            ).scalar()
            if not taken:
                raise ConfigError(
                    f"study.name: {places.folder.name!r} is being run by another process (it "
                    f"holds the lock in {masked(places.storage)})"
                )
            yield
        finally:
            # Ends the session, and with it the lock; a server that was restarted ended both.
            connection.invalidate()
