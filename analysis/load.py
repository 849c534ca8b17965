"""Reads one study back from MLflow into two tables, one row per encoder and one per attack run.

The layout is the one `study/tracking.py` writes: experiment = study name; runs tagged `kind` =
`study`, `encoder` or `attack`. Everything the tables hold comes from a few paged searches, whatever
the number of runs; curves and artifacts are fetched one by one, when they are asked for.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import pandas as pd
import yaml
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from analysis.addresses import masked
from analysis.errors import AnalysisError
from analysis.runs import attack_table, encoder_table, finite_or_inf

PAGE = 1000
"""Runs per request; MLflow allows up to 50,000, a thousand keep one answer at a few MB."""


@dataclass(frozen=True)
class StudyTables:
    """One study as stored.

    Attributes:
        name: Name of the study.
        status: `running`, `finished` or `failed`.
        config: The resolved configuration (`study.yaml`); empty if it was not stored yet.
        data: Description of the data (`data.json`); empty if it was not stored yet.
        params: The study run's parameters, as text.
        encoders: One row per encoder run, in the order they started. Always has the columns
            ENCODER_TEXTS (text) and ENCODER_NUMBERS (numbers, NaN where absent), then every
            further parameter and metric under its own name.
        attacks: One row per attack run, with ATTACK_TEXTS, ATTACK_NUMBERS, the nullable boolean
            `saturated`, and the booleans `counts` (whether it is a part of the worst case; a rung
            of the strength ladder and a white-box attacker are not) and `attack_extra`; the
            encoder's parameters, repeated on attack runs, are left out.
        run_id: MLflow's id of the study run.
        started: When the study started, None if MLflow does not say.
        ended: When it ended, None while it runs.
        tracking_uri: Where it was read from.
    """

    name: str
    status: str
    config: dict[str, Any]
    data: dict[str, Any]
    params: dict[str, str]
    encoders: pd.DataFrame
    attacks: pd.DataFrame
    run_id: str
    started: pd.Timestamp | None
    ended: pd.Timestamp | None
    tracking_uri: str
    _downloads: tempfile.TemporaryDirectory[str] = field(repr=False, compare=False)
    _artifacts: dict[str, str] = field(repr=False, compare=False)

    def artifact(self, run_id: str, path: str) -> Path | None:
        """Fetches one artifact of a run.

        Args:
            run_id: The run that owns it.
            path: Its path among the run's artifacts.

        Returns:
            A local file, valid while these tables live; None if the run has no such file.
        """
        folder = _local_folder(self._artifacts.get(run_id, ""))
        if folder is not None:  # MLflow would copy it, and ask its database three times before
            found = (folder / path).resolve()
            inside = found.is_relative_to(folder.resolve())  # a name may be somebody else's
            return found if inside and found.is_file() else None
        target = Path(self._downloads.name) / run_id
        target.mkdir(exist_ok=True)
        try:
            with no_progress_bars():
                local = Path(
                    download_artifacts(
                        run_id=run_id, artifact_path=path, dst_path=str(target),
                        tracking_uri=self.tracking_uri,
                    )
                )  # fmt: skip
        except (MlflowException, OSError):
            return None
        return local if local.is_file() else None

    def mapping(self, artifact: str) -> dict[str, Any]:
        """A YAML or JSON artifact of the study run as a dictionary; empty if it is not there.

        Raises:
            AnalysisError: It is there, but cannot be read as such.
        """
        path = self.artifact(self.run_id, artifact)
        if path is None:
            return {}
        try:
            text = path.read_text(encoding="utf-8")
            content = json.loads(text) if artifact.endswith(".json") else yaml.safe_load(text)
        except (ValueError, yaml.YAMLError) as error:
            message = f"{artifact} of study {self.name!r} cannot be read: {error}"
            raise AnalysisError(message) from error
        return content if isinstance(content, dict) else {}

    def artifact_names(self, run_id: str) -> list[str]:
        """Paths of a run's artifacts, folders walked, sorted; empty if there are none."""
        folder = _local_folder(self._artifacts.get(run_id, ""))
        if folder is not None:
            files = (path for path in folder.rglob("*") if path.is_file())
            return sorted(path.relative_to(folder).as_posix() for path in files)
        client = MlflowClient(self.tracking_uri)
        names: list[str] = []
        folders: list[str | None] = [None]
        while folders:
            try:
                entries = client.list_artifacts(run_id, folders.pop())
            except (MlflowException, OSError):
                continue
            folders += [entry.path for entry in entries if entry.is_dir]
            names += [entry.path for entry in entries if not entry.is_dir]
        return sorted(names)

    def metric_names(self, run_id: str) -> list[str]:
        """Names of a run's metrics, curves among them, sorted; empty if it is not there."""
        try:
            return sorted(MlflowClient(self.tracking_uri).get_run(run_id).data.metrics)
        except MlflowException:
            return []

    def curve(self, run_id: str, metric: str) -> pd.DataFrame:
        """History of one metric, by step; empty if absent.

        Returns:
            Columns `step` (int), `value`, and `time` (int), milliseconds since 1970.
        """
        try:
            history = MlflowClient(self.tracking_uri).get_metric_history(run_id, metric)
        except MlflowException:
            history = []
        frame = pd.DataFrame(
            {
                "step": np.array([point.step for point in history], dtype=np.int64),
                "value": np.array([finite_or_inf(point.value) for point in history], dtype=float),
                "time": np.array([point.timestamp for point in history], dtype=np.int64),
            }
        )
        # A trial that was killed and resumed logs some steps twice; both values are the same.
        frame = frame.drop_duplicates("step", keep="last")
        return frame.sort_values("step", ignore_index=True)


