"""What `--dry-run` prints: the resolved configuration, the trials, and what they would cost."""

import shutil
from pathlib import Path

from rich.console import Console
from rich.table import Table

from study.checks import check_inputs, find_traces, look_at_tracking
from study.config import StudyConfig
from study.confirmation_plan import print_confirmation
from study.estimate import Estimate, estimate
from study.jobs import JobFactory
from study.launch import make_plan
from study.more import with_total
from study.places import Places, check_results, check_resume
from study.progress import Plan
from study.sweep import check_resources, cluster_address, knock, max_concurrent, num_cores

PLACEHOLDER = {
    "content_hash": "",
    "splits_hash": "",
    "extra_hash": "",
    "height": 0,
    "width": 0,
    "utility": [],
    "private": [],
}


def print_plan(
    config: StudyConfig, places: Places, console: Console, resume: bool = False, confirm: int = 0
) -> None:
    """Checks what can be checked without leaving a trace, and prints the plan.

    Args:
        config: What to study.
        places: Where its results would go.
        console: Where to print.
        resume: Whether a study that exists would be gone on with.
        confirm: Fresh trainings that would be asked for of each encoder worth it.

    Raises:
        ConfigError: As the study itself would.
    """
    check_inputs(config)
    check_results(places.folder.results)
    client = look_at_tracking(places)
    places.folder.take_over()
    check_resume(config, places, resume, *find_traces(places, client))
    config = with_total(config, places.folder)
    cpus, gpus = float(num_cores()), float(_num_gpus())
    cluster = cluster_address()
    if cluster is None:
        check_resources(config.resources, cpus, gpus)
    else:
        knock(cluster)
    jobs = JobFactory(config, places.folder, PLACEHOLDER)
    plan = make_plan(config, jobs, max_concurrent(config, cpus, gpus))
    console.print(config.to_yaml(), markup=False, highlight=False, soft_wrap=True)
    for line in config.remarks():
        console.print(f"{line}\n", markup=False, highlight=False, soft_wrap=True)
    if cluster is not None:
        console.print(
            f"RAY_ADDRESS: the cluster at {cluster} answers; its cores and devices are not looked "
            "at, the time below is reckoned with this machine's\n",
            markup=False, highlight=False, soft_wrap=True,
        )  # fmt: skip
    console.print(_table(config, jobs, plan))
    console.print(_costs(estimate(config, jobs, plan), plan, places), highlight=False)
    if confirm:
        print_confirmation(config, places, client, confirm, plan.max_concurrent, console)
    console.print("dry run: nothing was started, nothing was written")


def _table(config: StudyConfig, jobs: JobFactory, plan: Plan) -> Table:
    table = Table(title="trials, in this order", title_justify="left")
    table.add_column("what")
    table.add_column("trials", justify="right")
    suite = ", ".join(jobs.suite.attackers)
    table.add_row(f"floor and ceiling of {suite} (once per data set)", str(plan.num_references))
    baselines = jobs.baselines()
    counted = 0
    for role, job in baselines:
        if role == "labels" or counted < config.study.num_encoders:
            counted += role != "labels"
            table.add_row(f"train {job.label} ({role})", "1")
    left = config.study.num_encoders - counted
    defaults = config.joint.default_points()
    for point in defaults[: max(0, left)]:
        table.add_row(f"train {jobs.searched(point).label} (default)", "1")
    if left > len(defaults):
        table.add_row(_proposed(config), str(left - len(defaults)))
    table.add_row(
        f"attack each encoder once it is frozen ({plan.attacks_per_encoder} trial(s) each)",
        str(plan.num_encoders * plan.attacks_per_encoder),
    )
    return table


def _proposed(config: StudyConfig) -> str:
    """Of which protectors Optuna proposes encoders, and over what."""
    over = [
        f"{name if len(config.spaces) > 1 else ''} "
        + (", ".join(dotted.split(".", 1)[1] for dotted in space.searched()) or "nothing")
        for name, space in config.spaces.items()
    ]
    return (
        f"train {', '.join(config.protectors)} encoders proposed by {config.study.sampler} over "
        + "; ".join(text.strip() for text in over)
    )


def _costs(estimated: Estimate, plan: Plan, places: Places) -> str:
    seconds = estimated.seconds / plan.max_concurrent
    free = shutil.disk_usage(_existing(places.folder.results)).free
    return (
        f"time: about {_readable(seconds)}, {plan.max_concurrent} trials at a time (measured on "
        f"this machine: {estimated.basis}; attackers stop when they saturate)\n"
        f"disk: about {estimated.megabytes:.0f} MB in {places.folder.results}, "
        f"{free / 2**20:.0f} MB are free"
    )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _readable(seconds: float) -> str:
    if seconds < 5400:
        return f"{max(1, round(seconds / 60))} min"
    return f"{seconds / 3600:.1f} h"


def _num_gpus() -> int:
    import torch

    return torch.cuda.device_count()
