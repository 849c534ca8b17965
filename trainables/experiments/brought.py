"""Results that a table holds already: computed elsewhere, and brought here as rows.

A table is small and an encoder is not. Whoever computes a part of an experiment on one machine and
the rest on another takes the table along: what it holds whole, by the same settings, of the same
images and of attackers of this version, is not done again.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trainables.attackers.suite import SUITE_VERSION
from trainables.errors import ConfigError
from trainables.experiments.config import Experiment, PlannedEncoder

Row = dict[str, Any]
Key = tuple[str, int]
"""An encoder's name and which of its trainings."""


@dataclass(frozen=True)
class Brought:
    """What of a table holds for an experiment.

    Attributes:
        units: (encoder, seed) → its rows, of all that the table holds whole.
        parts: Likewise, of those of which it holds a part.
        others: Those that it holds by other settings.
    """

    units: Mapping[Key, list[Row]] = field(default_factory=dict)
    parts: Mapping[Key, list[Row]] = field(default_factory=dict)
    others: frozenset[Key] = frozenset()


def read_brought(path: Path, experiment: Experiment, settings: Mapping[str, Any]) -> Brought:
    """Reads what a table holds of an experiment.

    Args:
        path: Of the table; there may be none.
        experiment: The experiment.
        settings: All settings of every encoder, as a table keeps them.

    Raises:
        ConfigError: If there is a file that is no such table: it would be written over.
    """
    if not path.exists():
        return Brought()
    try:
        table = pq.read_table(path)
        known = json.loads((table.schema.metadata or {})[b"settings"])
        by_unit = _by_unit(table)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"{path}: not readable as a table of rows ({type(error).__name__}: {error}); move it "
            "away, or take another --results"
        ) from error
    planned = {encoder.name: encoder for encoder in experiment.encoders}
    own = {key for key in by_unit if key[0] in planned and known.get(key[0]) == settings[key[0]]}
    whole = {key for key in own if _is_whole(planned[key[0]], by_unit[key])}
    return Brought(
        {key: by_unit[key] for key in by_unit if key in whole},
        {key: by_unit[key] for key in by_unit if key in own - whole},
        frozenset(by_unit.keys() - own),
    )


def _by_unit(table: pa.Table) -> dict[Key, list[Row]]:
    found: dict[Key, list[Row]] = {}
    for row in table.to_pylist():
        own = {name: value for name, value in row.items() if value is not None}
        found.setdefault((str(own["encoder"]), int(own["seed"])), []).append(own)
    return found


def _is_whole(encoder: PlannedEncoder, rows: list[Row]) -> bool:
    """Whether nothing is left to do for an encoder and seed whose rows these are."""
    by_role = {str(row["role"]): row for row in rows}
    own = by_role.get("")
    if own is None and (encoder.protector is not None or encoder.people):
        return False
    if own is not None and own["status"] == "diverged":
        return True
    if encoder.people and not any(name.startswith("codes/") for name in own or ()):
        return False
    attackers = {**encoder.attackers, **encoder.probes}
    return all(
        role in by_role
        and by_role[role].get("attacker") == attacker
        and by_role[role].get("suite_version") == SUITE_VERSION
        and math.isfinite(by_role[role].get("test", math.nan))
        for role, attacker in attackers.items()
    )
