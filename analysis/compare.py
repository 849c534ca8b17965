"""Studies side by side: whose frontier is ahead, by how much, through which encoders, and why."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.load import StudyTables
from analysis.pareto import non_dominated
from analysis.records import encoder_labels
from analysis.tables import LEAKAGE, UTILITY, frontier, is_saturated, measured, study_hypervolume
from analysis.uncertainty import Interval, basic_interval, certainty

COMPARABLE: Mapping[str, str] = {
    "data.content_hash": "the images",
    "data.splits_hash": "who is in which split",
    "data.utility": "what the service predicts",
    "data.private": "what is private",
    "params.suite": "the attackers",
    "params.suite_version": "the version of the attackers",
    "params.perceptual": "the perceptual network g",
    "params.identity_model": "who judges faces",
}
"""What must agree for figures to be compared, as it is called."""

NIGHTLY: Mapping[str, str] = {
    "new_encoders": "encoders more", "new_frontier_points": "new on the frontier",
    "hypervolume_change": "hypervolume", "failures": "failures", "seconds": "hours",
}  # fmt: skip
"""What each start of a study logs at its end, as `since/NAME`, and its heading."""


@dataclass(frozen=True)
class Side:
    """One study of a comparison.

    Attributes:
        name: Its name.
        tables: All of it.
        area: Hypervolume of its frontier.
        interval: That with its interval; None where encoders have no standard errors.
        history: Hypervolume after each encoder.
    """

    name: str
    tables: StudyTables
    area: float
    interval: Interval | None
    history: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Difference:
    """A study against the first one.

    Attributes:
        name: Its name.
        value: Its hypervolume less the first one's.
        interval: That with its interval; None where it is not known.
        gained: Its encoders on the frontier of both that the first study does not have.
        lost: The first study's frontier encoders that this one's beat.
    """

    name: str
    value: float
    interval: Interval | None
    gained: tuple[dict[str, Any], ...]
    lost: tuple[dict[str, Any], ...]

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval is not None and (self.interval.low > 0 or self.interval.high < 0)


@dataclass(frozen=True)
class Comparison:
    """Studies side by side.

    Attributes:
        sides: The studies, in the order given.
        differences: Each but the first against the first.
        obstacles: What differs and must not: (what, value per study).
        changes: Configuration that differs: (dotted name, value per study).
        nights: Study → one row per start, in order: what it brought.
    """

    sides: tuple[Side, ...]
    differences: tuple[Difference, ...]
    obstacles: tuple[tuple[str, tuple[str, ...]], ...]
    changes: tuple[tuple[str, tuple[str, ...]], ...]
    nights: Mapping[str, tuple[dict[str, float], ...]]


def compare(studies: Sequence[StudyTables]) -> Comparison:
    """Compares studies with the first of them.

    Raises:
        ValueError: There is none.
    """
    if not studies:
        raise ValueError("studies: at least one to look at, got none")
    sides = []
    draws = []
    for number, tables in enumerate(studies):
        # Draws of its own for each study: their errors have nothing in common.
        sure = certainty(tables.encoders, seed=number)
        draws.append(None if sure is None else sure.draws)
        sides.append(
            Side(
                tables.name,
                tables,
                study_hypervolume(tables.encoders),
                None if sure is None else sure.hypervolume,
                _history(tables),
            )
        )
    first, *others = sides
    differences = []
    for number, side in enumerate(others, 1):
        value = side.area - first.area
        own, base = draws[number], draws[0]
        interval = None if own is None or base is None else basic_interval(value, own - base)
        gained, lost = _moves(first.tables, side.tables)
        differences.append(Difference(side.name, value, interval, gained, lost))
    return Comparison(
        tuple(sides),
        tuple(differences),
        tuple((COMPARABLE[name], values) for name, values in _unlike(studies, _facts)),
        tuple(_unlike(studies, _configuration)),
        {tables.name: _nights(tables) for tables in studies},
    )


def _moves(
    first: StudyTables, other: StudyTables
) -> tuple[tuple[dict[str, Any], ...], tuple[dict[str, Any], ...]]:
    """What the other study adds to the frontier of both, and what of the first it beats."""
    parts = []
    for tables in (first, other):
        rows = tables.encoders[measured(tables.encoders)]
        parts.append(rows[is_saturated(rows)].assign(study=tables.name))
    known = set(parts[0]["encoder_id"])
    both = pd.concat([parts[0], parts[1][~parts[1]["encoder_id"].isin(known)]])
    joint = both[non_dominated(both[UTILITY], both[LEAKAGE])]
    kept = set(joint["encoder_id"])
    gained = joint[joint["study"] == other.name] if other.name != first.name else joint.iloc[:0]
    before = frontier(first.encoders)
    return (
        _described(gained, other),
        _described(before[~before["encoder_id"].isin(kept)], first),
    )


def _described(rows: pd.DataFrame, tables: StudyTables) -> tuple[dict[str, Any], ...]:
    labels = encoder_labels(tables.encoders)
    return tuple(
        {
            "label": labels[row["encoder_id"]], "method": row["protector"], "cut": row["cut_point"],
            "utility": float(row[UTILITY]), "leakage": float(row[LEAKAGE]),
        }
        for _, row in rows.sort_values(UTILITY).iterrows()
    )  # fmt: skip


def _history(tables: StudyTables) -> tuple[tuple[int, float], ...]:
    points = tables.curve(tables.run_id, "hypervolume")[["step", "value"]]
    return tuple((int(step), float(value)) for step, value in points.itertuples(index=False))


def _nights(tables: StudyTables) -> tuple[dict[str, float], ...]:
    columns = {
        name: tables.curve(tables.run_id, f"since/{name}").set_index("step")["value"]
        for name in NIGHTLY
    }
    frame = pd.DataFrame(columns).sort_index()
    return tuple(
        {"start": float(start), **{str(k): float(v) for k, v in row.items()}}
        for start, row in frame.iterrows()
        if isinstance(start, int | np.integer)
    )


def _unlike(
    studies: Sequence[StudyTables], read: Callable[[StudyTables], dict[str, str]]
) -> list[tuple[str, tuple[str, ...]]]:
    """The names whose values differ between studies, with each one's value as text."""
    values = [read(tables) for tables in studies]
    names = list(dict.fromkeys(name for one in values for name in one))
    rows = [(name, tuple(one.get(name, "–") for one in values)) for name in names]
    return [(name, texts) for name, texts in rows if len(set(texts)) > 1]


def _facts(tables: StudyTables) -> dict[str, str]:
    parts = {"data": tables.data, "params": tables.params}
    facts = {}
    for dotted in COMPARABLE:
        part, name = dotted.split(".")
        value = parts[part].get(name)
        if value is not None:
            facts[dotted] = _text(value)
    return facts


def _configuration(tables: StudyTables) -> dict[str, str]:
    """The resolved configuration, flat; a study's name and where it is kept do not matter."""
    flat: dict[str, str] = {}

    def walk(value: Any, name: str) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                walk(item, f"{name}.{key}" if name else str(key))
        elif name not in ("study.name", "study.storage"):
            flat[name] = _text(value)

    walk(tables.config, "")
    return flat


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return str(value)
