"""How single figures are written in the report's tables."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Cell:
    """One cell of a table: what is shown, and what it is sorted by (None sorts last)."""

    text: str
    value: float | str | None = None
    flag: str = ""


def number_cell(
    value: float, signed: bool = False, flag: str = "", error: float = math.nan
) -> Cell:
    """A figure to three decimals; a dash without one.

    Args:
        value: The figure.
        signed: Whether its sign is always shown.
        flag: A CSS class of the cell; `bound` marks a lower bound.
        error: Its standard error, shown if it is known.
    """
    if not math.isfinite(value):
        return Cell("–")
    prefix = "≥ " if flag == "bound" else ""
    suffix = f" ± {error:.3f}" if math.isfinite(error) else ""
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return Cell(f"{prefix}{text}{suffix}", float(value), flag)


def percent(value: Any) -> str:
    """A share in per cent; a dash for what is no number."""
    return f"{value:.1%}" if isinstance(value, int | float) else "–"


def setting_cell(value: Any) -> Cell:
    """A setting to three digits, or its text."""
    if isinstance(value, str):
        return Cell(value or "–", value or None)
    return Cell(f"{value:.3g}", float(value)) if math.isfinite(value) else Cell("–")


def amount_cell(value: float) -> Cell:
    """A count or cost, thousands abbreviated."""
    if not math.isfinite(value):
        return Cell("–")
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= size:
            return Cell(f"{value / (size if size > 1e4 else 1e3):.3g}{suffix}", float(value))
    return Cell(f"{value:,.0f}" if value == int(value) else f"{value:.3g}", float(value))


def natural(label: str) -> str:
    """A key that sorts `#10` after `#2`."""
    return f"#{int(label[1:]):06d}" if label[1:].isdigit() and label[0] == "#" else label


def symbol(name: str) -> str:
    """A setting's name as the papers write it."""
    for word, letter in (("lambda", "λ"), ("mu", "μ"), ("alpha", "α"), ("sigma", "σ")):
        number = name.removeprefix(word)
        if name.startswith(word) and (number.isdigit() or not number):
            return letter + number
    return name.replace("_", " ")


def has_values(rows: pd.DataFrame, name: str) -> bool:
    """Whether a column is there and holds anything."""
    return name in rows and rows[name].nunique(dropna=True) > 0


def whole(value: float) -> str:
    """A whole number; a dash for none."""
    return "–" if not math.isfinite(value) else f"{value:.0f}"
