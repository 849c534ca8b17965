"""In-loop against verified leakage, like with like: what the figure of it shows."""

import math
from dataclasses import dataclass

from analysis.kinds import IN_LOOP_KINDS, in_loop_leakage, worst_leakage
from analysis.load import StudyTables
from analysis.methods import searched_methods
from analysis.records import encoder_labels, images_per_split
from analysis.tables import measured


@dataclass(frozen=True)
class GapPoint:
    """One encoder's leakage of one kind, in [0, 1].

    `in_loop` is that to the in-loop adversary of the kind, `verified` that to the worst retrained
    attacker of the kind.
    """

    label: str
    role: str
    cut_point: str
    in_loop: float
    verified: float
    saturated: bool
    method: str = ""


@dataclass(frozen=True)
class GapPanel:
    """The encoders that had an in-loop adversary of one kind: `reconstruction` or `attribute`."""

    kind: str
    points: tuple[GapPoint, ...]


@dataclass(frozen=True)
class GapRecord:
    """The plot of in-loop against verified leakage, a panel per kind that has points."""

    panels: tuple[GapPanel, ...]
    num_test: int | None
    by_method: bool = False


def gap_record(tables: StudyTables) -> GapRecord:
    """Collects in-loop and verified leakage, like with like, of encoders that had an adversary."""
    encoders = tables.encoders
    labels = encoder_labels(encoders)
    panels = []
    for kind in IN_LOOP_KINDS:
        rows = encoders.assign(
            _in_loop=in_loop_leakage(encoders, kind), _verified=worst_leakage(encoders, kind)
        )
        both = rows[["_in_loop", "_verified"]].map(math.isfinite).all(axis=1)
        rows = rows[measured(rows) & both]
        points = tuple(
            GapPoint(
                label=labels[row["encoder_id"]],
                role=row["role"],
                cut_point=row["cut_point"],
                in_loop=float(row["_in_loop"]),
                verified=float(row["_verified"]),
                saturated=bool(row["saturated"] == 1),
                method=row["protector"],
            )
            for _, row in rows.iterrows()
        )
        if points:
            panels.append(GapPanel(kind, points))
    return GapRecord(
        panels=tuple(panels),
        num_test=images_per_split(tables.data).get("test"),
        by_method=len(searched_methods(encoders)) > 1,
    )
