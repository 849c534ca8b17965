"""Rows of attacks with figures that are known by hand."""

from typing import Any

import pandas as pd

from analysis.contrasts import Cell
from analysis.rows import ExperimentRows

LOW, HIGH, OTHER = (Cell("t", name, "test", "weak") for name in ("a", "b", "c"))


def rows(figures: dict[str, list[float]], **changes: Any) -> ExperimentRows:
    """One attack row per figure, and an encoder's row for each; `changes` hold for encoder a."""
    table = []
    for encoder, values in figures.items():
        for seed, value in enumerate(values):
            own = changes if encoder == "a" else {}
            common = {"recipe": "t", "size": "small", "encoder": encoder, "seed": seed}
            status = own.get("status", "finished")
            table.append({**common, "role": "", "attacker": None, "status": status})
            saturated = own.get("saturated", True)
            table.append(
                {**common, "role": "weak", "attacker": "decoder", "saturated": saturated,
                 "test": value}
            )  # fmt: skip
    return ExperimentRows("small", pd.DataFrame(table), {})
