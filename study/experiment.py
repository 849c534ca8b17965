"""A paper's experiment on a cluster: its encoders as Ray tasks, its rows in the shared results."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from analysis.errors import AnalysisError
from analysis.rows import read_rows, report_path
from study.config import ResourcesConfig
from study.places import check_database, check_results, tracking_address
from trainables.errors import ConfigError, from_validation
from trainables.experiments.config import Experiment, load_experiment
from trainables.experiments.run import FOLDER, plan, run_experiment, wanted_units
from trainables.experiments.runner import Place, Unit
from trainables.reading import UNREADABLE, read_yaml

PART = "resources."


def run_on_ray(
    name: str, size: str, words: Sequence[str], results: str, console: Console, dry_run: bool
) -> int:
    """Runs what is missing of an experiment on $RAY_ADDRESS, or on a Ray that is started here.

    Args:
        name: The recipe.
        size: `tiny`, `small` or `paper`.
        words: `part.field=value`; of `resources`, a task holds the larger of what training and
            attacks ask for.
        results: Folder of all results, which every node must share.
        console: Where to tell how far it is.
        dry_run: Whether to say what there is to do, and do nothing.

    Returns:
        The exit code: 0, or 1 where something failed for good, or it was stopped.

    Raises:
        ConfigError: If something cannot be meant; nothing was started.
    """
    own = [word for word in words if word.startswith(PART)]
    resources = _resources(own)
    precision = [] if resources.precision == "fp32" else [f"precision={resources.precision}"]
    others = [word for word in words if word not in own]
    experiment = load_experiment(name, size, [*others, *precision])
    if "://" in results:
        raise ConfigError(
            f"--results {results}: a paper's experiment needs a folder that every node shares"
        )
    folder = Path(results).absolute()
    work = folder / FOLDER
    wanted = wanted_units(experiment)
    check_results(folder)
    tracking = tracking_address(folder)
    if not tracking.startswith(("http:", "https:")):
        check_database("MLFLOW_TRACKING_URI", tracking, create=False, near=folder)
    # Asked for in any case: a table that cannot be read is refused before Ray starts.
    planned = plan(experiment, wanted, work)
    for line in [*experiment.left_out, *(planned if dry_run else ())]:
        _say(console, line)
    if dry_run:
        return 0
    try:
        return _run(experiment, wanted, work, tracking, resources, console)
    except KeyboardInterrupt:
        _say(console, "stopped; the same command goes on from here")
        return 1


def _run(
    experiment: Experiment,
    wanted: Sequence[Unit],
    work: Path,
    tracking: str,
    resources: ResourcesConfig,
    console: Console,
) -> int:
    # Seconds that a dry run need not take.
    from study.experiment_runs import ExperimentRuns
    from study.mirror import Mirror
    from study.ray_pool import RayPool
    from study.sweep import check_nodes, check_shared, node_resources, start_ray
    from study.tracking import connect

    say = functools.partial(_say, console)
    work.mkdir(parents=True, exist_ok=True)
    told = ExperimentRuns(
        connect(tracking), tracking, experiment.name, experiment.size,
        work.parent / "mlartifacts" / f"{experiment.name}-{experiment.size}", say,
    )  # fmt: skip
    start_ray()
    check_nodes(resources, node_resources())
    check_shared(Mirror(work.parent, None))
    cpus = max(resources.cpus_per_protect, resources.cpus_per_attack)
    gpus = max(resources.gpus_per_protect, resources.gpus_per_attack)
    place = Place(lambda: RayPool(cpus, gpus), "cuda" if gpus > 0 else "cpu", cpus)
    path, failures = run_experiment(experiment, wanted, work, place, say, told.tell)
    say(f"rows: {path}")
    if path.is_file() and (report := _report(work, experiment.size, say)):
        say(f"report: {report}")
        told.tell(path, report)
    for line in failures:
        say(f"failed: {line}")
    if told.outage:
        say(f"MLflow lacks some of it ({told.outage}); the same command tells it the rest")
    return 1 if failures or told.outage else 0


def _report(work: Path, size: str, say: Callable[[str], None]) -> Path | None:
    """The papers' claims against all tables of a size; None where one cannot be read."""
    from analysis.reproduction_report import write_report  # it draws

    try:
        return write_report(read_rows(work, size), report_path(work, size))
    except AnalysisError as error:
        say(f"no report: {error}")
        return None


def _say(console: Console, line: str) -> None:
    # An error's own brackets are no markup, and a line is the reader's to wrap.
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _resources(words: Sequence[str]) -> ResourcesConfig:
    given = {}
    for word in words:
        key, _, text = word.removeprefix(PART).partition("=")
        try:
            given[key] = read_yaml(text)
        except UNREADABLE as error:
            raise ConfigError(f"{PART}{key}: {text[:200]!r} is not readable as YAML") from error
    try:
        parts = ResourcesConfig(**given)
    except ValidationError as error:
        raise from_validation("resources", error) from error
    if parts.precision == "auto":
        raise ConfigError("resources.precision: an experiment needs fp32 or bf16, got 'auto'")
    return parts
