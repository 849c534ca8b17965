"""What the report's interactive frontier shows: every encoder as plain data, with its picture."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pandas as pd

from analysis.cells import has_values, setting_cell, symbol
from analysis.kinds import attacker_name
from analysis.load import StudyTables
from analysis.marks import mark_style
from analysis.pictures import worst_rebuilt
from analysis.records import EncoderPoint, FrontierRecord, frontier_record, image_ratio
from analysis.report_tables import SETTING_COLUMNS
from analysis.tables import LEAKAGE_ERROR, UTILITY_ERROR
from analysis.thumbnails import tiles
from analysis.uncertainty import Certainty

MAX_PICTURES = 200
"""Encoders that have a picture of what was rebuilt; those on the frontier come first."""
NO_CUT, NO_METHOD = "not cut", "not known"


@dataclass(frozen=True)
class InteractivePoint:
    """One mark and its card.

    Attributes:
        label: Short name.
        role: See `EncoderPoint`.
        method: Its protector.
        cut: Its cut point.
        utility: Mean MCC on test.
        leakage: Worst leakage on test.
        saturated: Whether that is no lower bound.
        frontier: Whether it is on the frontier.
        colour: Of its mark.
        shape: Of its mark, as matplotlib names it.
        utility_error: Standard error of the utility; None if it is not known.
        leakage_error: Standard error of the leakage; likewise.
        probability: How often it is on the frontier when figures are redrawn within their errors.
        worst: Its worst attacker.
        settings: (name, value) of what was searched.
        rebuilder: The attacker whose picture is shown.
        picture: What that one rebuilt, as a data URI; empty without.
    """

    label: str
    role: str
    method: str
    cut: str
    utility: float
    leakage: float
    saturated: bool
    frontier: bool
    colour: str
    shape: str
    utility_error: float | None
    leakage_error: float | None
    probability: float | None
    worst: str
    settings: tuple[tuple[str, str], ...]
    rebuilder: str
    picture: str


@dataclass(frozen=True)
class Interactive:
    """The whole plot.

    Attributes:
        data: JSON for the page's script.
        methods: What can be chosen of methods, cuts and saturation; one choice is none.
        cuts: See `methods`.
        saturation: See `methods`.
    """

    data: str
    methods: tuple[str, ...]
    cuts: tuple[str, ...]
    saturation: tuple[str, ...]


def interactive_frontier(tables: StudyTables, sure: Certainty | None = None) -> Interactive | None:
    """Collects the plot; None where there is no encoder to show."""
    record = frontier_record(tables)
    if not record.points:
        return None
    rows = {str(row["encoder_id"]): row for _, row in tables.encoders.iterrows()}
    order = sorted(record.points, key=lambda point: not point.on_frontier)
    ids = [point.encoder_id for point in order[:MAX_PICTURES]]
    found = {name: worst_rebuilt(tables, rows[name]) for name in ids}
    ratio = image_ratio(tables.data)
    pictures = {
        name: (one[0], tiles(one[2], ratio)) for name, one in found.items() if one is not None
    }
    # Every encoder is attacked on the same images.
    originals = (tiles(one[1], ratio) for one in found.values() if one is not None)
    present = [name for name in SETTING_COLUMNS if has_values(tables.encoders, name)]
    points = [
        _point(record, point, rows[point.encoder_id], present, pictures, sure)
        for point in record.points
    ]
    data = {
        "points": [asdict(point) for point in points],
        "num_test": record.num_test,
        "by_method": record.by_method,
        "originals": next(filter(None, originals), ""),
    }
    return Interactive(
        json.dumps(data, ensure_ascii=False, allow_nan=False),
        _choices(point.method for point in points),
        _choices(point.cut for point in points),
        _choices("saturated" if point.saturated else "lower bounds" for point in points),
    )


def _choices(values: Iterable[str]) -> tuple[str, ...]:
    found = tuple(sorted(set(values)))
    return found if len(found) > 1 else ()


def _point(
    record: FrontierRecord,
    point: EncoderPoint,
    row: pd.Series,
    settings: list[str],
    pictures: dict[str, tuple[str, str]],
    sure: Certainty | None,
) -> InteractivePoint:
    colour, shape, _ = mark_style(point, record.by_method)
    rebuilder, picture = pictures.get(point.encoder_id, ("", ""))
    values = [(symbol(name), setting_cell(row[name]).text) for name in settings]
    return InteractivePoint(
        label=point.label,
        role=point.role,
        method=point.method or NO_METHOD,
        cut=point.cut_point or NO_CUT,
        utility=point.utility,
        leakage=point.leakage,
        saturated=point.saturated,
        frontier=point.on_frontier,
        colour=colour,
        shape=shape,
        utility_error=_known(row[UTILITY_ERROR]),
        leakage_error=_known(row[LEAKAGE_ERROR]),
        probability=None if sure is None else sure.probability.get(point.encoder_id),
        worst=attacker_name(row["worst_attacker"]),
        settings=tuple((name, text) for name, text in values if text != "–"),
        rebuilder=attacker_name(rebuilder),
        picture=picture,
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
