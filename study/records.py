"""What the search knows of each encoder, and who is told when something happens."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from search_spaces import Value
from study.jobs import Job, Role
from study.leakages import AttackFigures
from study.verification import Verdict

Status = Literal["running", "verified", "failed", "diverged", "collapsed", "dominated"]
Result = Mapping[str, Any]
UNCOUNTED: tuple[Role, ...] = ("labels", "confirmation")
"""Roles of encoders that do not count towards `study.num_encoders` and are on no frontier."""


@dataclass
class EncoderRecord:
    """One encoder from proposal to verdict.

    Attributes:
        protect: The job that trains it.
        role: Why it is measured.
        point: The searched values it stands for; empty for a baseline.
        numbers: The Optuna trials that wait for it; a point proposed twice is trained once.
        status: How far it got.
        reason: Why it has no verdict.
        protected: What its training ended with.
        attacks: Its attack jobs by key; None until it is trained.
        spared: How many more there would have been, had not another encoder beaten it already.
        attacked: What those that have ended ended with.
        confirms: Of a confirmation the encoder that it trains again, by identity.
        repeat: Which of its fresh trainings it is, from 1.
        verdict: What it leaks; of one that is dominated, what those attackers found that ran.
    """

    protect: Job
    role: Role
    point: Mapping[str, Value]
    numbers: list[int] = field(default_factory=list)
    status: Status = "running"
    reason: str = ""
    protected: Result | None = None
    attacks: dict[str, Job] | None = None
    spared: int = 0
    attacked: dict[str, Result] = field(default_factory=dict)
    verdict: Verdict | None = None
    confirms: str = ""
    repeat: int = 0

    @property
    def encoder_id(self) -> str:
        """Its identity."""
        return self.protect.encoder_id

    @property
    def label(self) -> str:
        """A few words for a person."""
        return self.protect.label

    @property
    def mean_mcc(self) -> float | None:
        """Its utility; None if its training has not ended well."""
        value = (self.protected or {}).get("utility/mean_mcc")
        return None if value is None else float(value)

    @property
    def objectives(self) -> tuple[float, float] | None:
        """What Optuna is told: (mean MCC, worst leakage), both of the selection split.

        The search chooses by these, so the test split must have no part in them.
        """
        utility = (self.protected or {}).get("utility/mean_mcc_selection")
        if utility is None or self.verdict is None:
            return None
        return float(utility), self.verdict.worst_selection

    def results(self) -> list[tuple[int, Result]]:
        """Every attacker's (seed, result), in the order of the jobs."""
        jobs = (self.attacks or {}).items()
        return [
            (job.seed, result)
            for key, job in jobs
            if key in self.attacked
            for result in self.attacked[key]["results"]
        ]


class Listener(Protocol):
    """Who follows a study: tracking and the live table.

    The search calls these on the driver, one at a time. On resume it tells again what is on disk,
    so whoever keeps something must recognise what it has.
    """

    def job_started(self, job: Job, record: EncoderRecord | None) -> None:
        """A trial was handed to Tune; `record` is None for a reference."""

    def job_progressed(self, job: Job, result: Result) -> None:
        """A running trial reported."""

    def job_finished(self, job: Job, result: Result) -> None:
        """A trial ended as it should."""

    def job_failed(self, job: Job, reason: str) -> None:
        """A trial failed for good."""

    def references_measured(self, figures: Mapping[str, list[AttackFigures]]) -> None:
        """All floors and ceilings are known: `constant` and `identity` → every attacker."""

    def encoder_verified(self, record: EncoderRecord) -> None:
        """The last attacker of an encoder has ended."""

    def confirmation_begins(self, records: Sequence[EncoderRecord]) -> None:
        """These encoders are trained again with fresh seeds."""

    def encoder_dominated(self, record: EncoderRecord) -> None:
        """An encoder is attacked no further: another one is better, whatever more were found."""

    def encoder_failed(self, record: EncoderRecord) -> None:
        """An encoder will have no verdict; its status and reason say why."""

    def warn(self, message: str) -> None:
        """Something the user should know now."""


class Listeners:
    """Tells several listeners, in order."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def job_started(self, job: Job, record: EncoderRecord | None) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.job_started(job, record)

    def job_progressed(self, job: Job, result: Result) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.job_progressed(job, result)

    def job_finished(self, job: Job, result: Result) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.job_finished(job, result)

    def job_failed(self, job: Job, reason: str) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.job_failed(job, reason)

    def references_measured(self, figures: Mapping[str, list[AttackFigures]]) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.references_measured(figures)

    def encoder_verified(self, record: EncoderRecord) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.encoder_verified(record)

    def confirmation_begins(self, records: Sequence[EncoderRecord]) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.confirmation_begins(records)

    def encoder_dominated(self, record: EncoderRecord) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.encoder_dominated(record)

    def encoder_failed(self, record: EncoderRecord) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.encoder_failed(record)

    def warn(self, message: str) -> None:
        """See `Listener`."""
        for listener in self._listeners:
            listener.warn(message)
