"""One self-contained HTML page about a study, readable without any network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from analysis import attack_tables, ladder_tables, method_tables, narrative, report_tables
from analysis.attainment import seed_frontiers
from analysis.attainment_figure import attainment_sentences, draw_attainment
from analysis.choice import Wish
from analysis.choice_cards import choice_cards
from analysis.codes import codes_record
from analysis.codes_figure import draw_codes
from analysis.confirmation import confirmation
from analysis.confirmation_report import confirmation_table, draw_confirmation
from analysis.cut_frontiers import cut_frontiers, cut_table, draw_cut_frontiers
from analysis.drawing import NARROW, WIDE, data_uri, render
from analysis.faces import faces_sentence, faces_warning, read_identity
from analysis.figures import draw_gap, draw_saturation
from analysis.frontier_figure import draw_frontier
from analysis.gaps import gap_record
from analysis.growth import draw_growth, growth, growth_note, work_of
from analysis.health import health_banner, health_table, read_health
from analysis.importance import draw_effects, effects, importance_table, read_importances
from analysis.interactive import interactive_frontier
from analysis.kind_frontiers import draw_kind_frontiers, kind_frontiers, kind_table
from analysis.kinds import attacker_name, is_white_box, left_out
from analysis.ladder import ladder_record
from analysis.ladder_figure import draw_ladder
from analysis.load import StudyTables
from analysis.methods import compares_methods, searched_methods
from analysis.page import write_page
from analysis.pictures import CODE, encoder_caption, encoder_strips
from analysis.provenance import provenance
from analysis.records import (
    encoder_labels,
    frontier_record,
    images_per_split,
    saturation_panels,
    staircase,
)
from analysis.tables import JUDGED_ROLES, summary
from analysis.thumbnails import strip
from analysis.training import draw_training, training_records
from analysis.uncertainty import certainty

IN_ATTRIBUTE_TABLE = ("attributes", "utility", "private")
"""Parts of the data's description that stand in a table of their own."""

SCRIPTS = ("sort.js", "frontier.js")
CODE_NAME = "the code itself"
MAX_GRIDS = 36
"""Encoders whose reconstructions are put into the page; the rest stay in MLflow."""


@dataclass(frozen=True)
class Strip:
    """One row of a reconstruction grid, as a data URI."""

    label: str
    image: str


@dataclass(frozen=True)
class Grid:
    """Reconstructions of one encoder: originals, codes if kept, then one strip per attacker."""

    label: str
    caption: str
    strips: tuple[Strip, ...]

    @property
    def has_code(self) -> bool:
        """Whether one of the strips is the code as a picture."""
        return any(strip.label == CODE_NAME for strip in self.strips)


def draw_figures(tables: StudyTables) -> dict[str, Figure]:
    """Draws every figure of a study that has data, by the name its file gets.

    `frontier` is always there; `frontier-narrow` is the same for a phone.
    """
    points = frontier_record(tables)
    figures = {
        "frontier": draw_frontier(points),
        "frontier-narrow": draw_frontier(points, size=NARROW),
    }
    images = images_per_split(tables.data)
    num_test, num_selection = images.get("test"), images.get("selection")
    confirmed, seeds = confirmation(tables.encoders), seed_frontiers(tables.encoders)
    for suffix, size in (("", WIDE), ("-narrow", NARROW)):
        if confirmed is not None:
            drawn = draw_confirmation(tables.encoders, confirmed, num_test, size)
            figures[f"confirmation{suffix}"] = drawn
        if seeds is not None:
            searched = () if points.provisional else points.frontier
            figures[f"attainment{suffix}"] = draw_attainment(seeds, searched, num_test, size)
    grown = growth(tables)
    if grown is not None:
        figures["hypervolume"] = draw_growth(grown)
        figures["hypervolume-narrow"] = draw_growth(grown, narrow=True)
    kinds = kind_frontiers(tables.encoders)
    if kinds.panels:
        figures["kinds"] = draw_kind_frontiers(kinds, points.by_method, num_test)
        figures["kinds-narrow"] = draw_kind_frontiers(kinds, points.by_method, num_test, True)
    cuts = cut_frontiers(tables.encoders)
    if cuts:
        for suffix, narrow in (("", False), ("-narrow", True)):
            figures[f"cuts{suffix}"] = draw_cut_frontiers(
                cuts, tables.encoders, points.by_method, num_test, narrow
            )
    moved = effects(tables.encoders)
    if moved:
        figures["what-mattered"] = draw_effects(moved, num_test)
        figures["what-mattered-narrow"] = draw_effects(moved, num_test, narrow=True)
    gaps = gap_record(tables)
    if gaps.panels:
        figures["in-loop-against-verified"] = draw_gap(gaps)
        figures["in-loop-against-verified-narrow"] = draw_gap(gaps, narrow=True)
    panels = saturation_panels(tables)
    if panels:
        figures["saturation"] = draw_saturation(panels, num_selection)
        figures["saturation-narrow"] = draw_saturation(panels, num_selection, 1, (3.6, 1.9))
    trained = training_records(tables)
    if trained:
        figures["training"] = draw_training(trained, images)
        figures["training-narrow"] = draw_training(trained, images, narrow=True)
    codes = codes_record(tables)
    if codes:
        figures["codes"] = draw_codes(codes)
        figures["codes-narrow"] = draw_codes(codes, narrow=True)
    ladder = ladder_record(tables)
    if ladder.panels:
        figures["strength-ladder"] = draw_ladder(ladder)
        figures["strength-ladder-narrow"] = draw_ladder(ladder, narrow=True)
    return figures


