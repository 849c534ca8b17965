"""The rungs of the strength ladder: which attacks are some, and where each one stands on its axis.

The rungs of a family are attacks that differ from its base (`decoder`, `attribute`) in exactly one
of data, capacity, loss and budget, so that a line along an axis shows that axis alone. All of them
are measured on the base's scale, (score - floor) / (ceiling - floor) with the floor and ceiling of
the base: on a scale of its own a weak rung would look stronger than it is.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.kinds import is_white_box

BASES: Mapping[str, str] = {"reconstruction": "decoder", "attribute": "attribute"}
"""Per kind the attacker that its family is measured against."""

AXES: Mapping[str, tuple[str, ...]] = {
    "reconstruction": ("data", "capacity", "loss", "budget"),
    "attribute": ("data", "capacity", "budget"),
}
"""Per kind the axes along which its family has rungs."""

LOSS_NAMES: Mapping[str, str] = {
    "mse": "MSE",
    "mse+perceptual": "MSE + perceptual",
    "mse+gan": "MSE + GAN",
    "mse+gan+perceptual": "MSE + GAN + perceptual",
    "ms_ssim": "1 − MS-SSIM",
}
"""Losses in the order in which they are drawn, as they are called; others follow by name."""

FRACTIONS = {0.25: "¼", 0.5: "½", 0.75: "¾"}


@dataclass(frozen=True)
class Rung:
    """One attacker on one encoder, as a step of an axis.

    Attributes:
        name: The step in words, as the table names it.
        attacker: Label of the attacker.
        position: Where it stands: images, multiplier or steps; NaN where the step is a category.
        category: What the axis calls it; empty where the position is a number.
        leakages: Leakage on the test split on the base's scale, in [0, 1], per seed.
        selection: Mean score on the selection split; NaN if not known.
        bounded: Whether it ran out of a budget that was not its rung's own: a lower bound.
        is_base: Whether it is the base.
        joined: Whether it is on the axis's line. Another architecture, another source's images
            and another kind of loss stand beside it.
    """

    name: str
    attacker: str
    position: float
    category: str
    leakages: tuple[float, ...]
    selection: float
    bounded: bool
    is_base: bool
    joined: bool

    @property
    def leakage(self) -> float:
        """Mean over the seeds."""
        return sum(self.leakages) / len(self.leakages)


def family(attacks: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The base and the rungs of a kind of leakage.

    Returns:
        Their rows of the table of attacks with `_axis` (empty for the base) and `_leakage`; none
        where the study has no base, or is from before attackers said what they are made of.
    """
    own = attacks[(attacks["attack_kind"] == kind) & ~is_white_box(attacks)]
    own = own[own["attack_data"].notna()]
    is_base = own["attacker"] == BASES[kind]
    base = own[is_base]
    if base.empty:
        return own.assign(_axis="", _leakage=math.nan).iloc[:0]
    first = base.iloc[0]
    changes = pd.DataFrame(
        {
            # A smaller share and another source are both a change of the data.
            "data": (own["attack_data"] != first["attack_data"]) | own["attack_extra"],
            "capacity": own["attack_capacity"] != first["attack_capacity"],
            "architecture": own["attack_architecture"] != first["attack_architecture"],
            "loss": own["attack_loss"] != first["attack_loss"],
            "budget": own["attack_budget"].notna(),
        }
    )
    if pd.isna(first["attack_capacity"]):
        changes["capacity"] = own["attack_capacity"].notna()
    changed = changes.idxmax(axis=1).astype("str")
    axis = changed.where(changed != "architecture", "capacity")
    is_rung = (changes.sum(axis=1) == 1) & axis.isin(AXES[kind]) & ~is_base
    rows = own.assign(_axis=axis.where(~is_base, ""))[is_base | is_rung]
    leakage = _on_scale_of(rows, base)
    found: pd.DataFrame = rows.assign(_leakage=leakage)[np.isfinite(leakage)]
    return found


def is_ladder(rows: pd.DataFrame) -> bool:
    """Whether a family was made to measure strength.

    One that has only other losses and architectures was not: those are in every suite.
    """
    multiplied = (rows["_axis"] == "capacity") & (rows["attack_capacity"].fillna(1) != 1)
    return bool((rows["_axis"].isin(["data", "budget"]) | multiplied).any())


