"""The strength ladder: leakage along the four axes of an attacker's strength, per encoder."""

import math
from dataclasses import dataclass

import pandas as pd

from analysis.load import StudyTables
from analysis.methods import searched_methods
from analysis.records import encoder_labels, images_per_split, staircase
from analysis.rungs import AXES, BASES, Rung, family, is_ladder, rungs
from analysis.tables import JUDGED_ROLES
from analysis.trends import Trend, fit_trend

MAX_ENCODERS = 8
"""Encoders in the figure; with more no line could be followed."""


@dataclass(frozen=True)
class LadderLine:
    """One encoder along one axis.

    Attributes:
        label: The encoder's name, the same in every figure.
        role: Its role.
        cut_point: Its cut.
        method: Its protector.
        rungs: At least two, the base among them, in the order of the axis.
        trend: Of leakage with the number of public images; None on other axes, or without a fit.
    """

    label: str
    role: str
    cut_point: str
    method: str
    rungs: tuple[Rung, ...]
    trend: Trend | None = None

    @property
    def weakest(self) -> Rung:
        """The rung that learned least, judged on the selection split where that is known."""
        return min(self.rungs, key=self._strength)

    @property
    def strongest(self) -> Rung:
        """The rung that learned most, judged on the selection split where that is known."""
        return max(self.rungs, key=self._strength)

    def _strength(self, rung: Rung) -> float:
        known = all(math.isfinite(other.selection) for other in self.rungs)
        return rung.selection if known else rung.leakage


@dataclass(frozen=True)
class LadderPanel:
    """One axis of one family: `kind` of leakage, `axis`, and a line per encoder."""

    kind: str
    axis: str
    lines: tuple[LadderLine, ...]


@dataclass(frozen=True)
class LadderRecord:
    """The figure of the strength ladder.

    Attributes:
        panels: By kind and axis; empty where the study has no ladder.
        num_test: Images of the test split; None if not known.
        num_left_out: Encoders with rungs that are not shown.
        by_method: Whether colours tell methods apart, as in the frontier's figure.
    """

    panels: tuple[LadderPanel, ...]
    num_test: int | None = None
    num_left_out: int = 0
    by_method: bool = False


def ladder_record(tables: StudyTables) -> LadderRecord:
    """Collects the rungs of every encoder that has some; without panels if the study has none."""
    encoders = tables.encoders
    families = {kind: family(tables.attacks, kind) for kind in BASES}
    families = {kind: rows for kind, rows in families.items() if is_ladder(rows)}
    climbed = {
        encoder_id
        for rows in families.values()
        for encoder_id in rows.loc[rows["_axis"] != "", "encoder_id"]
    }
    order = [encoder_id for encoder_id in _in_order(encoders) if encoder_id in climbed]
    panels = [
        LadderPanel(kind, axis, _lines(encoders, rows, axis, order[:MAX_ENCODERS]))
        for kind, rows in families.items()
        for axis in AXES[kind]
    ]
    return LadderRecord(
        panels=tuple(panel for panel in panels if panel.lines),
        num_test=images_per_split(tables.data).get("test"),
        num_left_out=len(order[MAX_ENCODERS:]),
        by_method=len(searched_methods(encoders)) > 1,
    )


def _in_order(encoders: pd.DataFrame) -> list[str]:
    """Encoders that are judged: undefended first, then those of the staircase, then others."""
    rows = encoders[encoders["role"].isin(JUDGED_ROLES) & (encoders["status"] == "verified")]
    undefended = rows.loc[rows["role"] == "undefended", "encoder_id"]
    best = staircase(encoders)[0]["encoder_id"]
    return list(dict.fromkeys([*undefended, *best, *rows["encoder_id"]]))


def _lines(
    encoders: pd.DataFrame, rows: pd.DataFrame, axis: str, order: list[str]
) -> tuple[LadderLine, ...]:
    labels, by_id = encoder_labels(encoders), encoders.set_index("encoder_id")
    lines = []
    for encoder_id in order:
        own = rungs(rows[rows["encoder_id"] == encoder_id], axis)
        if own:
            row = by_id.loc[encoder_id]
            line = LadderLine(
                label=labels[encoder_id],
                role=str(row["role"]),
                cut_point=str(row["cut_point"]),
                method=str(row["protector"]),
                rungs=own,
                trend=_trend(own) if axis == "data" else None,
            )
            lines.append(line)
    return tuple(lines)


def _trend(own: tuple[Rung, ...]) -> Trend | None:
    """Of the shares of the public split: another source's images are not more of the same."""
    # One point per number of images: all seeds of a rung have the same images, so that they say
    # nothing of how another draw would do.
    joined = [rung for rung in own if rung.joined]
    means = [sum(rung.leakages) / len(rung.leakages) for rung in joined]
    return fit_trend([rung.position for rung in joined], means)
