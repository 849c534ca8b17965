"""Runs an experiment and keeps its table: what every command line that starts one shares."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.errors import ConfigError
from trainables.experiments.brought import Brought, Key, read_brought
from trainables.experiments.config import Experiment
from trainables.experiments.preparation import check
from trainables.experiments.rows import describe, rows, write_rows
from trainables.experiments.runner import Place, Unit, is_done, run_units, units
from trainables.seeding import file_hash

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


def plan(experiment: Experiment, wanted: Sequence[Unit], work: Path) -> list[str]:
    """What there is to do, a line for each encoder and seed.

    Raises:
        ConfigError: If what lies in the table's place is no table.
    """
    brought = _table(experiment, work).brought
    lines = []
    for unit in wanted:
        attackers = (*unit.encoder.attack.suite, *unit.encoder.probes.values())
        state = "to do"
        if is_done(unit, work):
            state = "done"
        elif _key(unit) in brought.units:
            state = "done (in the table)"
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
        wanted: What of it to run; not what the table in `work` holds already, wherever that was
            computed.
        work: Folder of all experiments.
        place: What computes.
        say: Is told how far it is.
        kept: Is told of the table whenever it was written.

    Returns:
        The table, and what failed, one line each.

    Raises:
        ConfigError: If what lies in the table's place is no table.
    """
    table = _table(experiment, work)
    brought = table.brought
    missing = [unit for unit in wanted if is_done(unit, work) or _key(unit) not in brought.units]
    if len(missing) < len(wanted):
        count = len(wanted) - len(missing)
        say(f"{count} of {len(wanted)} stand in {table.path.name}: computed elsewhere, kept")
    table.set_aside(work, say)

    def keep() -> None:
        found = rows(experiment, work, brought)
        if found:
            write_rows(found, table.settings, table.path)
            kept(table.path)

    failures = run_units(missing, work, place, say, keep)
    keep()
    return table.path, failures


@dataclass(frozen=True)
class _Table:
    """An experiment's table, as it stands before anything is run."""

    experiment: Experiment
    path: Path
    settings: Mapping[str, Any]
    brought: Brought

    def set_aside(self, work: Path, say: Callable[[str], None]) -> None:
        """Copies it to where nothing writes it over, if it has rows that would be lost."""
        found = rows(self.experiment, work, self.brought)
        here = {(row["encoder"], row["seed"], row["role"]) for row in found}
        lost = {
            "only a part": {
                key
                for key, part in self.brought.parts.items()
                if {(*key, row["role"]) for row in part} - here
            },
            "by other settings": self.brought.others,
        }
        if not any(lost.values()):
            return
        aside = self.path.with_suffix(f".before-{file_hash(self.path)[:8]}.parquet")
        shutil.copyfile(self.path, aside)
        named = "; ".join(
            f"{', '.join(f'{name} (seed {seed})' for name, seed in sorted(keys))}: {why}"
            for why, keys in lost.items()
            if keys
        )
        say(f"{self.path.name} has rows that do not stand ({named}); kept in {aside.name}")


def _table(experiment: Experiment, work: Path) -> _Table:
    path = work / f"{experiment.name}-{experiment.size}.parquet"
    settings = json.loads(json.dumps(describe(experiment.encoders)))
    return _Table(experiment, path, settings, read_brought(path, experiment, settings))


def _key(unit: Unit) -> Key:
    return unit.encoder.name, unit.seed
