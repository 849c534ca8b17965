"""Reconstructions as pictures: which strips an encoder has, and two encoders side by side."""

import math
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing import INK, SOFT, STYLE, read_image
from analysis.kinds import IN_LOOP_NAMES, left_out
from analysis.load import StudyTables
from analysis.methods import compares_methods
from analysis.records import encoder_labels, staircase
from analysis.tables import (
    LEAKAGE,
    LEAKAGE_SELECTION,
    UTILITY,
    UTILITY_SELECTION,
    best_trade,
    is_defended,
    measured,
)

OTHERS, PEOPLE = "others.png", "people.json"
"""Beside an encoder's strips, for the quiz: another image of each person shown, and who is who."""
CODE = "code"
"""Label and file name of the strip that shows the codes themselves; no attacker is called so."""
PICTURE_WIDTH = 8.0
"""Inches: at 100 pixels per inch a page is 800 pixels wide and 9 points are 12 pixels."""


@dataclass(frozen=True)
class StripGroup:
    """The strips of one encoder under a heading: (label, PNG file) from top to bottom."""

    heading: str
    strips: tuple[tuple[str, Path], ...]


def encoder_strips(tables: StudyTables, run_id: str) -> list[tuple[str, Path]]:
    """An encoder run's strips, fetched: originals first, then one per reconstructing attacker.

    Between them the codes of these images as pictures (`CODE`), where they are kept. Without an
    attacker's strip the ready-made grid under an empty label; without that, an empty list.
    """
    names = [name for name in tables.artifact_names(run_id) if name.lower().endswith(".png")]
    stems = {Path(name).stem: name for name in names}  # of equal names in folders, the last
    stems.pop(Path(OTHERS).stem, None)
    ready_made = stems.pop("reconstructions", None)
    originals, code = stems.pop("originals", None), stems.pop(CODE, None)
    if originals and stems:
        codes = [(CODE, code)] if code else []
        chosen = [("original", originals), *codes, *sorted(stems.items())]
    else:
        chosen = [("", ready_made)] if ready_made else []
    found = [(label, tables.artifact(run_id, name)) for label, name in chosen]
    return [(label, path) for label, path in found if path is not None]


def worst_rebuilt(tables: StudyTables, row: pd.Series) -> tuple[str, Path, Path] | None:
    """Of the attackers that count and left pictures the one that leaks most on selection.

    Returns:
        Its name, the strip of originals and its own strip; None without such pictures.
    """
    hidden = {CODE, *IN_LOOP_NAMES, *left_out(tables.attacks)}
    own = tables.attacks[tables.attacks["encoder_id"] == row["encoder_id"]]
    own = own[~own["attacker"].isin(hidden) & own["leakage/selection"].map(math.isfinite)]
    names = own.sort_values("leakage/selection", ascending=False)["attacker"]
    originals = tables.artifact(row["run_id"], "originals.png") if len(names) else None
    if originals is None:
        return None
    for name in names:
        path = tables.artifact(row["run_id"], f"{name}.png")
        if path is not None:
            return str(name), originals, path
    return None


def compared_encoders(encoders: pd.DataFrame) -> list[str]:
    """Ids of an undefended and of a defended encoder whose pictures tell the study's story.

    They are those of the best trade, or of the best lower bound where there is none. Without
    either: the defended encoder of the staircase that leaks least on the selection split, and the
    most useful undefended encoder. An id is missing where the study has no such encoder.
    """
    trade = best_trade(encoders) or best_trade(encoders, saturated_only=False)
    if trade is not None:
        return [trade["undefended_id"], trade["encoder_id"]]
    rows = encoders[measured(encoders)]
    undefended = rows[rows["role"] == "undefended"].sort_values(UTILITY_SELECTION)
    best, _ = staircase(encoders)
    defended = best[is_defended(best)].sort_values(LEAKAGE_SELECTION)
    return [*undefended["encoder_id"].tail(1), *defended["encoder_id"].head(1)]