def write_report(
    tables: StudyTables,
    out_dir: Path,
    drawn: Mapping[str, bytes] | None = None,
    wishes: Sequence[Wish] = (),
) -> Path:
    """Writes `report.html`.

    Args:
        tables: The study; whatever part of it is missing is left out or said to be missing.
        out_dir: Folder to write to; made if it is not there.
        drawn: What `draw_figures` gave, as SVG files, if they are made already.
        wishes: What somebody wants of an encoder; one that fits is recommended.

    Returns:
        Path of the page.
    """
    if drawn is None:
        drawn = {name: render(figure, "svg") for name, figure in draw_figures(tables).items()}
    facts, sure = summary(tables), certainty(tables.encoders)
    confirmed = confirmation(tables.encoders)
    health, judge = read_health(tables), read_identity(tables)
    ladder = ladder_record(tables)
    return write_page(
        out_dir / "report.html",
        "report.html",
        SCRIPTS,
        tables=tables,
        facts=facts,
        asked=narrative.asked(tables),
        answered=narrative.answered(tables, facts, confirmed),
        how_sure=narrative.how_sure(tables, facts, sure, confirmed),
        confirmation_table=confirmation_table(tables.encoders, confirmed),
        attained=attainment_sentences(seed_frontiers(tables.encoders), facts["hypervolume"]),
        growth_note=growth_note(growth(tables)),
        importance_table=importance_table(read_importances(tables)),
        kind_table=kind_table(kind_frontiers(tables.encoders)),
        cut_table=cut_table(cut_frontiers(tables.encoders), tables.encoders),
        sure=sure,
        choices_made=choice_cards(tables, wishes, sure, confirmed),
        figures={name: data_uri(svg, "svg+xml") for name, svg in drawn.items()},
        interactive=interactive_frontier(tables, sure),
        encoder_table=report_tables.encoder_table(tables, sure),
        method_table=method_tables.method_table(tables),
        collapsed_table=method_tables.collapsed_table(tables),
        dominated_table=method_tables.dominated_table(tables),
        training_table=report_tables.training_table(tables),
        attack_table=attack_tables.attack_table(tables),
        references=attack_tables.reference_table(tables),
        health=health,
        health_banner=health_banner(health),
        health_table=health_table(health),
        judge=judge,
        faces=faces_sentence(judge),
        faces_warning=faces_warning(tables, judge),
        ladder=ladder,
        ladder_table=ladder_tables.ladder_table(ladder),
        more_data=ladder_tables.data_sentences(ladder),
        grids=_grids(tables),
        max_grids=MAX_GRIDS,
        code_name=CODE_NAME,
        num_gap_panels=len(gap_record(tables).panels),
        several_methods=len(searched_methods(tables.encoders)) > 1,
        failures=report_tables.failures(tables),
        config=yaml.safe_dump(tables.config, sort_keys=False, allow_unicode=True),
        choices=report_tables.study_choices(tables),
        provenance=provenance(tables),
        data=_flatten({k: v for k, v in tables.data.items() if k not in IN_ATTRIBUTE_TABLE}),
        attributes=report_tables.attribute_table(tables),
        text_columns=report_tables.TEXT_COLUMNS,
        duration=_duration(tables),
    )  # fmt: skip


def _grids(tables: StudyTables) -> dict[str, list[Grid]]:
    """Reconstructions: `first` undefended, baseline, labels and frontier encoders, then `more`.

    The first ones' codes are shown too; those of all would make the page too large.
    """
    encoders, labels = tables.encoders, encoder_labels(tables.encoders)
    rows = encoders[encoders["role"].isin(JUDGED_ROLES)]
    best = list(staircase(encoders)[0]["encoder_id"])
    first = [*rows.loc[rows["role"] != "searched", "encoder_id"], *best]
    order = list(dict.fromkeys([*first, *rows["encoder_id"]]))[:MAX_GRIDS]
    grids: dict[str, list[Grid]] = {"first": [], "more": []}
    by_id, named = rows.set_index("encoder_id"), compares_methods(encoders)
    # The rungs of a ladder are many, and their figures tell more than their pictures.
    rungs = left_out(tables.attacks, white_box=False)
    white = set(tables.attacks.loc[is_white_box(tables.attacks), "attacker"])
    for encoder_id in order:
        row = by_id.loc[encoder_id]
        read = [
            (label, strip(path) if label else strip(path, height=None))
            for label, path in encoder_strips(tables, row["run_id"])
            if label not in rungs and (label != CODE or encoder_id in first)
        ]
        strips = tuple(Strip(_strip_name(label, white), image) for label, image in read if image)
        if strips:
            grid = Grid(labels[encoder_id], encoder_caption(row, named), strips)
            grids["first" if encoder_id in first else "more"].append(grid)
    return grids


def _strip_name(label: str, white_box: set[str]) -> str:
    """What stands beside a strip; a code must not pass for a reconstruction."""
    if label == CODE:
        return CODE_NAME
    return attacker_name(label) + (" (white box)" if label in white_box else "")


def _duration(tables: StudyTables) -> str:
    """How long the study was at work, in words; empty before its first encoder has ended."""
    minutes = work_of(tables).hours() * 60
    if not minutes > 0:
        return ""
    if minutes < 2:
        return f"{60 * minutes:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _flatten(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested description as (dotted name, text) pairs; what is innermost stands in one row."""
    if prefix and isinstance(value, dict) and not any(map(_is_nested, value.values())):
        return [(prefix, ", ".join(f"{key} {item}" for key, item in value.items()))]
    if isinstance(value, dict):
        return [
            pair
            for key, item in value.items()
            for pair in _flatten(item, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(value, list | tuple):
        return [(prefix, ", ".join(str(item) for item in value))]
    return [(prefix, f"{value:.4g}" if isinstance(value, float) else str(value))]


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list | tuple)
