"""Cells and tables in Markdown."""

import statistics
from collections.abc import Sequence


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(heads), *lines[1:]])


def mean_and_spread(values: Sequence[float], digits: int = 3) -> str:
    """The mean and half the distance of the highest and the lowest; empty for no values."""
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    spread = (max(values) - min(values)) / 2
    return f"{statistics.fmean(values):.{digits}f} ± {spread:.{digits}f}"
