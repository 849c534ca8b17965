"""Reads and writes MLflow's runs. The only file of a study that imports mlflow.

One process writes, the driver. Runs are found again by their tags, so a resumed study goes on in
the same rows.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from analysis.addresses import first_line, masked
from trainables.environment import environment
from trainables.errors import ConfigError

METRICS_PER_BATCH, PARAMS_PER_BATCH = 1000, 100
"""MLflow's limits for one request."""
Client = MlflowClient
"""MLflow, for files that hand it on without importing it."""
Key = tuple[str, str, str, str]
"""(kind, trial_id, attacker, seed) of a run."""


@contextmanager
def impatient() -> Iterator[None]:
    """Lets MLflow's HTTP client give up within seconds: a first contact, not a hiccup."""
    with environment(MLFLOW_HTTP_REQUEST_MAX_RETRIES="1", MLFLOW_HTTP_REQUEST_TIMEOUT="5"):
        yield


def connect(address: str) -> MlflowClient:
    """Opens MLflow and asks it a question.

    Raises:
        ConfigError: If it does not answer.
    """
    try:
        with impatient():
            client = MlflowClient(tracking_uri=address)
            client.search_experiments(max_results=1)
    except Exception as error:  # requests, SQLAlchemy or MLflow: all mean that it does not answer
        raise ConfigError(
            f"MLFLOW_TRACKING_URI: no MLflow answers at {masked(address)}: "
            f"{first_line(error, address)}"
        ) from error
    return client


def has_study(client: MlflowClient, name: str) -> bool:
    """Whether MLflow has runs of a study of this name."""
    return _study_run(client, name) is not None


def study_status(client: MlflowClient, name: str) -> str | None:
    """`running`, `finished` or `failed` as MLflow has it; None if it has no such study."""
    run = _study_run(client, name)
    return None if run is None else run.data.tags.get("status")


