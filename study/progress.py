"""What a person sees while a study runs: a live table on a terminal, plain lines elsewhere."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis.pareto import non_dominated
from study.jobs import Job
from study.leakages import AttackFigures
from study.records import UNCOUNTED, EncoderRecord, Result

MAX_FRONTIER_ROWS = 8


@dataclass(frozen=True)
class Plan:
    """How many trials of each kind a study is made of, and how many run at a time."""

    num_encoders: int
    attacks_per_encoder: int
    num_references: int
    max_concurrent: int

    def totals(self) -> dict[str, int]:
        """Trials by kind, those that are done included."""
        return {
            "protect": self.num_encoders,
            "attack": self.num_encoders * self.attacks_per_encoder,
            "reference": self.num_references,
        }


@dataclass
class _Running:
    job: Job
    started: float
    progress: float = 0.0


@dataclass
class _Tally:
    """Durations of the trials of one kind that this process has seen from start to end."""

    done: int = 0
    seconds: list[float] = field(default_factory=list)


class Progress:
    """A listener that prints. Use as a context manager around the sweep.

    Args:
        plan: What there is to do.
        console: Where to print; a live table if it is a terminal.
        clock: Seconds; another one in tests.
    """

    def __init__(
        self, plan: Plan, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan = plan
        self._console = console
        self._clock = clock
        self._start = clock()
        self._running: dict[str, _Running] = {}
        self._tally = {kind: _Tally() for kind in plan.totals()}
        self._verified: list[EncoderRecord] = []
        self._num_concluded = 0
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self.render, console=self._console, refresh_per_second=2
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def job_started(self, job: Job, record: EncoderRecord | None) -> None:
        """Puts a trial among the running ones."""
        self._running[job.key] = _Running(job, self._clock())

    def job_progressed(self, job: Job, result: Result) -> None:
        """Notes how far a trial is."""
        running = self._running.get(job.key)
        if running is not None:
            running.progress = float(result.get("progress", running.progress))

    def job_finished(self, job: Job, result: Result) -> None:
        """Prints a finished trial's figures."""
        if self._drop(job):
            self._say(f"{_verb(job)} {job.label}: {_figures(job, result)}")

    def job_failed(self, job: Job, reason: str) -> None:
        """Prints why a trial failed for good."""
        self._drop(job)
        self._say(f"FAILED {_verb(job)} {job.label}: {reason}")

    def references_measured(self, figures: Mapping[str, list[AttackFigures]]) -> None:
        """Prints floor and ceiling of every attacker."""
        rows = [f"{f.attacker} {f.floor:.3f}..{f.ceiling:.3f}" for f in figures["identity"]]
        self._say("floor..ceiling: " + ", ".join(dict.fromkeys(rows)))

    def encoder_verified(self, record: EncoderRecord) -> None:
        """Prints a verdict."""
        verdict = record.verdict
        assert verdict is not None
        self._num_concluded += 1
        self._verified.append(record)
        doubt = "" if verdict.saturated else ", NOT saturated: a lower bound"
        self._say(
            f"verified {record.label}: mean MCC {record.mean_mcc:.3f}, worst leakage "
            f"{verdict.worst_leakage:.3f} ({verdict.worst_attacker}){doubt}"
        )

    def confirmation_begins(self, records: Sequence[EncoderRecord]) -> None:
        """Prints how many encoders are trained again, and counts them in."""
        total = self._plan.num_encoders + len(records)
        self._plan = dataclasses.replace(self._plan, num_encoders=total)
        which = {record.confirms for record in records}
        self._say(f"confirmation: {len(records)} fresh trainings of {len(which)} encoders")

    def encoder_dominated(self, record: EncoderRecord) -> None:
        """Prints which encoder is better, and how many attack trials that saves."""
        self._num_concluded += 1
        self._tally["attack"].done += record.spared
        self._say(f"dominated {record.label}: {record.reason}; spared trials: {record.spared}")

    def encoder_failed(self, record: EncoderRecord) -> None:
        """Prints why an encoder has no verdict."""
        self._num_concluded += 1
        # Known to the study, and no fault of it; but whoever looks at it should see.
        mark = "warning: " if record.status == "collapsed" else ""
        self._say(f"{mark}no verdict on {record.label}: {record.status}: {record.reason}")

    def warn(self, message: str) -> None:
        """Prints a warning."""
        self._say(f"warning: {message}")

    def seconds_left(self) -> float | None:
        """Estimate from the trials so far; None before there is anything to go by."""
        work = 0.0
        for kind, total in self._plan.totals().items():
            tally = self._tally[kind]
            running = [r for r in self._running.values() if r.job.kind == kind]
            waiting = max(0, total - tally.done - len(running))
            typical = self._typical_seconds(kind)
            if typical is None:
                if waiting or running:
                    return None
                continue
            work += waiting * typical
            work += sum(max(0.0, typical * (1 - r.progress)) for r in running)
        return work / self._plan.max_concurrent

    def frontier(self) -> list[EncoderRecord]:
        """The non-dominated encoders so far, the most useful one first.

        As in the report, one with an unsaturated attacker is not among them and dominates none.
        """
        records = [r for r in self._verified if r.role not in UNCOUNTED]
        points = [
            (r.mean_mcc or 0.0, r.verdict.worst_leakage, r.verdict.saturated)
            for r in records
            if r.verdict
        ]
        if not points:
            return []
        marked = non_dominated(*zip(*points, strict=True))
        best = [r for r, on in zip(records, marked, strict=True) if on]
        return sorted(best, key=lambda r: -(r.mean_mcc or 0.0))

    @property
    def num_lower_bounds(self) -> int:
        """Verified encoders that an unsaturated attacker keeps off the frontier."""
        records = [r for r in self._verified if r.role not in UNCOUNTED]
        return sum(not r.verdict.saturated for r in records if r.verdict)

    def render(self) -> RenderableType:
        """The live table."""
        running = Table(title="running", title_justify="left", expand=True)
        for column in ("trial", "progress", "time"):
            running.add_column(column)
        for entry in list(self._running.values()):
            text = f"{_verb(entry.job)} {entry.job.label}"
            bar = ProgressBar(total=1.0, completed=entry.progress, width=20)
            running.add_row(text, bar, _duration(self._clock() - entry.started))
        title = "best frontier so far"
        if self.num_lower_bounds:
            title += f" (without {self.num_lower_bounds} not saturated: lower bounds)"
        frontier = Table(title=title, title_justify="left", expand=True)
        for column in ("encoder", "mean MCC", "worst leakage", "worst attacker"):
            frontier.add_column(column)
        for record in self.frontier()[:MAX_FRONTIER_ROWS]:
            assert record.verdict is not None
            frontier.add_row(
                record.label,
                f"{record.mean_mcc:.3f}",
                f"{record.verdict.worst_leakage:.3f}",
                record.verdict.worst_attacker,
            )
        return Group(Text(self._state()), running, frontier)

    def _typical_seconds(self, kind: str) -> float | None:
        seconds = self._tally[kind].seconds
        if seconds:
            return sum(seconds) / len(seconds)
        now = self._clock()
        guesses = [
            (now - r.started) / r.progress
            for r in self._running.values()
            if r.job.kind == kind and r.progress > 0
        ]
        if guesses:
            return sum(guesses) / len(guesses)
        # Floors and ceilings are attacks too.
        other = {"attack": "reference", "reference": "attack"}.get(kind)
        known = self._tally[other].seconds if other else []
        return sum(known) / len(known) if known else None

    def _drop(self, job: Job) -> bool:
        """Takes a trial off the running ones; False if this process never ran it."""
        self._tally[job.kind].done += 1
        running = self._running.pop(job.key, None)
        if running is None:
            return False
        self._tally[job.kind].seconds.append(self._clock() - running.started)
        return True

    def _state(self) -> str:
        left = self.seconds_left()
        text = f"{self._num_concluded}/{self._plan.num_encoders} encoders"
        text += f", {_duration(self._clock() - self._start)}"
        return text + (f", about {_duration(left)} left" if left is not None else "")

    def _say(self, text: str) -> None:
        # Not markup, not highlighted: labels hold brackets, and a log is to be searched.
        self._console.print(
            f"[{self._state()}] {text}", markup=False, highlight=False, soft_wrap=True
        )


def _verb(job: Job) -> str:
    return {"protect": "train", "attack": "attack", "reference": "reference"}[job.kind]


def _figures(job: Job, result: Result) -> str:
    if job.kind == "protect":
        if result["status"] != "finished":
            return f"{result['status']}: {result.get('reason', '')}"
        text = f"mean MCC {result['utility/mean_mcc']:.3f}"
        if "in_loop/decoder" in result:
            text += f", in-loop SSIM {result['in_loop/decoder']:.3f}"
        if "in_loop/attribute" in result:
            text += f", in-loop balanced accuracy {result['in_loop/attribute']:.3f}"
        return text
    return ", ".join(f"{r['attacker']} {r['test']:.3f}" for r in result["results"])


def _duration(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
