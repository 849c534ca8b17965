"""Which encoders are trained and attacked again with fresh seeds, and how often.

A frontier takes the best of many noisy figures, so those on it are flattered by having been
chosen. Encoders of the frontier, and those within their errors of it, are trained and attacked
again; what comes out has not been chosen by anything.
"""

import math
from collections.abc import Iterable, Mapping

from analysis.pareto import non_dominated
from study.folder import StudyFolder, read_json, write_json
from study.records import UNCOUNTED, EncoderRecord

FILE = "confirm.json"


def candidates(records: Iterable[EncoderRecord]) -> list[EncoderRecord]:
    """The encoders worth confirming, the most useful first.

    Those of the frontier, on the selection split and on the test split, and on the selection split
    those that would be on it with one standard error more utility and one less leakage. An encoder
    whose leakage is a lower bound is not among them: more seeds would bound it no better.
    """
    rows = [
        record
        for record in records
        if record.status == "verified"
        and record.role not in UNCOUNTED
        and record.verdict is not None
        and record.verdict.saturated
        and record.objectives is not None
        and record.mean_mcc is not None
    ]
    if not rows:
        return []
    objectives = [record.objectives or (math.nan, math.nan) for record in rows]
    measured = [
        (record.mean_mcc, record.verdict.worst_leakage) for record in rows if record.verdict
    ]
    chosen = set()
    for points in (objectives, measured):
        chosen |= {i for i, on in enumerate(non_dominated(*zip(*points, strict=True))) if on}
    for place, record in enumerate(rows):
        moved = list(objectives)
        errors = _errors(record)
        moved[place] = (moved[place][0] + errors[0], moved[place][1] - errors[1])
        if non_dominated(*zip(*moved, strict=True))[place]:
            chosen.add(place)
    found = [record for place, record in enumerate(rows) if place in chosen]
    return sorted(found, key=lambda record: -(record.mean_mcc or 0.0))


def _errors(record: EncoderRecord) -> tuple[float, float]:
    """Standard errors of utility and of the worst leakage on the selection split."""
    assert record.verdict is not None
    utility = float((record.protected or {}).get("utility/mean_mcc_selection_error") or 0.0)
    worst = [
        figure.selection_error
        for figure in record.verdict.figures
        if figure.attacker == record.verdict.worst_attacker
    ]
    return utility, max(worst, default=0.0)


def read_confirmed(folder: StudyFolder) -> Mapping[str, int]:
    """Encoder → number of fresh trainings that were asked for; empty where there were none."""
    stored = read_json(folder.root / FILE) or {}
    return {str(name): int(number) for name, number in stored.items()}


def write_confirmed(confirmed: Mapping[str, int], folder: StudyFolder) -> None:
    """Keeps that: a resumed study goes on with the same encoders."""
    write_json(dict(confirmed), folder.root / FILE)
    folder.mirror.push(folder.root / FILE)