def _on_scale_of(rows: pd.DataFrame, base: pd.DataFrame) -> pd.Series:
    """Test leakage between the base's floor and ceiling; the stored leakage where they lack."""
    keys = ["encoder_id", "seed"]
    ends = base.drop_duplicates(keys)[[*keys, "floor", "ceiling"]]
    found = rows[keys].merge(ends, on=keys, how="left").set_index(rows.index)
    span = found["ceiling"] - found["floor"]
    leakage = ((rows["score/test"] - found["floor"]) / span.where(span > 0)).clip(0, 1)
    return leakage.fillna(rows["leakage/test"])


def rungs(rows: pd.DataFrame, axis: str) -> tuple[Rung, ...]:
    """The steps of one encoder along an axis, the base among them.

    Args:
        rows: What `family` returned, of one encoder.
        axis: `data`, `capacity`, `loss` or `budget`.

    Returns:
        By rising position, then categories; empty without the base, or with nothing beside it.
    """
    own = rows[rows["_axis"].isin(["", axis])]
    base = own[own["_axis"] == ""]
    if base.empty:
        return ()
    architecture = str(base["attack_architecture"].iloc[0])
    groups = (group for _, group in own.groupby("attacker", sort=False))
    found = [_rung(group, axis, architecture) for group in groups]
    kept = sorted((rung for rung in found if rung is not None), key=order)
    return tuple(kept) if len(kept) > 1 and any(rung.is_base for rung in kept) else ()


def order(rung: Rung) -> tuple[bool, float, int, str]:
    """A key by which numbers rise; then come losses as they grow, and architectures by name."""
    if not rung.category:
        return (False, rung.position, 0, "")
    known = [*LOSS_NAMES.values()]
    place = known.index(rung.category) if rung.category in known else len(known)
    return (True, 0.0, place, rung.category)


def _rung(group: pd.DataFrame, axis: str, architecture: str) -> Rung | None:
    """One attacker's seeds as one step; None where its place on the axis is not known."""
    first = group.iloc[0]
    is_base = first["_axis"] == ""
    spent = bool((group["saturated"] != True).fillna(True).any())  # noqa: E712 (nullable column)
    position, category, name, joined = math.nan, "", "", True
    if axis == "data":
        position, name = _data_step(first)
        joined = not first["attack_extra"]
    elif axis == "capacity" and (
        # Classifiers come in several makes, of one width each.
        first["attack_architecture"] != architecture or not first["attack_capacity"] > 0
    ):
        category = name = str(first["attack_architecture"]) or "not named"
        joined = False
    elif axis == "capacity":
        position = first["attack_capacity"]
        name = f"×{FRACTIONS.get(position, f'{position:g}')}"
    elif axis == "loss":
        category = name = LOSS_NAMES.get(first["attack_loss"], first["attack_loss"]) or "not named"
        joined = name.startswith("MSE")
    else:
        steps = group["steps"].mean()
        position = steps if math.isfinite(steps) else first["attack_budget"]
        until = "all its steps" if spent else "until saturated"
        name = f"{until} ({position:,.0f})" if is_base else f"{position:,.0f} steps"
    if not category and not position > 0:
        return None
    return Rung(
        name=name,
        attacker=str(first["attacker"]),
        position=float(position),
        category=category,
        leakages=tuple(float(value) for value in group["_leakage"]),
        selection=float(group["score/selection"].mean(skipna=False)),
        # That a budget was spent which was the point of the rung bounds nothing.
        bounded=spent and (axis != "budget" or is_base),
        is_base=is_base,
        joined=joined,
    )


def _data_step(row: pd.Series) -> tuple[float, str]:
    """Images that an attacker trained on, NaN if not known, and the step in words."""
    share, extra = float(row["attack_data"]), bool(row["attack_extra"])
    images = float(row["num_train"])
    if math.isnan(images) and not extra:
        images = share * float(row["num_public"])
    part = ("all" if share == 1 else f"{100 * share:g}%") + (" + another source" if extra else "")
    return images, f"{part} ({images:,.0f} images)" if images > 0 else part
