"""Which encoders are trained and attacked again with fresh seeds, and how often.

A frontier takes the best of many noisy figures, so those on it are flattered by having been
chosen. Encoders of the frontier, and those within their errors of it, are trained and attacked
again; what comes out has not been chosen by anything.
"""

import math
from collections.abc import Iterable, Mapping

from analysis.pareto import non_dominated
from study.folder import StudyFolder, read_json, write_json
from study.jobs import JobFactory
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


class Confirmations:
    """The encoders that are trained again, and how often.

    Args:
        jobs: Makes the study's jobs.
        folder: Its files; what was chosen is kept there, so that a resumed study goes on with it.
        number: Fresh trainings of each encoder worth it; 0 begins none.
    """

    def __init__(self, jobs: JobFactory, folder: StudyFolder, number: int = 0) -> None:
        self._jobs = jobs
        self._folder = folder
        self._number = number

    @property
    def wanted(self) -> dict[str, int]:
        """Encoder → fresh trainings that were asked for so far."""
        stored = read_json(self._folder.root / FILE) or {}
        return {str(name): int(number) for name, number in stored.items()}

    def restored(self, records: Mapping[str, EncoderRecord]) -> list[EncoderRecord]:
        """Those that were asked for and are not among the records yet.

        Args:
            records: Every encoder by its identity.
        """
        found = []
        for name, number in self.wanted.items():
            if name in records:
                asked = self.fresh(records[name], number)
                found += [record for record in asked if record.encoder_id not in records]
        return found

    def fresh(self, first: EncoderRecord, number: int) -> list[EncoderRecord]:
        """The fresh trainings of an encoder, none of them begun."""
        found = []
        for repeat in range(1, number + 1):
            job = self._jobs.repeated(first.protect, repeat)
            record = EncoderRecord(job, "confirmation", first.point)
            record.confirms, record.repeat = first.encoder_id, repeat
            found.append(record)
        return found

    def chosen(self, records: Mapping[str, EncoderRecord]) -> dict[str, int]:
        """Encoder → fresh trainings: what was asked for so far, and what would be now."""
        wanted = self.wanted
        for record in candidates(records.values()) if self._number else ():
            wanted[record.encoder_id] = max(self._number, wanted.get(record.encoder_id, 0))
        return wanted

    def begin(self, records: Mapping[str, EncoderRecord]) -> list[EncoderRecord]:
        """Chooses, once, what is trained again; returns what of it is not among the records yet."""
        if not self._number:
            return []
        wanted, self._number = self.chosen(records), 0
        write_json(wanted, self._folder.root / FILE)
        self._folder.mirror.push(self._folder.root / FILE)
        return self.restored(records)
