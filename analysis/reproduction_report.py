"""The report of the papers' experiments: verdicts, their tables beside ours, what differs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.checks import CheckResult, ClaimResult
from analysis.drawing import data_uri, render
from analysis.grids import Grid
from analysis.page import write_page
from analysis.paper_settings import SETTINGS_HEADS, paper_of, settings_by_paper
from analysis.paper_tables import paper_tables
from analysis.reproduction import judged
from analysis.reproduction_figures import draw_table
from analysis.reproduction_tables import (
    VERDICTS,
    claimed,
    differing,
    direction_in_words,
    figure,
    paper_grid,
    runs_grid,
    why,
)
from analysis.rows import ExperimentRows

REACH = 4.0
"""Half widths of an interval beyond which it does not matter how far a check is from its bound."""


@dataclass(frozen=True)
class ShownTable:
    """A paper's table as the page shows it."""

    recipe: str
    title: str
    picture: str
    grid: Grid


@dataclass(frozen=True)
class ShownPaper:
    """A paper: its tables, and what differs from its setting."""

    name: str
    tables: list[ShownTable]
    settings: Grid


@dataclass(frozen=True)
class ShownCheck:
    """A check as a line of a table.

    Attributes:
        claim: The claim's name.
        what: What is compared.
        figure: Mean and interval.
        seeds: How many there are.
        claimed: The side of the bound.
        verdict: One of three.
        why: What keeps it open.
        direction: What the direction alone would say.
        place: See `nearness`; None without an interval.
    """

    claim: str
    what: str
    figure: str
    seeds: int
    claimed: str
    verdict: str
    why: str
    direction: str
    place: float | None


def write_report(rows: ExperimentRows, path: Path) -> Path:
    """Writes one self-contained page of all tables that were run.

    Args:
        rows: Of one size.
        path: Where to.

    Returns:
        The path.
    """
    results = judged(rows)
    begun = [result for result in results if any(check.found.count for check in result.checks)]
    return write_page(
        path,
        "reproduction.html",
        size=rows.size,
        counts={name: sum(r.verdict == name for r in begun) for name in VERDICTS},
        claims=[(result, why(result)) for result in begun],
        differing=differing(begun),
        waiting=[result.claim.name for result in results if result not in begun],
        papers=_papers(rows),
        checks=shown_checks(begun),
        runs=runs_grid(rows),
    )


def _papers(rows: ExperimentRows) -> list[ShownPaper]:
    settings = settings_by_paper(rows)
    made = set(rows.table["recipe"])
    found: dict[str, list[ShownTable]] = {}
    for table in paper_tables():
        if table.recipe in made:
            picture = data_uri(render(draw_table(rows, table), "svg"), "svg+xml")
            shown = ShownTable(table.recipe, table.title, picture, paper_grid(rows, table))
            found.setdefault(paper_of(table.recipe), []).append(shown)
    return [
        ShownPaper(name, tables, Grid(SETTINGS_HEADS, settings.get(name, [])))
        for name, tables in found.items()
    ]


def shown_checks(results: Sequence[ClaimResult]) -> list[ShownCheck]:
    """The checks of some claims, line by line."""
    return [
        ShownCheck(
            result.claim.name, one.check.what, figure(one.found), one.found.count, claimed(one),
            one.verdict, one.why, direction_in_words(one), nearness(one),
        )
        for result in results
        for one in result.checks
    ]  # fmt: skip


def nearness(result: CheckResult) -> float | None:
    """How far a check is from being decided.

    Returns:
        Distance of the mean from the bound in half widths of the interval, towards the claim: above
        1 the whole interval lies where the claim has it, below -1 wholly on the other side. At most
        `REACH` either way; None with fewer than two seeds.
    """
    found, check = result.found, result.check
    # An exact interval of a share is longer on one side: the bound's is the one that counts.
    half = found.mean - found.low if found.mean > check.bound else found.high - found.mean
    if found.count < 2 or not math.isfinite(half):
        return None
    away = (found.mean - check.bound) * (1 if check.above else -1)
    if half == 0:
        return math.copysign(REACH, away if away else -1)
    return max(-REACH, min(REACH, away / half))
