"""Rebuilds what the analysis makes of a study: `python -m analysis STUDY`."""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.choice import Aim, Wish
from analysis.drawing import render, save_figure
from analysis.load import AnalysisError, StudyTables, load_study
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis",
        description="Rebuild the tables, figures and report of a study from what MLflow holds.",
    )
    parser.add_argument("study", metavar="STUDY", help="name of the study")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR",
        help="results folder; everything is written to DIR/STUDY/ (default: results)",
    )  # fmt: skip
    parser.add_argument(
        "--tracking-uri", metavar="URI",
        help="MLflow's address (default: $MLFLOW_TRACKING_URI, else sqlite:///DIR/mlflow.db)",
    )  # fmt: skip
    parser.add_argument(
        "--utility-floor", type=float, metavar="MCC",
        help="recommend the least leaking encoder of at least this mean MCC, -1 to 1 (default: "
        "study.utility_floor, if the study has one)",
    )  # fmt: skip
    parser.add_argument(
        "--leakage-ceiling", type=float, metavar="LEAKAGE",
        help="recommend the most useful encoder of at most this worst leakage, 0 to 1",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    wishes = []
    bounds: tuple[tuple[Aim, float | None, float], ...] = (
        ("utility floor", options.utility_floor, -1.0),
        ("leakage ceiling", options.leakage_ceiling, 0.0),
    )
    for aim, bound, low in bounds:
        if bound is not None and not low <= bound <= 1:
            parser.error(f"--{aim.replace(' ', '-')}: from {low:g} to 1, got {bound:g}")
        if bound is not None:
            wishes.append(Wish(aim, bound))
    results = options.results.resolve()
    uri = (
        options.tracking_uri
        or os.environ.get("MLFLOW_TRACKING_URI")
        or f"sqlite:///{results / 'mlflow.db'}"
    )
    # MLflow would try for minutes to reach a server that is not there.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    try:
        report, facts = rebuild(options.study, results, uri, wishes)
    except AnalysisError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{facts['num_verified']} of {facts['num_encoders']} encoders verified, "
        f"{facts['frontier_size']} on the frontier, hypervolume {facts['hypervolume']:.3f}"
    )
    if facts["health_passed"] is False:
        print("the attackers failed health checks: these leakages prove nothing")
    made = ["encoders.parquet", "attacks.parquet", "frontier.parquet", "study.yaml"]
    paths = [report.parent / name for name in made]
    for path in [*paths, *sorted((report.parent / "figures").iterdir()), report]:
        if path.exists():
            print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
