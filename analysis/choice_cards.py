"""The recommended encoders as the report shows them: cost, worst attacker, doubts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.cells import amount_cell, number_cell
from analysis.choice import Choice, Wish, choose
from analysis.confirmation import Confirmation
from analysis.kinds import attacker_name
from analysis.load import StudyTables
from analysis.methods import compares_methods
from analysis.pictures import worst_rebuilt
from analysis.records import encoder_labels
from analysis.report_tables import COST_COLUMNS
from analysis.tables import LEAKAGE, LEAKAGE_ERROR, UTILITY, UTILITY_ERROR
from analysis.thumbnails import strip
from analysis.uncertainty import Certainty


@dataclass(frozen=True)
class Card:
    """One recommendation.

    Attributes:
        wish: What was wanted, in words.
        label: The encoder; empty where there is none.
        about: Its method and cut.
        rows: (name, figure) of what it does and costs.
        doubts: Sentences about what is unsure, or why there is no encoder.
        rebuilder: The attacker whose picture is shown.
        originals: Strip of images as a data URI; empty without.
        picture: What that attacker rebuilt of them; likewise.
    """

    wish: str
    label: str
    about: str
    rows: tuple[tuple[str, str], ...]
    doubts: tuple[str, ...]
    rebuilder: str = ""
    originals: str = ""
    picture: str = ""


def wishes_of(tables: StudyTables, asked: Sequence[Wish] = ()) -> list[Wish]:
    """The user's wishes, else the study's own least utility; then the knee."""
    own = (tables.config.get("study") or {}).get("utility_floor")
    if not any(wish.aim == "utility floor" for wish in asked) and isinstance(own, int | float):
        asked = [Wish("utility floor", float(own)), *asked]
    return [*asked, Wish("knee")]


def choice_cards(
    tables: StudyTables,
    asked: Sequence[Wish] = (),
    sure: Certainty | None = None,
    confirmed: Confirmation | None = None,
) -> list[Card]:
    """A card per wish; of the knee none where the frontier has none."""
    cards = []
    for wish in wishes_of(tables, asked):
        choice = choose(tables.encoders, wish)
        if choice.row is not None:
            cards.append(_card(tables, choice, choice.row, sure, confirmed))
        elif wish.aim != "knee":
            cards.append(Card(str(wish), "", "", (), (_none(choice),)))
    return cards


def _none(choice: Choice) -> str:
    if choice.nearest is None:
        return "No encoder has had all its attackers saturated yet."
    what = (
        f"the most useful reaches a mean MCC of {choice.nearest:.3f}"
        if choice.wish.aim == "utility floor"
        else f"the least leaking leaks {choice.nearest:.3f}"
    )
    return f"No encoder with saturated attackers has that on the selection split: {what}."


def _card(
    tables: StudyTables,
    choice: Choice,
    row: "pd.Series[Any]",
    sure: Certainty | None,
    confirmed: Confirmation | None,
) -> Card:
    encoders = tables.encoders
    about = [row["protector"]] if compares_methods(encoders) and row["protector"] else []
    about += [f"cut at {row['cut_point']}"] if row["cut_point"] else []
    rows = [
        ("mean MCC", number_cell(row[UTILITY], error=row[UTILITY_ERROR]).text),
        ("worst leakage", number_cell(row[LEAKAGE], error=row[LEAKAGE_ERROR]).text),
        ("worst attacker", attacker_name(row["worst_attacker"])),
        *((text, amount_cell(row[name]).text) for name, text in COST_COLUMNS.items()),
    ]
    rebuilder, originals, picture = "", "", ""
    found = worst_rebuilt(tables, row)
    if found is not None:
        rebuilder, (first, second) = found[0], (strip(path) for path in found[1:])
        originals, picture = first, second
    return Card(
        str(choice.wish),
        encoder_labels(encoders)[row["encoder_id"]],
        ", ".join(about),
        tuple((name, text) for name, text in rows if text not in ("", "–")),
        tuple(_doubts(choice, row, sure, confirmed)),
        attacker_name(rebuilder),
        originals,
        picture,
    )


def _doubts(
    choice: Choice,
    row: "pd.Series[Any]",
    sure: Certainty | None,
    confirmed: Confirmation | None,
) -> list[str]:
    doubts = []
    if choice.held is False:
        doubts.append("Chosen on the selection split; on the test split it misses the wish.")
    if choice.chance is not None:
        doubts.append(f"On other test images it would keep to the wish in {choice.chance:.0%}.")
    share = None if sure is None else sure.probability.get(row["encoder_id"])
    if share is not None:
        doubts.append(f"It is on the frontier in {share:.0%} of the redrawn ones.")
    known = {} if confirmed is None else {one.encoder_id: one for one in confirmed.encoders}
    again = known.get(row["encoder_id"])
    if again is None or again.utility is None or again.leakage is None:
        return [*doubts, "Trained once: another seed may come out elsewhere (--confirm)."]
    bound = "at least " if again.is_bound else ""
    return [
        *doubts,
        f"Fresh trainings ({again.num_verified}): mean MCC {again.utility.value:.3f}, worst "
        f"leakage {bound}{again.leakage.value:.3f} on average.",
    ]
