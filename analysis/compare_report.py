"""The page of a comparison of studies, its figures, and its figures as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.compare import NIGHTLY, Comparison, Difference, Side
from analysis.drawing import LINES, STYLE, WIDE, data_uri, of_split, save_figure, single_axes
from analysis.frontier_figure import steps
from analysis.page import write_page
from analysis.records import corners, images_per_split
from analysis.tables import LEAKAGE, UTILITY, frontier, is_saturated, measured

MARKS = ("o", "^", "D", "s", "v", "P", "X", "h")
FOLDER = "comparisons"
"""Beside the studies' folders; no study can have that name's report in it by chance."""


def draw_frontiers(sides: Sequence[Side]) -> Figure:
    """Every study's encoders and staircase, one colour and one shape for each."""
    test, names = _of_test(sides)
    with matplotlib.rc_context(STYLE):
        figure, axes = single_axes(WIDE)
        rows = [side.tables.encoders[measured(side.tables.encoders)] for side in sides]
        utilities = [value for one in rows for value in one[UTILITY]] or [0.0, 1.0]
        leakages = [value for one in rows for value in one[LEAKAGE]] or [0.2]
        pad = max(0.05 * (max(utilities) - min(utilities)), 0.01)
        left, top = min(utilities) - pad, min(1.04, 1.1 * max(leakages))
        axes.set_xlim(left, max(utilities) + pad)
        axes.set_ylim(-0.03 * top, top)
        for number, (side, own) in enumerate(zip(sides, rows, strict=True)):
            colour, mark = LINES[number % len(LINES)][0], MARKS[number % len(MARKS)]
            saturated = is_saturated(own)
            for some, face in ((own[saturated], colour), (own[~saturated], "white")):
                axes.plot(
                    some[UTILITY], some[LEAKAGE], linestyle="", marker=mark, markersize=5,
                    color=colour, markerfacecolor=face, alpha=0.75, zorder=3,
                )  # fmt: skip
            best = frontier(side.tables.encoders)
            if len(best):
                xs, ys = zip(*steps(corners(best), left, top), strict=True)
                axes.plot(xs, ys, color=colour, linewidth=1.4, zorder=2)
            axes.plot([], [], color=colour, marker=mark, markersize=5, label=names[number])
        axes.set_xlabel(f"utility: mean MCC {test} →  better")
        axes.set_ylabel(f"better  ←  worst leakage after saturation\n{test}")
        figure.legend(loc="outside lower center", ncols=min(len(sides), 4), fontsize=8)
    return figure


def _of_test(sides: Sequence[Side]) -> tuple[str, list[str]]:
    """What an axis says of the test split, and what each study is called beside it.

    Test splits of several sizes are told with the studies' names.
    """
    sizes = [images_per_split(side.tables.data).get("test") for side in sides]
    if len(set(sizes)) == 1:
        return of_split("test", sizes[0]), [side.name for side in sides]
    names = [
        f"{side.name} {of_split('test', size)}" for side, size in zip(sides, sizes, strict=True)
    ]
    return of_split("test", None), names


def draw_histories(sides: Sequence[Side]) -> Figure | None:
    """Hypervolume after each encoder; None where no study logged it."""
    known = [(number, side) for number, side in enumerate(sides) if side.history]
    if not known:
        return None
    test, names = _of_test(sides)
    with matplotlib.rc_context(STYLE):
        figure, axes = single_axes((WIDE[0], 3.2))
        for number, side in known:
            colour, line = LINES[number % len(LINES)]
            numbers, areas = zip(*side.history, strict=True)
            axes.step(
                numbers, areas, where="post", color=colour, linestyle=line, label=names[number],
                linewidth=1.4,
            )  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel("encoders verified")
        axes.set_ylabel(f"hypervolume: area, at most 1\n{test}")
        figure.legend(loc="outside lower center", ncols=min(len(known), 4), fontsize=8)
    return figure


def write_comparison(comparison: Comparison, results: Path) -> Path:
    """Writes `comparisons/A+B/compare.html`, its figures and `comparison.json`.

    Args:
        comparison: The studies.
        results: The results folder.

    Returns:
        Path of the page.
    """
    folder = results / FOLDER / "+".join(side.name for side in comparison.sides)
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"frontiers": draw_frontiers(comparison.sides)}
    histories = draw_histories(comparison.sides)
    if histories is not None:
        figures["hypervolume"] = histories
    drawn = {}
    for name, figure in figures.items():
        _, svg = save_figure(figure, folder, name)
        drawn[name] = data_uri(svg.read_bytes(), "svg+xml")
    path = write_page(
        folder / "compare.html",
        "compare.html",
        comparison=comparison,
        sentences=sentences(comparison),
        figures=drawn,
        nightly=NIGHTLY,
    )
    text = json.dumps(facts(comparison), indent=1)
    (folder / "comparison.json").write_text(text, encoding="utf-8")
    return path


def sentences(comparison: Comparison) -> list[str]:
    """What came out, the plainest first."""
    said = []
    for one in comparison.differences:
        first = comparison.sides[0].name
        more = "more" if one.value >= 0 else "less"
        text = f"{one.name} commands {abs(one.value):.4f} {more} hypervolume than {first}"
        if one.interval is None:
            text += "; how sure that is, is not known: its encoders have no standard errors."
        else:
            held = f"{one.interval.low:+.4f} to {one.interval.high:+.4f}"
            verdict = "clear of the errors of the test images" if one.is_clear else (
                "no clear difference: within the errors of the test images"
            )  # fmt: skip
            text += f" (95%: {held}): {verdict}."
        said += [text, _moves_sentence(one, first)]
    return said


def _moves_sentence(one: Difference, first: str) -> str:
    gained, lost = len(one.gained), len(one.lost)
    return (
        f"{_count(gained, 'encoder')} of {one.name} {'is' if gained == 1 else 'are'} on the "
        f"frontier of both; {_count(lost, 'encoder')} of {first}'s frontier "
        f"{'is' if lost == 1 else 'are'} beaten."
    )


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def facts(comparison: Comparison) -> dict[str, Any]:
    """The comparison in figures, JSON-able."""
    return {
        "studies": [side.name for side in comparison.sides],
        "hypervolume": {
            side.name: {
                "value": side.area,
                "interval": None if side.interval is None else asdict(side.interval),
            }
            for side in comparison.sides
        },
        "differences": [
            {**asdict(one), "is_clear": one.is_clear} for one in comparison.differences
        ],
        "not_comparable": dict(comparison.obstacles),
        "configuration": dict(comparison.changes),
        "starts": dict(comparison.nights),
    }
