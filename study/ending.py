"""How a study ends: what failed, the report, and what to do where an error stopped it."""

import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console

from analysis.addresses import masked
from study.config import StudyConfig
from study.folder import StudyFolder, write_json
from study.importances import importances
from study.journal import Journal
from study.mirror import NODES_OWN
from study.places import Places
from study.search import VerifiedSearch
from study.since import Ends
from study.tracking import Client, study_status
from trainables.checkpoint import write_text


def report_error(
    error: Exception, config: StudyConfig, folder: StudyFolder, console: Console
) -> None:
    """Says in one line what stopped a study; the traceback goes to a file."""
    text = masked((str(error).strip() or "no message").splitlines()[0])
    console.print(
        f"the study was stopped by an error: {type(error).__name__}: {text}\n{go_on(config)}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    with suppress(OSError):
        path = folder.error("driver")
        write_text(masked("".join(traceback.format_exception(error))), path)
        folder.mirror.push(path)
        console.print(f"details: {path}", markup=False, highlight=False, soft_wrap=True)


def go_on(config: StudyConfig) -> str:
    """Says how a study that was stopped is gone on with."""
    return f"go on with: python study/run.py {config.recipe} … --resume"


def has_ended(config: StudyConfig, folder: StudyFolder, client: Client, console: Console) -> bool:
    """Whether there is nothing left to do, and MLflow knows; says so then.

    A scheduler may start a study that is complete as often as it likes: that takes seconds.
    """
    report = folder.root / "report.html"
    if (
        not Ends(folder).has_all(config)
        or folder.spool.exists()
        or not report.is_file()
        or study_status(client, folder.name) != "finished"
    ):
        return False
    console.print(
        f"nothing is left to do: {folder.name} has its {config.study.num_encoders} encoders "
        f"(more: study.num_encoders=+N); report: {folder}/report.html",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    return True


@contextmanager
def _said_only(say: Callable[[str], None], what: str) -> Iterator[None]:
    """Lets an estimate that fails cost no more than itself."""
    try:
        yield
    except Exception as error:
        say(f"{what}: {type(error).__name__}: {masked(str(error))}")


def conclude(
    search: VerifiedSearch,
    journal: Journal,
    config: StudyConfig,
    places: Places,
    console: Console,
    started: float,
) -> int:
    """Names what failed, writes the report and keeps it with the study's run.

    Args:
        search: The search, finished.
        journal: Told everything.
        config: The study.
        places: Where results are.
        console: Where to print.
        started: `time.monotonic()` when the study was started.

    Returns:
        The exit code.
    """
    folder = places.folder

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    ends = Ends(folder)
    ends.note_size(search.num_started)
    failures = search.failures
    for failure in failures:
        say(f"failed for good: {failure}")
    if failures:
        say("--resume tries again what failed; what diverged would do so again")
    for encoder in search.collapsed:
        say(f"collapsed, and so neither attacked nor on the frontier: {encoder}")
    health = search.health
    unwell = () if health is None else health.failures
    if unwell:
        say("the attackers are not well, so that the leakages of this study prove nothing:")
    for check in unwell:
        say(
            f"  {check.check} of {check.attacker}: {check.value:.3f}, needed {check.needed}"
            f" ({check.note})"
        )
    if search.num_not_started:
        say(f"not started: {search.num_not_started} encoders; --resume goes on with them")
    try:
        if health is not None:
            journal.note("health.json", health.dump())
        mattered: dict[str, Any] = {}
        with _said_only(say, "which searched values mattered is not known"):
            mattered = importances(search.proposed, config.protector_name)
        journal.note("importances.json", mattered)
        journal.set_status("finished")
        from analysis.rebuild import rebuild  # it draws: not to be loaded before trials run

        report, summary = rebuild(folder.name, folder.results, places.tracking)
        all_well = not (failures or unwell or search.num_not_started)
        since = ends.note(
            search.num_started, summary, len(failures), started, config if all_well else None
        )
        summary = json.loads(json.dumps({**summary, "since_last_end": since.dump()}))
        write_json(summary, folder.root / "summary.json")
        journal.note_end(since)
        for path in (
            report,
            folder.root / "frontier.parquet",
            folder.root / "summary.json",
        ):
            journal.keep(path)
        journal.close("FINISHED")
        folder.mirror.push_folder(folder.root, but=NODES_OWN)
        folder.mirror.push_folder(folder.root / "figures")
    except Exception as error:
        text = masked((str(error).strip() or type(error).__name__).splitlines()[0])
        say(f"all trials are done, but there is no complete report: {text}")
        say(f"rebuild it with: python -m analysis {folder.name} --results {folder.results}")
        with suppress(OSError):
            write_text(masked(traceback.format_exc()), folder.error("driver"))
        return 1
    counts = f"{summary['num_verified']} encoders verified, {summary['frontier_size']} of them on"
    if summary["num_dominated"]:
        counts = f"{summary['num_dominated']} encoders dominated early, {counts}"
    say(f"{counts} the frontier; report: {folder}/report.html")
    say(since.sentence())
    return 1 if failures or unwell else 0