def comparison(tables: StudyTables) -> list[StripGroup]:
    """Collects the picture: the originals, then what attackers made of each encoder's codes.

    The in-loop adversary is left out: it stands for what training saw, not for what leaks; so are
    attackers outside the worst case, and the codes as pictures. Empty if no encoder to compare has
    strips.
    """
    encoders, labels = tables.encoders, encoder_labels(tables.encoders)
    hidden = {CODE, *IN_LOOP_NAMES, *left_out(tables.attacks)}
    groups: list[StripGroup] = []
    shown: bytes | None = None
    for encoder_id in compared_encoders(encoders):
        row = encoders[encoders["encoder_id"] == encoder_id].iloc[0]
        strips = encoder_strips(tables, row["run_id"])
        if len(strips) < 2:
            continue
        (_, originals), *rebuilt = strips
        if originals.read_bytes() != shown:  # every encoder is attacked on the same images
            shown = originals.read_bytes()
            groups.append(StripGroup("", (("original", originals),)))
        kept = tuple((label, path) for label, path in rebuilt if label not in hidden)
        role = {"undefended": "undefended", "baseline": f"baseline, {labels[encoder_id]}"}
        name = role.get(row["role"], f"defended, {labels[encoder_id]}")
        caption = encoder_caption(row, compares_methods(encoders))
        groups.append(StripGroup(f"{name}: {caption}", kept))
    return groups


def encoder_caption(row: pd.Series, with_method: bool = False) -> str:
    """Method (of a searched encoder), cut, utility and leakage, as far as they are known."""
    searched = row["role"] == "searched"
    values = [row["protector"]] if with_method and searched and row["protector"] else []
    values += [f"cut at {row['cut_point']}"] if row["cut_point"] else []
    if math.isfinite(row[UTILITY]):
        values.append(f"mean MCC {row[UTILITY]:.3f}")
    if math.isfinite(row[LEAKAGE]):
        bound = "" if row["saturated"] == 1 else "at least "
        values.append(f"worst leakage {bound}{row[LEAKAGE]:.3f}")
    return ", ".join(values)


def draw_comparison(groups: list[StripGroup], width: float = PICTURE_WIDTH) -> Figure:
    """Stacks the groups of strips, headings above, labels at the left, all strips equally wide.

    Args:
        groups: What `comparison` collected.
        width: Inches.

    Raises:
        ValueError: There is no strip, or a file is no readable image.
    """
    strips = [strip for group in groups for strip in group.strips]
    if not strips:
        raise ValueError("groups: a picture needs at least one strip, got none")
    gap, heading = 0.06, 0.3
    left = 0.2 + 0.085 * max(len(label) for label, _ in strips)
    inner = width - left - gap
    images = [[(label, read_image(path)) for label, path in group.strips] for group in groups]
    own = [[inner * image.shape[0] / image.shape[1] for _, image in rows] for rows in images]
    headings = heading * sum(bool(group.heading) for group in groups)
    height = gap + headings + sum(value + gap for rows in own for value in rows)
    with matplotlib.rc_context(STYLE):
        figure, top = Figure(figsize=(width, height)), height - gap
        for group, rows, heights in zip(groups, images, own, strict=True):
            if group.heading:
                figure.text(
                    left / width, (top - 0.6 * heading) / height, group.heading, fontsize=9.5,
                    va="center", color=INK,
                )  # fmt: skip
                top -= heading
            for (label, image), tall in zip(rows, heights, strict=True):
                box = (left / width, (top - tall) / height, inner / width, tall / height)
                axes = figure.add_axes(box)
                axes.imshow(image, aspect="auto")
                axes.set_axis_off()
                figure.text(
                    (left - 0.1) / width, (top - tall / 2) / height, label, ha="right",
                    va="center", fontsize=9, color=SOFT,
                )  # fmt: skip
                top -= tall + gap
    return figure
