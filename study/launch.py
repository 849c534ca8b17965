"""From a checked configuration to a finished study: open, prepare, run, conclude."""

import json
import logging
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from analysis.__main__ import rebuild
from study.config import StudyConfig
from study.errors import ConfigError
from study.folder import write_json
from study.jobs import JobFactory
from study.journal import Journal
from study.places import Places, check_database, check_resume, has_proposals
from study.progress import Plan, Progress
from study.proposals import Proposals
from study.records import Listeners
from study.search import VerifiedSearch, until
from study.sweep import (
    check_resources,
    cluster_resources,
    max_concurrent,
    run_sweep,
    start_ray,
)
from study.tracking import Runs, connect, has_study
from study.trial import TrialFactory, make_trial
from trainables.checkpoint import write_text
from trainables.data.dataset import check_source, load_dataset
from trainables.data.source import DataError


@dataclass(frozen=True)
class Options:
    """How a study is run, as against what it is.

    Attributes:
        resume: Whether to go on with a study that exists.
        time_budget: Seconds after which no new encoder is started; None for no limit.
    """

    resume: bool = False
    time_budget: float | None = None


def check_data(config: StudyConfig) -> None:
    """Checks files, attributes and splits without decoding an image.

    Raises:
        ConfigError: As `check_source` words it.
    """
    try:
        check_source(config.data)
    except DataError as error:
        raise ConfigError(str(error)) from error


def run_study(
    config: StudyConfig,
    places: Places,
    options: Options,
    console: Console,
    factory: TrialFactory = make_trial,
) -> int:
    """Runs a study to its report.

    Args:
        config: What to study.
        places: Where its results go.
        options: How to run it.
        console: Where to print.
        factory: Builds the trials; another one in tests.

    Returns:
        0 if every trial ended as it should, 1 if some failed for good or the study was stopped.

    Raises:
        ConfigError: Bad input; no trial has been started.
    """
    check_data(config)
    for name in ("mlflow", "alembic"):  # they announce every table they make
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        places.folder.results.mkdir(parents=True, exist_ok=True)
        lock = FileLock(places.folder.lock, timeout=0)
        with lock:
            return _run_locked(config, places, options, console, factory)
    except Timeout as error:
        raise ConfigError(
            f"study.name: {config.study.name!r} is being run by another process (its lock is "
            f"{places.folder.lock})"
        ) from error
    except PermissionError as error:
        raise ConfigError(f"--results: cannot write there: {error}") from error


def _run_locked(
    config: StudyConfig,
    places: Places,
    options: Options,
    console: Console,
    factory: TrialFactory,
) -> int:
    folder = places.folder
    check_database("study.storage", places.storage)
    if not places.tracking.startswith(("http:", "https:")):
        check_database("MLFLOW_TRACKING_URI", places.tracking)
    client = connect(places.tracking)
    traces = [f"MLflow at {places.tracking}"] if has_study(client, folder.name) else []
    traces += [f"Optuna at {places.storage}"] if has_proposals(places) else []
    check_resume(config, places, options.resume, traces)
    start_ray()
    cpus, gpus = cluster_resources()
    check_resources(config.resources, cpus, gpus)
    data = _prepare_data(config, places, console)
    write_text(config.to_yaml(), folder.config)
    for cut_point in config.left_out:
        console.print(f"cut point {cut_point} is left out: it does not fit the image size")

    jobs = JobFactory(config, folder, data)
    proposals = Proposals(config, places.storage)
    runs = Runs(client, folder.name, folder.results / "mlartifacts" / folder.name)
    journal = Journal(runs, config, folder, data)
    plan = make_plan(config, jobs, max_concurrent(config, cpus, gpus))
    console.print(
        f"study {folder.name}: {plan.num_encoders} encoders, {plan.max_concurrent} trials at a "
        f"time, results in {folder.root}, MLflow at {places.tracking}",
        highlight=False,
        soft_wrap=True,
    )
    may_start = until(options.time_budget)
    try:
        with Progress(plan, console) as progress:
            listeners = Listeners(journal, progress)
            search = VerifiedSearch(jobs, folder, proposals, listeners, may_start)
            run_sweep(config, search, factory)
    except Exception:
        journal.set_status("failed")
        journal.close("FAILED")
        console.print(traceback.format_exc(), markup=False, highlight=False)
        return 1
    if not search.finished:
        journal.close("KILLED")
        console.print(f"stopped; go on with: python study/run.py {config.recipe} … --resume")
        return 1
    return _conclude(search, journal, places, console)


def make_plan(config: StudyConfig, jobs: JobFactory, concurrent: int) -> Plan:
    """Counts the trials of a study."""
    labels = int("labels" in config.study.baselines)
    attacks = jobs.suite.num_trials()
    return Plan(config.study.num_encoders + labels, attacks, 2 * attacks, concurrent)


def _prepare_data(config: StudyConfig, places: Places, console: Console) -> Mapping[str, Any]:
    """Builds or verifies the image store once, before any trial opens it."""

    def report(done: int, total: int) -> None:
        if done == total or done % 2000 == 0:
            console.print(f"preparing images: {done}/{total}", highlight=False)

    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            dataset = load_dataset(config.data, places.folder.cache, verify=True, progress=report)
    except DataError as error:
        raise ConfigError(str(error)) from error
    for warning in caught:
        console.print(f"warning: {warning.message}", markup=False, highlight=False)
    return dataset.describe()


def _conclude(search: VerifiedSearch, journal: Journal, places: Places, console: Console) -> int:
    """Writes the report and keeps it with the study's run."""
    folder = places.folder
    journal.set_status("finished")
    report, summary = rebuild(folder.name, folder.results, places.tracking)
    write_json(json.loads(json.dumps(summary)), folder.root / "summary.json")
    for path in (
        report,
        folder.root / "frontier.parquet",
        folder.root / "summary.json",
    ):
        journal.keep(path)
    journal.close("FINISHED")
    for failure in search.failures:
        console.print(f"failed for good: {failure}", markup=False, highlight=False)
    counts = f"{summary['num_verified']} encoders verified, {summary['frontier_size']} of them on"
    console.print(f"{counts} the frontier; report: {report}", highlight=False, soft_wrap=True)
    return 1 if search.failures else 0