def study_artifact(client: MlflowClient, name: str, file: str) -> str | None:
    """A text that MLflow keeps with a study's run; None if it is not there."""
    run = _study_run(client, name)
    if run is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        try:
            with environment(MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false"):
                path = client.download_artifacts(run.info.run_id, file, folder)
            return Path(path).read_text(encoding="utf-8")
        except (MlflowException, OSError, UnicodeDecodeError):
            return None


def _study_run(client: MlflowClient, name: str) -> Run | None:
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return None
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'study'", max_results=1)
    return runs[0] if runs else None


class Runs:
    """The runs of one study in MLflow, found again by (kind, trial_id, attacker, seed).

    Args:
        client: MLflow, connected.
        study: The study's name, and its experiment's.
        artifacts: Where artifacts go if MLflow is a database of one's own; a server has its place.

    Attributes:
        moment: When what is written happened, in milliseconds since 1970; None for now. A point
            that is written twice is one if its moment is the same.

    Raises:
        ConfigError: If the experiment was deleted in MLflow.
    """

    def __init__(self, client: MlflowClient, study: str, artifacts: Path) -> None:
        self.moment: int | None = None
        self._client = client
        self._study = study
        self._experiment = self._open_experiment(artifacts)
        self._runs = self._find()
        self._pending: dict[str, list[Metric]] = {}
        self.end_open()

    def id(self, key: Key) -> str | None:
        """The run of this key; None if there is none yet."""
        run = self._runs.get(key)
        return None if run is None else str(run.info.run_id)

    def is_open(self, key: Key) -> bool:
        """Whether there is such a run and it is RUNNING."""
        run = self._runs.get(key)
        return run is not None and run.info.status == "RUNNING"

    def is_complete(self, key: Key) -> bool:
        """Whether there is such a run and nothing will change it any more.

        A KILLED one goes on in a resumed study, and so does one that failed: it is tried again.
        What diverged or collapsed would do so again, and is complete. One that was dominated may
        meet the rest of its attackers, if the study is gone on with without early stopping.
        """
        run = self._runs.get(key)
        if run is None:
            return False
        status = run.data.tags.get("status")
        if status == "dominated":
            return False
        return run.info.status == "FINISHED" or (run.info.status == "FAILED" and status != "failed")

    def says(self, key: Key, tags: Mapping[str, str]) -> bool:
        """Whether there is such a run, FINISHED, with these tags."""
        run = self._runs.get(key)
        if run is None or run.info.status != "FINISHED":
            return False
        return all(run.data.tags.get(name) == value for name, value in tags.items())

    def open(self, key: Key, name: str, tags: Mapping[str, str], parent: str | None = None) -> str:
        """Finds a run or makes it; either way it is RUNNING afterwards and has these tags."""
        kind, trial_id, attacker, seed = key
        parts = {"kind": kind, "trial_id": trial_id, "attacker": attacker, "seed": seed}
        every = {"study": self._study, **{k: v for k, v in parts.items() if v}, **tags}
        run_id = self.id(key)
        if run_id is not None:
            self._client.update_run(run_id, status="RUNNING")
            self.tag(run_id, every)
        else:
            if parent:
                every[MLFLOW_PARENT_RUN_ID] = parent
            run = self._client.create_run(
                self._experiment, start_time=self._now(), run_name=name, tags=every
            )
            run_id = str(run.info.run_id)
        self._runs[key] = self._client.get_run(run_id)
        return run_id

    def end(self, key: Key, status: str) -> None:
        """Ends a run as FINISHED, FAILED or KILLED."""
        self.flush()
        run_id = self._runs[key].info.run_id
        self._client.set_terminated(run_id, status, end_time=self._now())
        self._runs[key] = self._client.get_run(run_id)

    def look_again(self) -> None:
        """Reads what MLflow has, as at the start: another request may have got there unheard."""
        self._runs = self._find()

    def end_open(self) -> None:
        """Ends as KILLED what a killed process left RUNNING; what goes on is opened again."""
        for key in list(self._runs):
            if self.is_open(key):
                self.end(key, "KILLED")

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Sets tags in one request."""
        self._client.log_batch(run_id, tags=[RunTag(k, v) for k, v in tags.items()])

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float] | None = None,
        curve: Sequence[tuple[str, int, float]] = (),
        step: int = 0,
    ) -> None:
        """Writes params, metrics at one step, and (name, step, value) of curves."""
        now = self._now()
        points = [Metric(name, value, now, step) for name, value in (metrics or {}).items()]
        points += [Metric(name, value, now, at) for name, at, value in curve]
        entries = [Param(name, str(value)) for name, value in params.items()]
        for start in range(0, len(entries), PARAMS_PER_BATCH):
            self._client.log_batch(run_id, params=entries[start : start + PARAMS_PER_BATCH])
        self._send(run_id, points)

    def log_later(self, run_id: str, curve: Sequence[tuple[str, int, float]]) -> None:
        """Collects points of curves for `flush`."""
        now = self._now()
        waiting = self._pending.setdefault(run_id, [])
        waiting.extend(Metric(name, value, now, step) for name, step, value in curve)

    def flush(self) -> None:
        """Writes what `log_later` collected."""
        for run_id, points in self._pending.items():
            self._send(run_id, points)
        self._pending.clear()

    def steps(self, run_id: str, metric: str) -> set[int]:
        """The steps at which a metric was written."""
        return {point.step for point in self._client.get_metric_history(run_id, metric)}

    def text(self, run_id: str, text: str, name: str) -> None:
        """Keeps a text as an artifact."""
        self._client.log_text(run_id, text, name)

    def file(self, run_id: str, path: Path) -> None:
        """Keeps a file as an artifact."""
        self._client.log_artifact(run_id, str(path))

    def _now(self) -> int:
        return int(time.time() * 1000) if self.moment is None else self.moment

    def _send(self, run_id: str, points: list[Metric]) -> None:
        for start in range(0, len(points), METRICS_PER_BATCH):
            self._client.log_batch(run_id, metrics=points[start : start + METRICS_PER_BATCH])

    def _open_experiment(self, artifacts: Path) -> str:
        experiment = self._client.get_experiment_by_name(self._study)
        if experiment is None:
            local = self._client.tracking_uri.startswith("sqlite:")
            place = artifacts.as_uri() if local else None
            return str(self._client.create_experiment(self._study, artifact_location=place))
        if experiment.lifecycle_stage != "active":
            raise ConfigError(
                f"study.name: MLflow's experiment {self._study!r} was deleted; restore it there, "
                "or choose another name"
            )
        return str(experiment.experiment_id)

    def _find(self) -> dict[Key, Run]:
        runs: dict[Key, Run] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment], "", ViewType.ACTIVE_ONLY, 1000, page_token=token
            )
            for run in page:
                names = ("kind", "trial_id", "attacker", "seed")
                kind, trial_id, attacker, seed = (run.data.tags.get(name, "") for name in names)
                runs[kind, trial_id, attacker, seed] = run
            token = page.token
            if not token:
                return runs
