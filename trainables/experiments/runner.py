"""Runs an experiment's encoders, here or wherever a pool of workers is: no Ray, no MLflow.

Every result is kept as soon as it is there, in a file named after all it depends on: what was
interrupted goes on, what two recipes share is done once, and nothing finished is done again.
"""

import functools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from trainables.experiments.config import Experiment, PlannedEncoder
from trainables.experiments.preparation import prepare
from trainables.experiments.progress import Progress, ProgressNote, read_progress, time_left
from trainables.experiments.store import EncoderFolder, encoder_folder, made

ATTACK_SEED = 1000
"""What is added to an encoder's seed for its attackers': they must not draw what it drew."""
WATCH_SECONDS = 1.0
"""Time between a worker's looks at whether its parent is still there."""
SAVE_SECONDS = 60.0
"""Time between the checkpoints of a trial."""
NEWS_SECONDS = 300.0
"""Longest time without a word of how far the running units are."""


@dataclass(frozen=True)
class Unit:
    """An encoder with one of its seeds: what one process does at a time."""

    encoder: PlannedEncoder
    seed: int

    @property
    def label(self) -> str:
        """As a user knows it."""
        return f"{self.encoder.name} (seed {self.seed})"


@dataclass(frozen=True)
class Place:
    """What computes.

    Attributes:
        pool: Makes the pool that runs units.
        device: `cpu` or `cuda`.
        threads: Threads of each unit.
    """

    pool: Callable[[], Executor]
    device: str
    threads: int

    @classmethod
    def here(cls, processes: int, device: str) -> "Place":
        """This machine: so many processes, which share its cores.

        A process takes no more threads than OMP_NUM_THREADS: two recipes beside each other, each
        with fewer processes than cores, would start more threads than there are cores.
        """
        spawn = multiprocessing.get_context("spawn")
        share = len(os.sched_getaffinity(0)) // processes
        # Of a list, one number per level of nesting, the first.
        most = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
        threads = max(1, min(share, int(most)) if most.isdecimal() and int(most) else share)
        parent = (os.getpid(),)

        def pool() -> Executor:
            return ProcessPoolExecutor(processes, spawn, initializer=_end_with, initargs=parent)

        return cls(pool, device, threads)


def _end_with(parent: int) -> None:
    """Lets a worker end with the process that started it, which may be killed without a word."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def units(experiment: Experiment, only: Sequence[str] = ()) -> list[Unit]:
    """What there is to do, every encoder's first seed before any second."""
    return [
        Unit(encoder, seed)
        for seed in range(experiment.seeds)
        for encoder in experiment.encoders
        if not only or encoder.name in only
    ]


def is_done(unit: Unit, work: Path) -> bool:
    """Whether nothing of a unit is missing."""
    return _folder(unit, work).done


