"""Reads what the papers' experiments left: Parquet tables with a row per encoder and per attack."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from analysis.errors import AnalysisError

NEEDED = ("recipe", "size", "encoder", "seed", "role", "attacker", "status", "saturated")
"""Columns without which a table is none of ours."""
SOMETIMES = ("steps", "seconds", "made/machine", "made/code")
"""Columns that a table of encoders alone, or of a constant one, may lack."""


@dataclass(frozen=True)
class ExperimentRows:
    """All tables of one size.

    Attributes:
        size: `tiny`, `small` or `paper`.
        table: A row per (recipe, encoder, seed, role); `role` is empty for the encoder itself.
        settings: Recipe → encoder → all its settings.
    """

    size: str
    table: pd.DataFrame
    settings: Mapping[str, Mapping[str, Any]]

    def of(self, recipe: str) -> pd.DataFrame:
        """The rows of one recipe."""
        return self.table[self.table["recipe"] == recipe]


def read_rows(folder: Path, size: str) -> ExperimentRows:
    """Reads the tables of one size.

    Args:
        folder: Holds `RECIPE-SIZE.parquet`, one per recipe.
        size: Which of them.

    Raises:
        AnalysisError: If there is none, or one is no such table.
    """
    paths = sorted(folder.glob(f"*-{size}.parquet"))
    if not paths:
        raise AnalysisError(
            f"{folder}: no table RECIPE-{size}.parquet there; python -m trainables RECIPE --size "
            f"{size} makes one"
        )
    tables, settings = [], {}
    for path in paths:
        table, own = _read(path)
        tables.append(table)
        settings[path.stem.removesuffix(f"-{size}")] = own
    return ExperimentRows(size, pd.concat(tables, ignore_index=True), settings)


def report_path(folder: Path, size: str) -> Path:
    """Where the report of a folder's tables of one size lies."""
    return folder / f"report-{size}.html"


def _read(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    try:
        stored = pq.read_table(path)
        settings = json.loads((stored.schema.metadata or {}).get(b"settings", b"{}"))
    except (OSError, ValueError) as error:
        raise AnalysisError(f"{path}: not readable as one of our tables: {error}") from error
    table: pd.DataFrame = stored.to_pandas()
    missing = [name for name in NEEDED if name not in table]
    if missing or not isinstance(settings, dict):
        raise AnalysisError(f"{path}: it lacks {', '.join(missing) or 'its settings'}")
    if table.duplicated(["recipe", "encoder", "seed", "role"]).any():
        raise AnalysisError(f"{path}: an encoder's attack stands there twice")
    return table.reindex(columns=list(dict.fromkeys([*table.columns, *SOMETIMES]))), settings
