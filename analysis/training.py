"""How encoders were trained: the losses of every player by round (DeepObfuscator's Figure 6).

The service and the protector lower theirs against the adversary, who lowers its own against them.
Curves that still move when training ends say that nobody had settled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.drawing import LINES, STYLE, add_grid, of_split
from analysis.load import StudyTables
from analysis.pictures import compared_encoders
from analysis.records import encoder_labels

PREFIX, SUFFIX = "train/", "_loss"
OTHERS = ("adversary", "discriminator", "classifier")
"""Beginnings of the names of losses that the adversary's side lowers."""
SIDES = ("service and protector", "adversary")
SCORES = ("train/selection_mcc", "train/selection_in_loop_decoder",
          "train/selection_in_loop_attribute")  # fmt: skip
"""What is followed on the selection split beside the losses."""
SCORE_NAMES = {
    "train/selection_mcc": "mean MCC", "train/selection_in_loop_decoder": "in-loop decoder, SSIM",
    "train/selection_in_loop_attribute": "in-loop classifier, balanced accuracy",
}  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """One figure by round: its name, whose it is (`scores` or one of SIDES), steps and values."""

    name: str
    side: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class TrainingRecord:
    """All curves of one encoder's training."""

    label: str
    curves: tuple[Curve, ...]


def training_records(tables: StudyTables) -> tuple[TrainingRecord, ...]:
    """Those of the undefended and of the defended encoder whose pictures are compared, too."""
    labels = encoder_labels(tables.encoders)
    run_ids = dict(zip(tables.encoders["encoder_id"], tables.encoders["run_id"], strict=True))
    records = []
    for encoder_id in compared_encoders(tables.encoders):
        curves = _curves(tables, run_ids[encoder_id])
        if curves:
            records.append(TrainingRecord(labels[encoder_id], curves))
    return tuple(records)


def _curves(tables: StudyTables, run_id: str) -> tuple[Curve, ...]:
    names = tables.metric_names(run_id)
    losses = [
        name for name in names
        if name.startswith(PREFIX) and name.endswith(SUFFIX) and name.count("/") == 1
    ]  # fmt: skip
    found = []
    for name in [*losses, *(name for name in SCORES if name in names)]:
        history = tables.curve(run_id, name)
        history = history[pd.Series(history["value"]).abs() < float("inf")]
        if len(history) > 1:
            steps, values = history["step"].tolist(), history["value"].tolist()
            found.append(Curve(_shown(name), _side(name), tuple(steps), tuple(values)))
    return tuple(found)


def _side(name: str) -> str:
    if name in SCORES:
        return "scores"
    return SIDES[name.removeprefix(PREFIX).startswith(OTHERS)]


def _shown(name: str) -> str:
    own = SCORE_NAMES.get(name)
    return own or name.removeprefix(PREFIX).removesuffix(SUFFIX).replace("_", " ")


def draw_training(
    records: Sequence[TrainingRecord],
    images: Mapping[str, int] | None = None,
    narrow: bool = False,
) -> Figure:
    """A row per encoder: losses of the service's side, of the adversary's, and scores.

    Args:
        records: The encoders' curves.
        images: Images of each split, as far as known.
        narrow: Whether it is for a phone.
    """
    present = {curve.side for record in records for curve in record.curves}
    sides = [side for side in (*SIDES, "scores") if side in present]
    cells = [(record, side) for record in records for side in sides]
    columns = 1 if narrow else len(sides)
    rows = -(-len(cells) // columns)
    size = (4.0, 2.4 * rows + 0.3) if narrow else (3.2 * columns, 2.5 * rows + 0.3)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, (record, side) in zip(grid.flat, cells, strict=True):
            _draw(axes, record, side, images or {})
    return figure


def _draw(axes: Axes, record: TrainingRecord, side: str, images: Mapping[str, int]) -> None:
    add_grid(axes)
    own: list[Curve] = [curve for curve in record.curves if curve.side == side]
    for number, curve in enumerate(own):
        style: Any
        colour, style = LINES[number % len(LINES)]
        axes.plot(curve.steps, curve.values, color=colour, linestyle=style, linewidth=1.1,
                  label=curve.name)  # fmt: skip
    axes.set_title(f"{record.label}: {side}", loc="left", fontsize=8.5)
    axes.set_xlabel("training round", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.tick_params(labelsize=7.5)
    if side == "scores":
        axes.set_ylim(-0.05, 1.05)
        axes.set_ylabel(f"score\n{of_split('selection', images.get('selection'))}", fontsize=8)
    else:
        # The adversary's images are of the private or of the public split, as the method has it.
        batches = of_split("private", images.get("private")) if side == SIDES[0] else "(training)"
        axes.set_ylabel(f"mean loss since the last point\n{batches}", fontsize=8)
        if own and all(value > 0 for curve in own for value in curve.values):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(lambda value, _: "")
    if own:
        axes.legend(fontsize=6.5, loc="best")
    else:
        axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", fontsize=8)