def run_units(
    wanted: Sequence[Unit],
    work: Path,
    place: Place,
    say: Callable[[str], None],
    finished: Callable[[], None] = lambda: None,
) -> list[str]:
    """Trains and attacks what is missing.

    Args:
        wanted: What to do, in this order.
        work: Folder that keeps the results; one for all recipes.
        place: What computes.
        say: Is told how far it is.
        finished: Is called whenever units have ended.

    Returns:
        What failed, one line each. The rest was done all the same.
    """
    missing = [unit for unit in wanted if not is_done(unit, work)]
    if len(missing) < len(wanted):
        say(f"{len(wanted) - len(missing)} of {len(wanted)} were done before")
    prepare([unit.encoder for unit in missing], work / "cache", place.device, say)
    for unit in missing:  # a run that was killed leaves its notes
        _folder(unit, work).progress.unlink(missing_ok=True)
    failures: list[str] = []
    start = time.monotonic()
    run = functools.partial(run_unit, work=work, device=place.device, threads=place.threads)
    with place.pool() as pool:
        running: dict[Future[str], Unit] = {pool.submit(run, unit): unit for unit in missing}
        try:
            while running:
                ended, _ = wait(running, NEWS_SECONDS, FIRST_COMPLETED)
                news = [_outcome(running.pop(future), future, failures) for future in ended]
                if news:
                    finished()
                done, seconds = len(missing) - len(running), time.monotonic() - start
                notes = _at_work(running.values(), work)
                left = time_left(seconds, done, list(notes.values()), len(missing))
                working = "; ".join(f"{label} at {note}" for label, note in notes.items())
                for line in news or [working or "waiting for a free place"]:
                    say(f"{done}/{len(missing)} {line}{left}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failures


def _outcome(unit: Unit, future: "Future[str]", failures: list[str]) -> str:
    """What to say of a unit that has ended."""
    error = future.exception()
    if isinstance(error, BrokenProcessPool):
        raise error
    if error is not None:
        failures.append(f"{unit.label}: {type(error).__name__}: {error}")
    return f"{unit.label}: {'failed' if error is not None else future.result()}"


def _at_work(waiting: Iterable[Unit], work: Path) -> dict[str, Progress]:
    """How far those units are that are being run, by name."""
    notes = ((unit.label, read_progress(_folder(unit, work).progress)) for unit in waiting)
    return {label: note for label, note in notes if note is not None}


def run_unit(unit: Unit, work: Path, device: str, threads: int) -> str:
    """Trains one encoder and attacks it, as far as that is missing; says how it ended."""
    import torch

    torch.set_num_threads(threads)
    # Asked for before the work: a checkout may have another commit hours later.
    made()
    folder = _folder(unit, work)
    folder.path.mkdir(parents=True, exist_ok=True)
    # Another recipe, or another start of this one, may have the same encoder to do.
    with FileLock(folder.lock):
        _run_missing(unit, folder, work, device)
    return folder.summary()


def _run_missing(unit: Unit, folder: EncoderFolder, work: Path, device: str) -> None:
    note = ProgressNote(folder.progress, folder.untrained + len(folder.missing))
    probes = unit.encoder.probes.values()
    try:
        if folder.untrained:
            note.begin("training", 1)
            _train(unit, folder, work, device, note)
        while missing := folder.missing:
            # Who probes has other private attributes: no trial has both.
            alike = [name for name in missing if (name in probes) == (missing[0] in probes)]
            group = alike[: unit.encoder.attack.group]
            note.begin(group[0] if len(group) == 1 else f"{len(group)} attackers", len(group))
            _attack(unit, folder, group, work, device, note)
        if folder.unmeasured:
            note.begin("the codes", 0)
            _attack(unit, folder, (), work, device, note)
    finally:
        note.end()


def _train(unit: Unit, folder: EncoderFolder, work: Path, device: str, note: ProgressNote) -> None:
    from trainables.protect import ProtectTrial

    encoder = unit.encoder
    assert encoder.protector is not None
    config = {
        **_common(encoder, work, device),
        "protector": encoder.protector.model_dump(mode="json"),
        "seed": unit.seed,
        "output": str(folder.path),
    }
    _finish(ProtectTrial(config), folder.checkpoint(None), note, folder.keep_training)


def _attack(
    unit: Unit,
    folder: EncoderFolder,
    group: Sequence[str],
    work: Path,
    device: str,
    note: ProgressNote,
) -> None:
    from trainables.attack import AttackTrial
    from trainables.attackers.suite import named_attacker

    encoder = unit.encoder
    probing = bool(set(group) & set(encoder.probes.values()))
    first = not probing and not folder.attacks
    data = {"data": encoder.probed.model_dump(mode="json")} if encoder.probed and probing else {}
    config = {
        **_common(encoder, work, device),
        **data,
        "encoder": folder.reference,
        "attackers": [named_attacker(name).model_dump(mode="json") for name in group],
        "attack": encoder.attack.model_dump(mode="json"),
        "seed": ATTACK_SEED + unit.seed,
        "output": str(folder.path / "pictures"),
        "in_loop": first and encoder.protector is not None,
        "people": folder.unmeasured,
    }
    _finish(AttackTrial(config), folder.checkpoint(group), note, folder.keep_attacks)


def _common(encoder: PlannedEncoder, work: Path, device: str) -> dict[str, Any]:
    return {
        "data": encoder.data.model_dump(mode="json"),
        "model": encoder.model.model_dump(mode="json"),
        "precision": encoder.precision,
        "cache": str(work / "cache"),
        "device": device,
    }


def _finish(
    trial: Any, checkpoint: Path, note: ProgressNote, keep: Callable[[dict[str, Any]], None]
) -> None:
    """Steps a trial to its end, from where it was left, and keeps its last report.

    A trial that was interrupted goes on from its checkpoint with the numbers it would have had.
    """
    if checkpoint.exists():
        trial.load(checkpoint)
        note.resume()
    saved = time.monotonic()
    while not (report := trial.step())["done"]:
        note.reach(report["progress"])
        if time.monotonic() - saved > SAVE_SECONDS:
            trial.save(checkpoint)
            saved = time.monotonic()
    keep(dict(report))
    # Only now: a result that could not be written is not computed again from the start.
    checkpoint.unlink(missing_ok=True)


def _folder(unit: Unit, work: Path) -> EncoderFolder:
    return encoder_folder(unit.encoder, unit.seed, work)
