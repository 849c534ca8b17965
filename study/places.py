"""Where a study's results, runs and proposals go, and what must not be there yet."""

import os
from dataclasses import dataclass
from pathlib import Path

import optuna
import sqlalchemy
import sqlalchemy.exc
import yaml

from study.config import StudyConfig, changed_fields, describe_change
from study.errors import ConfigError
from study.folder import StudyFolder

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


def find_places(config: StudyConfig, results: Path) -> Places:
    """Resolves the results folder and the two addresses; creates nothing.

    Raises:
        ConfigError: If the results would be lost with a submitted job's temporary copy, or the
            folder is a file.
    """
    results = results.expanduser().resolve()
    if RAY_COPY in results.parts and "working_dir_files" in results.parts:
        raise ConfigError(
            f"--results: {results} is inside the temporary copy in which Ray runs a submitted job "
            "and would be lost with it; give an absolute folder that outlives the job"
        )
    if results.exists() and not results.is_dir():
        raise ConfigError(f"--results: {results} is a file; a folder is needed")
    tracking = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results / 'mlflow.db'}"
    if tracking.startswith("file:") or "://" not in tracking:
        raise ConfigError(
            f"MLFLOW_TRACKING_URI: MLflow no longer keeps runs in plain folders, got {tracking!r}; "
            "use sqlite:///PATH, postgresql://… or http(s)://…"
        )
    storage = config.study.storage or f"sqlite:///{results / 'optuna.db'}"
    return Places(StudyFolder(results, config.study.name), tracking, storage)


def check_database(field: str, address: str) -> None:
    """Refuses a database that does not answer within seconds.

    Asked before MLflow and Optuna are: MLflow tries for many minutes.

    Args:
        field: Where the address was given, for the message.
        address: SQLAlchemy's form of it.

    Raises:
        ConfigError: With the address and what the database said.
    """
    local = address.startswith("sqlite")
    try:
        arguments = {} if local else {"connect_timeout": CONNECT_SECONDS}
        engine = sqlalchemy.create_engine(address, connect_args=arguments)
        with engine.connect():
            pass
        engine.dispose()
    except Exception as error:  # SQLAlchemy's, a driver's, a missing driver: all mean the same
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"{field}: no database answers at {_no_password(address)}: {text}"
        ) from error


def _no_password(address: str) -> str:
    try:
        return sqlalchemy.make_url(address).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return repr(address)


def has_proposals(places: Places) -> bool:
    """Whether Optuna's storage holds a study of this name."""
    return places.folder.name in optuna.get_all_study_names(places.storage)


def check_resume(config: StudyConfig, places: Places, resume: bool, traces: list[str]) -> None:
    """Refuses to start over an existing study, and to resume another one than was started.

    Args:
        config: The study as asked for now.
        places: Where it is.
        resume: Whether `--resume` was given.
        traces: Where else a study of this name was found.

    Raises:
        ConfigError: Naming what is there, or the fields that changed.
    """
    path = places.folder.config
    found = [str(path), *traces] if path.is_file() else traces
    if found and not resume:
        raise ConfigError(
            f"study.name: a study {config.study.name!r} exists already ({', '.join(found)}); "
            "go on with it by --resume, or choose another study.name"
        )
    if not path.is_file():
        return
    old = yaml.safe_load(path.read_text(encoding="utf-8"))
    new = yaml.safe_load(config.to_yaml())
    changed = changed_fields(old, new)
    if changed:
        lines = "\n".join("  " + describe_change(old, new, name) for name in changed)
        raise ConfigError(
            f"--resume: the configuration of {config.study.name!r} has changed; only "
            f"study.num_encoders, study.max_concurrent and resources may:\n{lines}"
        )
