"""Reads the tables of the papers' experiments from MLflow, where a cluster's runs are told."""

import tempfile
from pathlib import Path

from mlflow.tracking import MlflowClient

from analysis.addresses import masked
from analysis.errors import AnalysisError
from analysis.load import checked_name, no_progress_bars, reading, search
from analysis.rows import ExperimentRows, read_rows

KIND = "experiment"
"""Tag `kind` of the runs that keep a table."""


def read_tracked_rows(tracking_uri: str, size: str) -> ExperimentRows:
    """Reads the tables of one size.

    Args:
        tracking_uri: MLflow's address: `sqlite:///…`, `postgresql://…` or `http://…`.
        size: `tiny`, `small` or `paper`.

    Raises:
        AnalysisError: If MLflow cannot be read there, has none, or one is no such table.
    """
    with tempfile.TemporaryDirectory(prefix="cutpoint-analysis-") as folder:
        with reading(tracking_uri):
            client = MlflowClient(tracking_uri)
            ids = [experiment.experiment_id for experiment in client.search_experiments()]
            for run in search(client, ids, KIND) if ids else ():
                tags = run.data.tags
                if tags.get("size") == size and run.info.status == "FINISHED":
                    name = f"{checked_name(tags.get('recipe', ''))}-{size}.parquet"
                    with no_progress_bars():
                        client.download_artifacts(run.info.run_id, name, folder)
        if not any(Path(folder).iterdir()):
            raise AnalysisError(
                f"no experiment of size {size} is in MLflow at {masked(tracking_uri)}; "
                f"python study/run.py RECIPE --size {size} makes one"
            )
        return read_rows(Path(folder), size)
