"""The papers' claims and tables beside ours, as Markdown that a page of the docs carries."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from analysis.checks import CheckResult, ClaimResult, judge
from analysis.claims import claims
from analysis.contrasts import SeedMean, interval, read_cell
from analysis.load import AnalysisError
from analysis.paper_settings import settings_table
from analysis.paper_tables import Entry, PaperTable, paper_tables
from analysis.rows import ExperimentRows

VERDICTS = ("reproduced", "not reproduced", "undecided")
_BLOCK = re.compile(r"<!-- begin (\S+) -->\n(.*?)<!-- end \1 -->", re.DOTALL)


def judged(rows: ExperimentRows) -> list[ClaimResult]:
    """Every claim, held against the rows."""
    return [judge(rows, claim) for claim in claims()]


def counted(results: Sequence[ClaimResult]) -> str:
    """How many claims were decided, in words."""
    counts = {name: sum(result.verdict == name for result in results) for name in VERDICTS}
    words = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"{len(results)} claims: {words}"


def blocks(rows: ExperimentRows) -> dict[str, str]:
    """Name → Markdown of everything that is rebuilt from the rows."""
    results = judged(rows)
    found = {"verdicts": _verdicts(results), "checks": _checks(results), "runs": _runs(rows)}
    found["settings"] = settings_table(rows)
    made = set(rows.table["recipe"])
    return found | {
        table.recipe: _table(rows, table) if table.recipe in made else _not_run(table)
        for table in paper_tables()
    }


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


def fill_file(path: Path, rows: ExperimentRows) -> None:
    """Rebuilds the blocks of a page from rows.

    Raises:
        AnalysisError: As `fill`, or if the page cannot be read.
    """
    try:
        page = path.read_text(encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"{path}: cannot be read: {error}") from error
    path.write_text(fill(page, blocks(rows)), encoding="utf-8")


def _verdicts(results: Sequence[ClaimResult]) -> str:
    lines = [
        f"| {r.claim.name} | {r.claim.statement} | {r.claim.paper} | **{r.verdict}** | {_why(r)} |"
        for r in results
    ]
    heads = ["| | claim | paper | verdict | checks |", "|---|---|---|---|---|"]
    return "\n".join([counted(results) + ".", "", *heads, *lines])


def _why(result: ClaimResult) -> str:
    """How many checks say what; what keeps the rest open."""
    counts = {name: sum(c.verdict == name for c in result.checks) for name in VERDICTS}
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    if len(result.checks) == 1 and result.checks[0].verdict == result.verdict:
        words = "1"
    if result.verdict != "undecided":
        return words
    if result.takes:
        return f"{words}; about {result.takes} seeds would tell"
    # Each check's own words stand in the table of checks.
    open_checks = [check for check in result.checks if check.verdict == "undecided"]
    reasons = dict.fromkeys(check.why for check in open_checks if check.why and not check.takes)
    return "; ".join([words, *reasons])


def _checks(results: Sequence[ClaimResult]) -> str:
    lines = [_check(result.claim.name, check) for result in results for check in result.checks]
    heads = [
        "| | what is compared | mean over seeds (95% interval) | seeds | claimed | verdict |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*heads, *lines])


def _check(name: str, result: CheckResult) -> str:
    check, found = result.check, result.found
    side = f"{'above' if check.above else 'below'} {check.bound + 0.0:g}"  # no -0
    verdict = result.verdict + (f" ({result.why})" if result.why else "")
    return f"| {name} | {check.what} | {_figure(found)} | {found.count} | {side} | {verdict} |"


def _table(rows: ExperimentRows, table: PaperTable) -> str:
    heads = [f"{name}: {which}" for name in table.columns for which in ("paper", "ours")]
    lines = [
        f"| {label} | "
        + " | ".join(cell for entry in entries for cell in _entry(rows, entry))
        + " |"
        for label, entries in table.rows
    ]
    return "\n".join(
        [
            f"**{table.title}**",
            "",
            "| " + " | ".join([table.row_head, *heads]) + " |",
            "|---" * (len(heads) + 1) + "|",
            *lines,
        ]
    )


def _not_run(table: PaperTable) -> str:
    return f"**{table.title}**\n\nNot run yet."


def _entry(rows: ExperimentRows, entry: Entry) -> tuple[str, str]:
    values = read_cell(rows, entry.cell)
    found = interval(list(values.by_seed.values()))
    bound = "≥ " if values.bounds else ""
    paper = "" if entry.paper is None else f"{entry.paper:.4g}"
    return paper, (bound + _figure(found)) if found.count else ""


def _figure(found: SeedMean) -> str:
    if not found.count:
        return ""
    if found.count == 1:
        return f"{found.mean:.3f}"
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"


def _runs(rows: ExperimentRows) -> str:
    """What was run for each table: how many encoders and attacks, for how long, on what."""
    heads = [
        "| table | encoders × seeds | attacks | computing (h) | unsaturated | machine | code |",
        "|---|---|---|---|---|---|---|",
    ]
    lines = []
    for recipe in dict.fromkeys(rows.table["recipe"]):
        own = rows.of(recipe)
        encoders, attacks = own[own["role"] == ""], own[own["role"] != ""]
        attacks = attacks[attacks["steps"] > 0]
        hours = (encoders["seconds"].sum() + attacks["seconds"].sum()) / 3600
        seeds = sorted(set(own["seed"]))
        machines = "; ".join(_distinct(own, "made/machine"))
        commits = ", ".join(commit[:7] for commit in _distinct(own, "made/code"))
        lines.append(
            f"| `{recipe}` | {own['encoder'].nunique()} × {len(seeds)} | {len(attacks)} | "
            f"{hours:.1f} | {int(attacks['saturated'].eq(False).sum())} | {machines} | {commits} |"
        )
    return "\n".join([*heads, *lines])


def _distinct(table: pd.DataFrame, column: str) -> list[str]:
    if column not in table:
        return []
    return [
        str(value) for value in dict.fromkeys(table[column]) if isinstance(value, str) and value
    ]


def verdict_lines(results: Sequence[ClaimResult]) -> list[str]:
    """The verdicts for a terminal, one line each."""
    return [f"{r.claim.name:3s} {r.verdict:15s} {r.claim.statement}" for r in results]
