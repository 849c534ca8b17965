"""The papers' claims and tables beside ours, as Markdown that a page of the docs carries."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.checks import ClaimResult, judge
from analysis.claims import claims
from analysis.drawing import render
from analysis.errors import AnalysisError
from analysis.grids import Grid
from analysis.paper_settings import SETTINGS_HEADS, settings_by_paper
from analysis.paper_tables import PaperTable, paper_tables
from analysis.reproduction_figures import draw_table
from analysis.reproduction_tables import (
    checks_grid,
    counted,
    differing,
    paper_grid,
    runs_grid,
    why,
)
from analysis.rows import ExperimentRows

_BLOCK = re.compile(r"<!-- begin (\S+) -->\n(.*?)<!-- end \1 -->", re.DOTALL)


def judged(rows: ExperimentRows) -> list[ClaimResult]:
    """Every claim, held against the rows."""
    return [judge(rows, claim) for claim in claims()]


def blocks(rows: ExperimentRows, pictures: str = "") -> dict[str, str]:
    """Name → Markdown of everything that is rebuilt from the rows.

    Args:
        rows: Of one size.
        pictures: Folder of the tables' pictures as links name it; none are shown without it.
    """
    results = judged(rows)
    runs = runs_grid(rows)
    settings = [(paper, *row) for paper, own in settings_by_paper(rows).items() for row in own]
    found = {
        "verdicts": _verdicts(results),
        "checks": checks_grid(results).markdown(),
        "runs": Grid(runs.heads, [(f"`{name}`", *rest) for name, *rest in runs.rows]).markdown(),
        "settings": Grid(("", *SETTINGS_HEADS), settings).markdown(),
    }
    made = set(rows.table["recipe"])
    for table in paper_tables():
        parts = [f"**{table.title}**"]
        if table.recipe not in made:
            parts.append("Not run yet.")
        else:
            if pictures:
                link = f"{pictures}/{picture_name(rows, table)}"
                parts.append(f"![{table.title}: the paper's figures and ours]({link})")
            parts.append(paper_grid(rows, table).markdown())
        found[table.recipe] = "\n\n".join(parts)
    return found


def fill(page: str, own: Mapping[str, str]) -> str:
    """Puts blocks in their places in a page, between `<!-- begin NAME -->` and `<!-- end NAME -->`.

    Raises:
        AnalysisError: If the page has a place for which there is no block.
    """
    missing = [name for name, _ in _BLOCK.findall(page) if name not in own]
    if missing:
        raise AnalysisError(
            f"the page has a place for {', '.join(missing)}, which nothing fills; known: "
            f"{', '.join(own)}"
        )
    return _BLOCK.sub(lambda m: f"<!-- begin {m[1]} -->\n{own[m[1]]}\n<!-- end {m[1]} -->", page)


def picture_name(rows: ExperimentRows, table: PaperTable) -> str:
    """The file of a table's picture."""
    return f"{table.recipe}-{rows.size}.png"


def drawn_from(rows: ExperimentRows, table: PaperTable) -> str:
    """What a picture says that it was drawn from: the same for the same figures."""
    return hashlib.sha256(paper_grid(rows, table).markdown().encode()).hexdigest()


def fill_file(path: Path, rows: ExperimentRows, folder: Path) -> None:
    """Rebuilds the blocks of a page from rows, and the pictures that it shows.

    Args:
        path: The page.
        rows: The rows.
        folder: Where the rows lie, and the pictures are to lie.

    Raises:
        AnalysisError: As `fill`, or if the page cannot be read.
    """
    try:
        page = path.read_text(encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be read: {error}") from error
    filled = fill(page, blocks(rows, Path(os.path.relpath(folder, path.parent)).as_posix()))
    folder.mkdir(parents=True, exist_ok=True)
    made = set(rows.table["recipe"])
    for table in paper_tables():
        if table.recipe in made and f"<!-- begin {table.recipe} -->" in page:
            picture = render(draw_table(rows, table), "png", drawn_from(rows, table))
            (folder / picture_name(rows, table)).write_bytes(picture)
    path.write_text(filled, encoding="utf-8")


def _verdicts(results: Sequence[ClaimResult]) -> str:
    rows = [
        (r.claim.name, r.claim.statement, r.claim.paper, f"**{r.verdict}**", why(r))
        for r in results
    ]
    grid = Grid(("", "claim", "paper", "verdict", "checks"), rows)
    return f"{counted(results)}.\n\n{grid.markdown()}\n\n{differing(results)}"


def verdict_lines(results: Sequence[ClaimResult]) -> list[str]:
    """The verdicts for a terminal, one line each."""
    return [f"{r.claim.name:3s} {r.verdict:15s} {r.claim.statement}" for r in results]
