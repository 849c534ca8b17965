"""Where a study's results, runs and proposals go, and what must not be there yet."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy
import sqlalchemy.exc
import yaml

from analysis.addresses import first_line, masked
from study.config import StudyConfig, changed_fields, describe_change
from study.folder import StudyFolder
from study.mirror import check_address, working_copy
from trainables.errors import ConfigError

RAY_COPY = "runtime_resources"
"""Part of the path of the temporary copy in which Ray runs a submitted job."""


CONNECT_SECONDS = 5
"""Patience with a database on first contact."""


@dataclass(frozen=True)
class Places:
    """Addresses of one study.

    Attributes:
        folder: Its files.
        tracking: MLflow's address.
        storage: Address of Optuna's storage.
    """

    folder: StudyFolder
    tracking: str
    storage: str

    @property
    def tracking_is_http(self) -> bool:
        """Whether MLflow is a server rather than a database of one's own."""
        return self.tracking.startswith(("http:", "https:"))


def find_places(config: StudyConfig, results: Path | str) -> Places:
    """Resolves the results folder and the two addresses; creates nothing.

    Args:
        config: The study.
        results: A folder, or the address s3://bucket/folder.

    Raises:
        ConfigError: If the results would be lost with a submitted job's temporary copy, or the
            folder is a file.
    """
    address = str(results).rstrip("/") if "://" in str(results) else None
    if address is not None:
        check_address(address)
        results = working_copy(address)
    results = Path(results).expanduser().resolve()
    if RAY_COPY in results.parts and "working_dir_files" in results.parts:
        raise ConfigError(
            f"--results: {results} is inside the temporary copy in which Ray runs a submitted job "
            "and would be lost with it; give an absolute folder that outlives the job"
        )
    if results.exists() and not results.is_dir():
        raise ConfigError(f"--results: {results} is a file; a folder is needed")
    tracking = tracking_address(results)
    storage = (
        config.study.storage
        or os.environ.get("OPTUNA_STORAGE")
        or f"sqlite:///{results / 'optuna.db'}"
    )
    for field, used in (("MLFLOW_TRACKING_URI", tracking), ("study.storage", storage)):
        if address is not None and used.startswith("sqlite"):
            raise ConfigError(
                f"{field}: with --results {address} a server is needed, this machine's copy of "
                f"the results does not last; got {used!r}"
            )
    return Places(StudyFolder(results, config.study.name, address), tracking, storage)


def tracking_address(results: Path) -> str:
    """MLflow's address: $MLFLOW_TRACKING_URI, or a database in the results folder.

    Raises:
        ConfigError: If it is a folder.
    """
    tracking = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results / 'mlflow.db'}"
    if tracking.startswith("file:") or "://" not in tracking:
        raise ConfigError(
            f"MLFLOW_TRACKING_URI: MLflow no longer keeps runs in plain folders, got "
            f"{masked(tracking)!r}; "
            "use sqlite:///PATH, postgresql://… or http(s)://…"
        )
    return tracking


def check_results(results: Path) -> None:
    """Refuses a results folder that could not be made or written to; makes nothing.

    Raises:
        ConfigError: Naming the folder in the way.
    """
    there = results
    while not there.exists():
        there = there.parent
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise ConfigError(f"--results: cannot write {results}: {there} is no folder to write in")


def check_database(field: str, address: str, create: bool = True, near: Path | None = None) -> None:
    """Refuses a database that does not answer within seconds, or a file that is none.

    Asked before MLflow and Optuna are: MLflow tries for many minutes.

    Args:
        field: Where the address was given, for the message.
        address: SQLAlchemy's form of it.
        create: Whether the file of a SQLite database may be made.
        near: A folder that will be made if it is not there.

    Raises:
        ConfigError: With the address and what the database said.
    """
    file = _sqlite_file(address)
    if not create and file is not None and not file.exists():
        if not (file.parent.is_dir() or file.parent == near):
            raise ConfigError(
                f"{field}: no database answers at {masked(address)}: {file.parent} is no folder"
            )
        return
    try:
        # A question that reads the file: opening anything at all succeeds with SQLite.
        _table_names(address)
    except Exception as error:  # SQLAlchemy's, a driver's, a missing driver: all mean the same
        raise ConfigError(
            f"{field}: no database answers at {masked(address)}: {first_line(error, address)}"
        ) from error


