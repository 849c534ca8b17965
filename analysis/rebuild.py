"""Rebuilds everything that the analysis makes of a study."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.choice import Wish
from analysis.drawing import render, save_figure
from analysis.load import StudyTables, load_study
from analysis.pictures import comparison, draw_comparison
from analysis.report import draw_figures, write_report
from analysis.tables import summary, write_tables


def rebuild(
    study: str, results_dir: Path, tracking_uri: str, wishes: Sequence[Wish] = ()
) -> tuple[Path, dict[str, Any]]:
    """Rebuilds tables, figures and report of a study under `results_dir/study/`.

    Writes `encoders.parquet`, `attacks.parquet`, `frontier.parquet`, `figures/*.png`,
    `figures/*.svg` and `report.html`, and `study.yaml` if it is not there but in MLflow.

    Args:
        study: Name of the study.
        results_dir: The results folder, which holds one folder per study.
        tracking_uri: MLflow's address.
        wishes: What somebody wants of an encoder; the report recommends one for each.

    Returns:
        Path of the report, and the summary of `analysis.tables.summary`.

    Raises:
        AnalysisError: There is no such study, or MLflow cannot be read.
    """
    tables = load_study(study, tracking_uri)
    out_dir = Path(results_dir) / study
    write_tables(tables, out_dir)
    _copy_config(tables, out_dir)
    figures = draw_figures(tables)
    pictures = comparison(tables)
    if pictures:
        save_figure(draw_comparison(pictures), out_dir / "figures", "reconstructions")
    drawn = {name: render(figure, "svg") for name, figure in figures.items()}
    for name, figure in figures.items():
        if not name.endswith("-narrow"):
            save_figure(figure, out_dir / "figures", name, drawn[name])
    return write_report(tables, out_dir, drawn, wishes), summary(tables)


def _copy_config(tables: StudyTables, out_dir: Path) -> None:
    stored = tables.artifact(tables.run_id, "study.yaml")
    if stored is not None and not (out_dir / "study.yaml").exists():
        shutil.copyfile(stored, out_dir / "study.yaml")
