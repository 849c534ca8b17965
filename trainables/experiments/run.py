"""Runs an experiment and keeps its table: what every command line that starts one shares."""

from collections.abc import Callable, Sequence
from pathlib import Path

from trainables.errors import ConfigError
from trainables.experiments.config import Experiment
from trainables.experiments.preparation import check
from trainables.experiments.rows import describe, rows, write_rows
from trainables.experiments.runner import Place, Unit, is_done, run_units, units

FOLDER = "reproduction"
"""Of all experiments, in the results folder."""


def wanted_units(experiment: Experiment, only: Sequence[str] = ()) -> list[Unit]:
    """Checks an experiment and says what it is made of.

    Args:
        experiment: The experiment.
        only: Names of encoders; none means all.

    Raises:
        ConfigError: As `check`, or if an encoder of that name is not in it.
    """
    names = [encoder.name for encoder in experiment.encoders]
    for name in only:
        if name not in names:
            raise ConfigError(f"--only {name}: no such encoder; known: {', '.join(names)}")
    check(experiment.encoders)
    return units(experiment, only)


def plan(wanted: Sequence[Unit], work: Path) -> list[str]:
    """What there is to do, a line for each encoder and seed."""
    lines = []
    for unit in wanted:
        attackers = (*unit.encoder.attack.suite, *unit.encoder.probes.values())
        state = "done" if is_done(unit, work) else "to do"
        by = f"attacked by {', '.join(attackers)}" if attackers else "not attacked"
        lines.append(f"{unit.label}: {state}; {by}")
    return lines


def run_experiment(
    experiment: Experiment,
    wanted: Sequence[Unit],
    work: Path,
    place: Place,
    say: Callable[[str], None],
    kept: Callable[[Path], None] = lambda path: None,
) -> tuple[Path, list[str]]:
    """Runs what is missing and writes the table anew after each encoder.

    Args:
        experiment: The experiment.
        wanted: What of it to run.
        work: Folder of all experiments.
        place: What computes.
        say: Is told how far it is.
        kept: Is told of the table whenever it was written.

    Returns:
        The table, and what failed, one line each.
    """
    path = work / f"{experiment.name}-{experiment.size}.parquet"
    settings = {encoder.name: describe(encoder) for encoder in experiment.encoders}

    def keep() -> None:
        found = rows(experiment, work)
        if found:
            write_rows(found, settings, path)
            kept(path)

    failures = run_units(wanted, work, place, say, keep)
    keep()
    return path, failures
