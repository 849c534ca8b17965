"""Tells MLflow of a paper's experiment: a run per encoder and seed, and the table of all rows.

The table is the record. What is told can be told again: the next start of the experiment brings
MLflow up to it, whatever was missed.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from analysis.addresses import first_line
from analysis.tracked_rows import KIND
from study.tracking import Client, Key, Runs
from trainables.seeding import canonical_json

Row = Mapping[str, Any]
_TAGS = ("status", "made/code", "made/machine", "made/torch", "reason")
_ENDED_BADLY = ("diverged", "failed")


class ExperimentRuns:
    """MLflow's experiment `RECIPE-SIZE`.

    Args:
        client: MLflow, connected.
        address: Where it is, to be left out of what errors say.
        recipe: The recipe.
        size: Its size.
        artifacts: Where artifacts go if MLflow is a database of one's own.
        say: Is told of an outage, once.

    Attributes:
        outage: Why MLflow has not heard all of it; empty if it has.
    """

    def __init__(
        self,
        client: Client,
        address: str,
        recipe: str,
        size: str,
        artifacts: Path,
        say: Callable[[str], None],
    ) -> None:
        self.outage = ""
        self._name, self._address, self._say = f"{recipe}-{size}", address, say
        self._tags = {"recipe": recipe, "size": size}
        self._runs = Runs(client, self._name, artifacts)

    def tell(self, path: Path, report: Path | None = None) -> None:
        """Brings MLflow up to a table; what it does not take is left for the next time.

        Args:
            path: The table.
            report: A page to keep beside it.
        """
        try:
            self._tell(path, report)
        except Exception as error:  # MLflow's, SQLAlchemy's, requests': all mean that it is away
            if not self.outage:
                self._say(f"MLflow was not told, the rows are in {path.name}: "
                          f"{first_line(error, self._address)}")  # fmt: skip
            self.outage = first_line(error, self._address)
        else:
            self.outage = ""

    def _tell(self, path: Path, report: Path | None) -> None:
        table = pq.read_table(path)
        settings = json.loads((table.schema.metadata or {}).get(b"settings", b"{}"))
        rows: dict[tuple[str, int], list[Row]] = {}
        for row in table.to_pylist():
            rows.setdefault((row["encoder"], row["seed"]), []).append(row)
        whole: Key = (KIND, self._name, "", "")
        files = {"table": path} | ({"report": report} if report else {})
        content = {
            name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()
        }
        if self._runs.says(whole, content):
            return
        parent = self._runs.open(whole, self._name, self._tags)
        for (encoder, seed), own in rows.items():
            self._tell_encoder(encoder, seed, own, settings.get(encoder, {}), parent)
        for file in files.values():
            self._runs.file(parent, file)
        self._runs.tag(parent, content)
        self._runs.end(whole, "FINISHED")

    def _tell_encoder(
        self, encoder: str, seed: int, rows: list[Row], settings: Row, parent: str
    ) -> None:
        # Other settings are another encoder, whose parameters MLflow would not take for this one's.
        known = hashlib.sha256(canonical_json(settings).encode()).hexdigest()[:8]
        key: Key = ("encoder", f"{encoder}-{known}", "", str(seed))
        content = {"rows": hashlib.sha256(repr(rows).encode()).hexdigest()}
        if self._runs.says(key, content):
            return
        first = next((row for row in rows if row["role"] == ""), rows[0])
        told = {name: str(first[name]) for name in _TAGS if first.get(name)}
        run = self._runs.open(key, f"{encoder} ({seed})", {**self._tags, **told}, parent)
        figures = {name: value for row in rows for name, value in _figures(row)}
        self._runs.log(run, {"encoder": encoder, **dict(_flat(settings))}, figures)
        self._runs.tag(run, content)
        self._runs.end(key, "FAILED" if first["status"] in _ENDED_BADLY else "FINISHED")


def _figures(row: Row) -> Iterator[tuple[str, float]]:
    """A row's numbers; an attack's begin with its role."""
    prefix = f"{row['role']}/" if row["role"] else ""
    for name, value in row.items():
        # What a recipe calls `$smile` stands there under its attribute's name, too.
        known = name != "seed" and "$" not in name
        if known and isinstance(value, int | float) and math.isfinite(value):
            yield prefix + name, float(value)


def _flat(tree: Row, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
