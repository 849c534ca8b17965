"""The papers' tables beside ours, verdicts, checks and what was run: as text, for any page."""

from collections.abc import Sequence

import pandas as pd

from analysis.checks import CheckResult, ClaimResult
from analysis.contrasts import SeedMean, interval_of, read_cell
from analysis.grids import Grid
from analysis.paper_tables import Entry, PaperTable
from analysis.rows import ExperimentRows

VERDICTS = ("reproduced", "not reproduced", "undecided")


def counted(results: Sequence[ClaimResult]) -> str:
    """How many claims were decided, in words."""
    counts = {name: sum(result.verdict == name for result in results) for name in VERDICTS}
    words = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"{len(results)} claims: {words}"


def why(result: ClaimResult) -> str:
    """How many checks say what; what keeps the rest open."""
    counts = {name: sum(c.verdict == name for c in result.checks) for name in VERDICTS}
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    if len(result.checks) == 1 and result.checks[0].verdict == result.verdict:
        words = "1"
    if result.verdict != "undecided":
        return words
    if result.would_tell:
        return f"{words}; {result.would_tell}"
    # Each check's own words stand in the table of checks.
    open_checks = [check for check in result.checks if check.verdict == "undecided"]
    reasons = dict.fromkeys(check.why for check in open_checks if check.why and not check.takes)
    return "; ".join([words, *reasons])


def checks_grid(results: Sequence[ClaimResult]) -> Grid:
    """Every check of every claim."""
    return Grid(
        (
            "", "what is compared", "mean over seeds (95% interval)", "seeds", "claimed", "verdict",
            "by direction alone",
        ),
        [_check(result.claim.name, check) for result in results for check in result.checks],
    )  # fmt: skip


def _check(name: str, result: CheckResult) -> list[str]:
    said = result.verdict + (f" ({result.why})" if result.why else "")
    return [
        name, result.check.what, figure(result.found), str(result.found.count), claimed(result),
        said, direction_in_words(result),
    ]  # fmt: skip


def claimed(result: CheckResult) -> str:
    """On which side of its bound a check is claimed to lie."""
    check = result.check
    return f"{'above' if check.above else 'below'} {check.bound + 0.0:g}"  # no -0


def direction_in_words(result: CheckResult) -> str:
    """What a check would say if no more than the direction were asked for; may be empty."""
    plain = result.direction
    if plain is None or not plain.found.count:
        return ""
    return f"{figure(plain.found)}: {plain.verdict}"


def differing(results: Sequence[ClaimResult]) -> str:
    """Which claims the direction of differences alone would judge otherwise, as a sentence."""
    others = [f"{r.claim.name} {r.by_direction}" for r in results if r.by_direction != r.verdict]
    found = f"{', '.join(others)}, the rest as it is" if others else "every verdict the same"
    return f"By the direction of differences alone: {found}."


def paper_grid(rows: ExperimentRows, table: PaperTable) -> Grid:
    """A paper's table, each of its columns beside ours."""
    heads = [f"{name}: {which}" for name in table.columns for which in ("paper", "ours")]
    lines = [
        [label, *(cell for entry in entries for cell in _entry(rows, entry))]
        for label, entries in table.rows
    ]
    return Grid([table.row_head, *heads], lines)


def _entry(rows: ExperimentRows, entry: Entry) -> tuple[str, str]:
    values = read_cell(rows, entry.cell)
    found = interval_of([entry.cell], list(values.by_seed.values()))
    bound = "≥ " if values.bounds else ""
    paper = "" if entry.paper is None else f"{entry.paper:.4g}"
    return paper, (bound + figure(found)) if found.count else ""


def figure(found: SeedMean) -> str:
    """A mean with its interval, if it has one."""
    if not found.count:
        return ""
    if found.count == 1:
        return f"{found.mean:.3f}"
    return f"{found.mean:.3f} ({found.low:.3f} to {found.high:.3f})"


def runs_grid(rows: ExperimentRows) -> Grid:
    """What was run for each table: how many encoders and attacks, for how long, on what."""
    lines = []
    for recipe in dict.fromkeys(rows.table["recipe"]):
        own = rows.of(recipe)
        encoders, attacks = own[own["role"] == ""], own[own["role"] != ""]
        attacks = attacks[attacks["steps"] > 0]
        trainings = len(own[["encoder", "seed"]].drop_duplicates())
        hours = (encoders["seconds"].sum() + attacks["seconds"].sum()) / 3600
        machines = "; ".join(_distinct(own, "made/machine"))
        commits = ", ".join(commit[:7] for commit in _distinct(own, "made/code"))
        lines.append([
            recipe, str(own["encoder"].nunique()), str(trainings), str(len(attacks)),
            f"{hours:.1f}", str(int(attacks["saturated"].eq(False).sum())), machines, commits,
        ])  # fmt: skip
    return Grid(
        ("table", "encoders", "trainings", "attacks", "computing (h)", "unsaturated", "machine",
         "code"),
        lines,
    )  # fmt: skip


def _distinct(table: pd.DataFrame, column: str) -> list[str]:
    if column not in table:
        return []
    return [
        str(value) for value in dict.fromkeys(table[column]) if isinstance(value, str) and value
    ]