def checked_name(name: str) -> str:
    """A study's name, which becomes a folder's; an experiment in MLflow may be called anything.

    Raises:
        AnalysisError: It is no name of a study.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise AnalysisError(f"study {name!r}: a name is of letters, digits and . _ -")
    return name


def load_study(name: str, tracking_uri: str) -> StudyTables:
    """Reads a study from MLflow; it may still run, or have failures, or hold no encoder yet.

    Args:
        name: Name of the study, which is the name of its MLflow experiment.
        tracking_uri: MLflow's address: `sqlite:///…`, `postgresql://…` or `http://…`.

    Returns:
        The study's tables, configuration and data description.

    Raises:
        AnalysisError: There is no such study (the message lists those there are), or MLflow cannot
            be read at that address.
    """
    with reading(tracking_uri):
        client = MlflowClient(tracking_uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is None or experiment.lifecycle_stage != "active":
            raise AnalysisError(_unknown_study(client, name, tracking_uri))
        ids = [experiment.experiment_id]
        studies = search(client, ids, "study")
        if not studies:
            raise AnalysisError(_unknown_study(client, name, tracking_uri))
        study = studies[-1]
        encoder_runs = search(client, ids, "encoder")
        attack_runs = search(client, ids, "attack")
    encoder_runs = [
        run
        for run in encoder_runs
        if run.data.tags.get("mlflow.parentRunId", study.info.run_id) == study.info.run_id
    ]
    encoders = encoder_table(encoder_runs)
    tables = StudyTables(
        name=name,
        status=study.data.tags.get("status", study.info.status.lower()),
        config={},
        data={},
        params=dict(study.data.params),
        encoders=encoders,
        attacks=attack_table(attack_runs, encoder_runs, set(encoders["encoder_id"])),
        run_id=study.info.run_id,
        started=_timestamp(study.info.start_time),
        # A study that was resumed still carries the end of its first part.
        ended=None if study.info.status == "RUNNING" else _timestamp(study.info.end_time),
        tracking_uri=tracking_uri,
        _downloads=tempfile.TemporaryDirectory(prefix="cutpoint-analysis-"),
        _artifacts={run.info.run_id: run.info.artifact_uri for run in (study, *encoder_runs)},
    )
    tables.config.update(tables.mapping("study.yaml"))
    tables.data.update(tables.mapping("data.json"))
    return tables


def _local_folder(address: str) -> Path | None:
    """The folder of a run's artifacts, if it is one of this machine."""
    parts = urlparse(address)
    if parts.scheme not in ("", "file") or parts.netloc or not parts.path:
        return None
    return Path(unquote(parts.path))


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """MLflow would draw two bars per file; it can only be told so by the environment."""
    name = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def reading(tracking_uri: str) -> Iterator[None]:
    """Has everything that goes wrong with MLflow at an address be an `AnalysisError`."""
    _check_database(tracking_uri)
    try:
        yield
    except AnalysisError:
        raise
    except Exception as error:  # every backend has its own: MLflow, SQLAlchemy, requests, …
        said = masked(str(error), (tracking_uri,))
        message = f"tracking URI {masked(tracking_uri)!r}: MLflow cannot be read: {said}"
        raise AnalysisError(message) from error


def _check_database(tracking_uri: str) -> None:
    """Refuses an SQLite file that is not there: opening it would quietly make an empty one."""
    if not tracking_uri.startswith("sqlite:"):
        return
    path = urlparse(tracking_uri).path
    # sqlite:///relative has one slash before the path, sqlite:////absolute has two.
    file = path.removeprefix("/")
    if file and not os.path.isfile(file):
        raise AnalysisError(f"tracking URI {masked(tracking_uri)!r}: there is no database {file}")


def _unknown_study(client: MlflowClient, name: str, tracking_uri: str) -> str:
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = search(client, ids, "study") if ids else []
    known = sorted({run.data.tags.get("study", "") for run in runs} - {""})
    there = f"the studies there are: {', '.join(known)}" if known else "there is no study there"
    return f"study {name!r} is not in MLflow at {masked(tracking_uri)}; {there}"


def search(client: MlflowClient, experiments: list[str], kind: str) -> list[Run]:
    """All runs of a kind, oldest first."""
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            experiments, f"tags.kind = '{kind}'", max_results=PAGE,
            order_by=["attributes.start_time ASC", "attributes.run_id ASC"], page_token=token,
        )  # fmt: skip
        runs += page
        token = page.token
        if not token:
            return runs


def _timestamp(milliseconds: int | None) -> pd.Timestamp | None:
    return None if not milliseconds else pd.Timestamp(milliseconds, unit="ms", tz="UTC")
