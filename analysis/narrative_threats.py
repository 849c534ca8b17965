"""The report's sentences about attackers outside the worst case: white-box ones and rungs."""

import pandas as pd

from analysis.kinds import is_white_box, left_out
from analysis.load import StudyTables
from analysis.narrative_methods import listed
from analysis.records import encoder_labels
from analysis.tables import JUDGED_ROLES, LEAKAGE, LEAKAGE_SELECTION


def rung_sentence(tables: StudyTables) -> list[str]:
    """That some attackers were weakened on purpose; empty without a strength ladder."""
    count = len(left_out(tables.attacks, white_box=False))
    if not count:
        return []
    were = "1 more was" if count == 1 else f"{count} more were"
    rungs = "a rung" if count == 1 else "rungs"
    return [
        f"{were} weakened on purpose, as {rungs} of the strength ladder: outside the worst case."
    ]


def white_box_sentences(tables: StudyTables) -> list[str]:
    """What attackers that see gradients reached; empty without any.

    The encoder that is named is the one on which they leave the worst case behind most, judged on
    the selection split where that is known for all; the figures are those of the test split.
    """
    attacks, encoders = tables.attacks, tables.encoders
    rows = attacks[is_white_box(attacks)]
    if rows.empty:
        return []
    names = sorted(set(rows["attacker"]))
    verb = "sees" if len(names) == 1 else "see"
    text = f"White box: {listed(names)} {verb} the encoder's gradients; outside the worst case."
    judged = encoders[encoders["role"].isin(JUDGED_ROLES) & (encoders["status"] == "verified")]
    columns = ["encoder_id", LEAKAGE, LEAKAGE_SELECTION]
    both = rows.merge(judged[[*columns, "saturated"]], on="encoder_id", suffixes=("", "_encoder"))
    both = both[both[["leakage/test", LEAKAGE]].notna().all(axis=1)]
    if both.empty:
        return [text]
    most = both.iloc[int(_excess(both).to_numpy().argmax())]
    label = encoder_labels(encoders)[most["encoder_id"]]
    least = "" if most["saturated_encoder"] == 1 else "at least "
    return [
        f"{text} On {label} {'it' if len(names) == 1 else most['attacker']} reached a leakage of "
        f"{most['leakage/test']:.3f}, against {least}{most[LEAKAGE]:.3f} of the worst black-box "
        "attacker."
    ]


def _excess(rows: pd.DataFrame) -> pd.Series:
    selection = rows["leakage/selection"] - rows[LEAKAGE_SELECTION]
    test = rows["leakage/test"] - rows[LEAKAGE]
    return selection if selection.notna().all() else test
