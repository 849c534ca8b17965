"""From a checked configuration to a finished study: open, prepare, run, conclude."""

import importlib
import logging
import os
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from rich.console import Console

from analysis.addresses import masked
from study.checks import (
    DATA_FILE,
    check_inputs,
    check_same_data,
    find_traces,
    open_tracking,
)
from study.config import StudyConfig
from study.delivery import PATIENCE_SECONDS, Delivery
from study.ending import conclude, go_on, has_ended, report_error
from study.faces import check_people, prepare_identity
from study.folder import write_json
from study.jobs import JobFactory
from study.journal import Journal
from study.lock import running_alone
from study.mirror import NODES_OWN
from study.more import with_total
from study.places import Places, check_resume
from study.precision import settle_precision
from study.progress import Plan, Progress
from study.proposals import Proposals
from study.provenance import note_start
from study.records import Listeners
from study.references import ReferenceScores
from study.search import VerifiedSearch
from study.spool import Spool
from study.sweep import (
    check_nodes,
    check_shared,
    cluster_resources,
    max_concurrent,
    node_resources,
    run_sweep,
    start_ray,
)
from study.tasks import check_batch_sizes, check_shares
from study.tracking import Runs, impatient
from study.trial import TrialFactory, make_trial
from trainables.attackers.suite import SUITE_VERSION
from trainables.checkpoint import write_text
from trainables.data.dataset import Dataset, load_dataset
from trainables.data.source import DataError
from trainables.errors import ConfigError

LOAD_AFTER = 30.0
"""Seconds after which the report's libraries are loaded: by then the trials' own are."""


@dataclass(frozen=True)
class Options:
    """How a study is run, as against what it is.

    Attributes:
        resume: Whether to go on with a study that exists.
        time_budget: Seconds after which no new encoder is started; None for no limit.
        confirm: Fresh trainings of each encoder of the frontier, and of those within their errors
            of it, once the search has ended.
    """

    resume: bool = False
    time_budget: float | None = None
    confirm: int = 0


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
        0 if every trial ended as it should; 1 if some did not, or the study was stopped by a
        person or by an error.

    Raises:
        ConfigError: Bad input; no trial has been started.
    """
    check_inputs(config)
    for name in ("mlflow", "alembic"):  # they announce every table they make
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with running_alone(places):
            return _run_locked(config, places, options, console, factory)
    except ConfigError:
        raise
    except KeyboardInterrupt:
        console.print(f"stopped; {go_on(config)}", markup=False, soft_wrap=True)
        return 1
    except Exception as error:
        report_error(error, config, places.folder, console)
        return 1


def until(seconds: float | None, clock: Callable[[], float] = time.monotonic) -> Callable[[], bool]:
    """Returns a function that is true for so many seconds; for ever if None."""
    if seconds is None:
        return lambda: True
    end = clock() + seconds
    return lambda: clock() < end


def _run_locked(
    config: StudyConfig,
    places: Places,
    options: Options,
    console: Console,
    factory: TrialFactory,
) -> int:
    folder, started = places.folder, time.monotonic()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    client = open_tracking(places)
    folder.take_over()
    check_resume(config, places, options.resume, *find_traces(places, client))
    config = with_total(config, folder)
    if not options.confirm and has_ended(config, folder, client, console):
        return 0
    start_ray()
    cpus, gpus = cluster_resources()
    check_nodes(config.resources, node_resources())
    check_shared(folder.mirror)
    dataset = _prepare_data(config, places, console)
    data = {**dataset.describe(), "suite_version": SUITE_VERSION}
    check_same_data(places, client, data, options.resume)
    check_people(config, dataset)
    check_shares(config, dataset)
    faces = prepare_identity(config, dataset, folder.cache, console)
    write_text(config.to_yaml(), folder.config)
    write_json(dict(data), folder.root / DATA_FILE)
    config = settle_precision(config, folder, console)
    folder.mirror.push(folder.config, folder.root / DATA_FILE, folder.precision)
    folder.mirror.push_folder(folder.cache, but=NODES_OWN, missing_only=True)
    for line in config.remarks():
        say(line)

    jobs = JobFactory(config, folder, data)
    proposals = Proposals(config, places.storage, say)
    runs = Runs(client, folder.name, folder.results / "mlartifacts" / folder.name)
    journal = Journal(runs, config, folder, data)
    if faces:
        journal.note("identity.json", faces)
    journal.note("provenance.json", note_start(folder))
    num_references = len(ReferenceScores(jobs, folder).waiting)
    slots = max_concurrent(config, cpus, gpus)
    plan = make_plan(config, jobs, slots, num_references)
    console.print(
        f"study {folder.name}: {plan.num_encoders} encoders, {plan.max_concurrent} trials at a "
        f"time, results in {folder}, MLflow at {masked(places.tracking)}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    # Within seconds it is known that a server is away; `Delivery` asks again for as long as it is.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    told = Delivery(journal, Spool(folder.spool), say)
    drawing = _load_what_draws()
    try:
        with Progress(plan, console) as progress:
            search = VerifiedSearch(
                jobs, folder, proposals, Listeners(told, progress),
                until(options.time_budget), slots, confirm=options.confirm,
            )  # fmt: skip
            told.replay()
            run_sweep(config, search, factory)
        untold = told.close(PATIENCE_SECONDS)
    except Exception as error:
        # First of all what happened: MLflow itself may be what does not answer.
        report_error(error, config, folder, console)
        with suppress(Exception), impatient():
            told.close(PATIENCE_SECONDS)
            journal.set_status("failed")
            journal.close("FAILED")
        return 1
    finally:
        drawing.cancel()
    if untold:
        say(
            f"MLflow was not told {untold} things; what was measured is in {folder}, points "
            f"of curves wait in {folder.spool}\n{go_on(config)}"
        )
        return 1
    if not search.finished:
        say(f"stopped; {go_on(config)}")
        with suppress(Exception), impatient():
            journal.close("KILLED")
        return 1
    return conclude(search, journal, config, places, console, started)


def _load_what_draws() -> threading.Timer:
    """Loads the report's libraries while trials run; it takes seconds."""
    loading = threading.Timer(LOAD_AFTER, importlib.import_module, ("analysis.rebuild",))
    loading.daemon = True
    loading.start()
    return loading


def make_plan(
    config: StudyConfig, jobs: JobFactory, concurrent: int, num_references: int | None = None
) -> Plan:
    """Counts the trials of a study.

    Args:
        config: The study.
        jobs: Makes its jobs.
        concurrent: Trials at a time.
        num_references: Reference trials still to be run; None counts all of them.
    """
    labels = int("labels" in config.study.baselines)
    attacks = jobs.suite.num_trials()
    references = num_references
    if references is None:
        references = len(jobs.references(jobs.all_references()))
    return Plan(config.study.num_encoders + labels, attacks, references, concurrent)


def _prepare_data(config: StudyConfig, places: Places, console: Console) -> Dataset:
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
        console.print(f"warning: {warning.message}", markup=False, highlight=False, soft_wrap=True)
    about = dataset.describe()
    if about["num_skipped"]:
        total = about["num_images"] + about["num_skipped"]
        console.print(
            f"{about['num_skipped']} of {total} images are unreadable and left out",
            highlight=False,
        )
    if about.get("num_extra_skipped"):
        console.print(
            f"{about['num_extra_skipped']} extra images are unreadable and left out",
            highlight=False,
        )
    check_batch_sizes(config, about["split_sizes"])  # smaller by the images that are unreadable
    return dataset
