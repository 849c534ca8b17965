"""The report's sentence about the human study with an identity model in the place of people."""

import math

import pandas as pd

from analysis.faces import read_identity
from analysis.kinds import IN_LOOP_NAMES, attacker_name
from analysis.load import StudyTables
from analysis.pictures import compared_encoders
from analysis.quiz import CHANCE, RIGHT_FACE
from analysis.records import encoder_labels

ACCURACY = "quiz_accuracy"


def quiz_sentences(tables: StudyTables) -> list[str]:
    """How often the identity model knows the right one of four faces; empty without one.

    Of the undefended encoder and the defended one of the answer, each by the attacker that counts
    and rebuilds most on the selection split.
    """
    judge = read_identity(tables)
    if judge is None or ACCURACY not in tables.attacks:
        return []
    labels = encoder_labels(tables.encoders)
    found = {name: _worst(tables.attacks, name) for name in compared_encoders(tables.encoders)}
    told = [
        f"in {row[ACCURACY]:.1%}{_error(row)} on {labels[name]} "
        f"(rebuilt by {attacker_name(row['attacker'])})"
        for name, row in found.items()
        if row is not None
    ]
    if not told:
        return []
    own = (
        f"tells {judge.accuracy:.1%} of pairs of plain faces right"
        if judge.accuracy is not None
        else "was not measured on plain faces"
    )
    plain = (
        ""
        if judge.quiz_accuracy is None
        else f", the plain image in the reconstruction's place {judge.quiz_accuracy:.1%}"
    )
    # The same of all encoders: they are attacked on the same images.
    other_image = any(row["quiz_other_image"] == 1 for row in found.values() if row is not None)
    return [
        f"Shown a reconstruction and four faces, one of them {RIGHT_FACE[other_image]}, "
        f"{judge.model} picks that one {' and '.join(told)}; guessing brings {CHANCE:.0%}"
        f"{plain}, and {judge.model} itself {own}."
    ]


def _worst(attacks: pd.DataFrame, encoder_id: str) -> pd.Series | None:
    """The attack that rebuilds most on the selection split of those with the figure."""
    rows = attacks[
        (attacks["encoder_id"] == encoder_id)
        & (attacks["attack_kind"] == "reconstruction")
        & attacks["counts"]
        & ~attacks["attacker"].isin(IN_LOOP_NAMES)
        & attacks[ACCURACY].notna()
        & attacks["leakage/selection"].notna()
    ]
    return None if rows.empty else rows.sort_values("leakage/selection").iloc[-1]


def _error(row: pd.Series) -> str:
    error = row.get(f"{ACCURACY}_error", math.nan)
    return f" ± {error:.1%}" if math.isfinite(error) else ""