def has_table(address: str, name: str) -> bool:
    """Whether a database that answers has such a table; creates nothing."""
    file = _sqlite_file(address)
    return (file is None or file.exists()) and name in _table_names(address)


def has_proposals(places: Places) -> bool:
    """Whether Optuna's storage holds a study of this name; creates nothing."""
    if not has_table(places.storage, "studies"):
        return False
    query = sqlalchemy.text("SELECT 1 FROM studies WHERE study_name = :name")
    with open_database(places.storage) as engine, engine.connect() as connection:
        return connection.execute(query, {"name": places.folder.name}).first() is not None


def _table_names(address: str) -> list[str]:
    with open_database(address) as engine:
        return sqlalchemy.inspect(engine).get_table_names()


@contextmanager
def open_database(address: str) -> Iterator[sqlalchemy.Engine]:
    """Reaches a database for a while; connecting takes seconds at most."""
    arguments = {} if address.startswith("sqlite") else {"connect_timeout": CONNECT_SECONDS}
    engine = sqlalchemy.create_engine(address, connect_args=arguments)
    try:
        yield engine
    finally:
        engine.dispose()


def _sqlite_file(address: str) -> Path | None:
    """The file of a SQLite database; None for a server, or for one in memory."""
    if not address.startswith("sqlite"):
        return None
    try:
        name = sqlalchemy.make_url(address).database
    except sqlalchemy.exc.ArgumentError:
        return None
    return None if name in (None, "", ":memory:") else Path(str(name)).absolute()


def check_resume(
    config: StudyConfig,
    places: Places,
    resume: bool,
    traces: list[str],
    kept: str | None = None,
) -> None:
    """Refuses to start over an existing study, and to resume another one than was started.

    Args:
        config: The study as asked for now.
        places: Where it is.
        resume: Whether `--resume` was given.
        traces: Where else a study of this name was found.
        kept: The resolved configuration that MLflow keeps of it, if it does.

    Raises:
        ConfigError: Naming what is there, or the fields that changed.
    """
    path = places.folder.config
    found = [str(path), *traces] if path.is_file() else traces
    if not found:
        return
    if not resume:
        raise ConfigError(
            f"study.name: a study {config.study.name!r} exists already ({', '.join(found)}); "
            "go on with it by --resume, or choose another study.name"
        )
    if not path.is_file() and kept is None:
        raise ConfigError(
            f"--resume: there are traces of a study {config.study.name!r} ({', '.join(traces)}), "
            f"but neither {path} nor MLflow has its configuration, so that nobody can tell whether "
            "it is the same study; choose another study.name, or delete the stale study there"
        )
    where = str(path) if path.is_file() else "study.yaml in MLflow"
    old = _read_config(path.read_text(encoding="utf-8") if path.is_file() else str(kept), where)
    new = yaml.safe_load(config.to_yaml())
    changed = changed_fields(old, new)
    if changed:
        lines = "\n".join("  " + describe_change(old, new, name) for name in changed)
        raise ConfigError(
            f"--resume: the configuration of {config.study.name!r} has changed; only "
            "study.num_encoders, study.max_concurrent, study.storage, report and the cores and "
            f"devices in resources may:\n{lines}"
        )


def _read_config(text: str, where: str) -> dict[str, Any]:
    try:
        parts = yaml.safe_load(text)
    except yaml.YAMLError:
        parts = None
    if not isinstance(parts, dict) or not all(isinstance(part, dict) for part in parts.values()):
        raise ConfigError(
            f"--resume: {where} is damaged, it holds no configuration; choose another study.name"
        )
    return parts
