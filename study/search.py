"""The search: Optuna's proposals, and the attack trials that each of them causes.

An encoder is one protect trial; once it is frozen it causes attack trials over the whole suite,
and only when the last of them has ended is Optuna told anything. Both kinds are ordinary trials of
one Tune experiment, so no trial waits for another while it holds a device.

All state is on disk: Optuna's storage, and one JSON file per finished trial. A resumed study is a
new search over the same folder; Tune's own restore is not used. A failure is not kept: what failed
is tried again by a resumed study, whose machine may have more memory, or whose disk more room.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from optuna.trial import FrozenTrial
from ray.tune.search import Searcher

from study.confirmation import Confirmations
from study.early_stopping import strongest_first
from study.failures import SILENT, explain
from study.folder import StudyFolder, read_json
from study.health import Health
from study.jobs import Job, JobFactory
from study.ledger import Ledger
from study.losses import MAX_LOSSES, Losses
from study.proposals import Proposals
from study.records import UNCOUNTED, EncoderRecord, Listener, Result
from study.references import ReferenceScores
from study.reports import EARLIER

MAX_REPEATS = 20
"""Proposals in a row that are known already before the space counts as exhausted."""
PATIENCE_SECONDS = 5.0
"""Time for a file that another node wrote to be seen here: network file systems keep for a few
seconds that a file was not there."""
NOT_VISIBLE = (
    "its result is not visible from the driver: is --results on storage that every node shares?"
)


class VerifiedSearch(Searcher):
    """Hands Tune one job after another, and tells Optuna of every encoder's verified leakage.

    Args:
        jobs: Makes the study's jobs.
        folder: Its files.
        proposals: Optuna's side.
        listener: Is told of everything that happens.
        may_start: Whether new encoders may still be started; asked before each.
        slots: Trials that Tune runs at a time.
        patience: Seconds to wait for the result of a trial that says it has ended.
        losses: Starts again what was lost with its process; another one in tests.
        confirm: Fresh trainings of each encoder worth confirming, once the search has ended.

    Attributes:
        records: Every encoder so far, by identity.
        finished: Whether everything there was to do has been done.
        error: What MLflow, Optuna or the disk raised here; the study cannot go on then.
    """

    def __init__(
        self,
        jobs: JobFactory,
        folder: StudyFolder,
        proposals: Proposals,
        listener: Listener,
        may_start: Callable[[], bool] = lambda: True,
        slots: int = 1,
        patience: float = PATIENCE_SECONDS,
        losses: Losses | None = None,
        confirm: int = 0,
    ) -> None:
        super().__init__()
        self.finished = False
        self.error: Exception | None = None
        self._jobs = jobs
        self._folder = folder
        self._proposals = proposals
        self._listener = listener
        self._may_start = may_start
        self._slots = slots
        self._patience = patience
        self._losses = Losses() if losses is None else losses
        self._confirmations = Confirmations(jobs, folder, confirm)
        self._running: dict[str, Job] = {}
        self._attacks: deque[Job] = deque()
        self._encoders: deque[Job] = deque()
        self._references = ReferenceScores(jobs, folder)
        self._broken_references: list[str] = []
        margin = jobs.config.study.early_stopping_margin
        self._ledger = Ledger(proposals, self._references, listener, margin)
        self.records = self._ledger.records
        self._exhausted = False
        self._restore()

    @property
    def running(self) -> list[Job]:
        """The jobs that Tune is running."""
        return list(self._running.values())

    @property
    def proposed(self) -> list[FrozenTrial]:
        """What Optuna knows: every point, with what came of it."""
        return self._proposals.trials()

    @property
    def failures(self) -> list[str]:
        """What did not end as it should, one line each: references, and encoders."""
        waiting = self._encoders
        return [
            *self._broken_references,
            *self._ledger.failures(lambda record: record.protect in waiting),
        ]

    @property
    def collapsed(self) -> list[str]:
        """The encoders that collapsed, one line each; they are no failures."""
        return self._ledger.collapsed

    @property
    def health(self) -> Health | None:
        """Whether the attackers are well; None as long as a floor or ceiling is missing."""
        return None if self._references.missing else self._references.health()

    @property
    def num_started(self) -> int:
        """Encoders that were started and count towards `study.num_encoders`."""
        waiting = sum(self.records[job.encoder_id].role not in UNCOUNTED for job in self._encoders)
        return self._ledger.num_started - waiting

    @property
    def num_not_started(self) -> int:
        """Encoders that are known but were not started, for want of time or of a reference."""
        return len(self._encoders)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Returns the next job's configuration, None to be asked later, or FINISHED."""
        if self.error is not None:
            raise self.error
        try:
            return self._suggest(trial_id)
        except Exception as error:
            self.error = error
            raise

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Hands a running trial's report on."""
        job = self._running.get(trial_id)
        if job is None:
            return
        try:
            self._pass_note(job, result)
            for report in (*result.get(EARLIER, ()), result):
                self._listener.job_progressed(job, report)
        except Exception as error:
            self.error = error
            raise

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Takes up a job that has ended.

        What counts is the file that the trial wrote. A trial without one has failed, unless it was
        only interrupted: that one goes on when the study is resumed.
        """
        job = self._running.pop(trial_id, None)
        if job is None or self.error is not None:
            return
        try:
            self._complete(job, result or {}, error)
        except Exception as problem:
            # Tune would take an exception from here for the trial's failure and go on without its
            # result: it is raised when the next trial is asked for.
            self.error = problem

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: all state is on disk."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: all state is on disk."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher for a restore that is not used here."""
        return {"_metric": None, "_mode": None}

    def _suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        job = self._next_job()
        if job is None and not self._running and not self._losses and self._begin_confirmation():
            job = self._next_job()
        if job is None:
            if self._running or self._losses:
                return None
            self.finished = True
            return str(Searcher.FINISHED)
        # An error of an earlier attempt must not explain the end of this one.
        self._folder.forget_error(job.key)
        self._running[trial_id] = job
        self._listener.job_started(job, self.records.get(job.encoder_id))
        kind = "protect" if job.kind == "protect" else "attack"
        return {
            "kind": kind,
            "key": job.key,
            "results": str(self._folder.results),
            "address": self._folder.address,
            "study": self._folder.name,
            "trial": dict(job.config),
        }

    def _complete(self, job: Job, result: Result, error: bool) -> None:
        self._pass_note(job, result)
        path = self._folder.trial(job.key)
        done = bool(result.get("done")) and not error
        self._folder.mirror.pull(path)
        stored = read_json(path, self._patience if done else 0.0)
        if stored is not None:
            self._absorb(job, stored)
        elif error:
            self._absorb_error(job, self._folder.reason(job.key))
        elif done:
            self._absorb_failure(job, NOT_VISIBLE)
        self._spare()

    def _pass_note(self, job: Job, result: Result) -> None:
        if result.get("note"):
            self._listener.warn(f"{job.label}: {result['note']}")

    def _restore(self) -> None:
        """Takes up what earlier runs of this study left."""
        for role, job in self._jobs.baselines():
            if role == "labels" or self._ledger.num_started < self._jobs.config.study.num_encoders:
                self._add(EncoderRecord(job, role, {}))
        for proposal in self._proposals.restore():
            job = self._jobs.searched(proposal.point)
            record = self.records.get(job.encoder_id)
            if record is None:
                record = self._add(EncoderRecord(job, "searched", proposal.point))
            if proposal.open:
                record.numbers.append(proposal.number)
        self._add_confirmations(self._confirmations.restored(self.records))
        for queue in (self._references.waiting, self._encoders, self._attacks):
            self._absorb_stored(queue)
        self._ledger.settle()
        self._spare()

    def _begin_confirmation(self) -> bool:
        """Whether there is something to confirm that was not begun yet."""
        if self._broken_references or not self._may_start():
            return False
        return self._add_confirmations(self._confirmations.begin(self.records))

    def _add_confirmations(self, records: Sequence[EncoderRecord]) -> bool:
        for record in records:
            self._add(record)
        if records:
            self._listener.confirmation_begins(records)
        return bool(records)

    def _absorb_stored(self, queue: deque[Job]) -> None:
        """Takes the jobs out of a queue whose results are on disk."""
        for job in list(queue):
            stored = read_json(self._folder.trial(job.key))
            if stored is not None and job in queue:
                queue.remove(job)
                self._absorb(job, stored)

    def _add(self, record: EncoderRecord) -> EncoderRecord:
        self.records[record.encoder_id] = record
        self._encoders.append(record.protect)
        return record

    def _next_job(self) -> Job | None:
        """What to do next: attacks teach Optuna soonest, then references, then new encoders.

        The last encoders go first, or most slots would stand empty while one is trained and only
        then attacked.
        """
        while True:
            may_start = not self._broken_references and self._may_start()
            if (lost := self._losses.rested()) is not None:
                job = lost
            elif self._attacks and not (may_start and self._are_last()):
                job = self._attacks.popleft()
            elif self._references.waiting:
                job = self._references.waiting.popleft()
            elif may_start and self._encoders:
                job = self._encoders.popleft()
            elif may_start and self._propose():
                continue
            elif self._attacks:
                job = self._attacks.popleft()
            else:
                return None
            stored = read_json(self._folder.trial(job.key))
            if stored is None:
                return job
            self._absorb(job, stored)

    def _are_last(self) -> bool:
        """Whether few encoders are left to start: half as many as there are slots."""
        left = len(self._encoders)
        if not self._exhausted:
            left += max(0, self._jobs.config.study.num_encoders - self._ledger.num_started)
        return 0 < left <= self._slots // 2

    def _propose(self) -> bool:
        """Asks Optuna for one more encoder; False if there are enough or no new ones."""
        if self._exhausted or self._ledger.num_started >= self._jobs.config.study.num_encoders:
            return False
        for _ in range(MAX_REPEATS):
            proposal = self._proposals.propose()
            job = self._jobs.searched(proposal.point)
            self._proposals.note_encoder(proposal.number, job.encoder_id)
            known = self.records.get(job.encoder_id)
            if known is None:
                record = self._add(EncoderRecord(job, "searched", proposal.point))
                record.numbers.append(proposal.number)
                return True
            known.numbers.append(proposal.number)
            self._ledger.tell(known)
        self._exhausted = True
        self._listener.warn(
            f"the last {MAX_REPEATS} proposals were encoders that exist already: the search space "
            f"is exhausted after {self._ledger.num_started} encoders"
        )
        return False

    def _absorb(self, job: Job, result: Result) -> None:
        """Takes up a job's final result, fresh or from disk."""
        self._listener.job_finished(job, result)
        if job.kind == "reference":
            self._references.absorb(job, result)
        elif job.kind == "protect":
            self._absorb_encoder(self.records[job.encoder_id], result)
        else:
            self.records[job.encoder_id].attacked[job.key] = result
        self._ledger.settle()

    def _spare(self) -> None:
        """Takes the attacks out of the queue whose encoders are dominated already."""
        for encoder_id in dict.fromkeys(job.encoder_id for job in self._attacks):
            record = self.records[encoder_id]
            if self._ledger.dominance(record) is None:
                continue
            assert record.attacks is not None
            spared = [job for job in self._attacks if job.encoder_id == encoder_id]
            self._attacks = deque(job for job in self._attacks if job.encoder_id != encoder_id)
            record.attacks = {k: job for k, job in record.attacks.items() if job not in spared}
            record.spared = len(spared)
        self._ledger.settle()

    def _absorb_error(self, job: Job, reason: str) -> None:
        count = self._losses.take(job) if reason == SILENT else 0
        if count:
            self._listener.warn(
                f"{job.label}: its process was lost; it is started again ({count} of {MAX_LOSSES})"
            )
        else:
            self._absorb_failure(job, explain(reason, job.kind))

    def _absorb_failure(self, job: Job, reason: str) -> None:
        self._listener.job_failed(job, reason)
        if job.kind == "reference":
            # Without its floor and ceiling no attacker's score means anything: encoders that are
            # there are attacked and wait for a resumed study, new ones are not started.
            self._broken_references.append(f"{job.label} ({job.key}): {reason}")
        elif job.kind == "protect":
            self._ledger.conclude(self.records[job.encoder_id], "failed", reason)
        else:
            record = self.records[job.encoder_id]
            self._attacks = deque(j for j in self._attacks if j.encoder_id != job.encoder_id)
            self._ledger.conclude(record, "failed", f"{', '.join(job.attackers)} failed: {reason}")

    def _absorb_encoder(self, record: EncoderRecord, result: Result) -> None:
        record.protected = result
        utility = result.get("utility/mean_mcc_selection")
        if result["status"] != "finished":
            # Diverged or collapsed: its attackers would only measure what is broken already.
            self._ledger.conclude(record, result["status"], str(result.get("reason", "")))
        elif utility is None or not math.isfinite(utility):
            self._ledger.conclude(record, "failed", f"utility/mean_mcc_selection is {utility}")
        else:
            has_in_loop = any(name.startswith("in_loop/") for name in result)
            attacks = self._jobs.attacks(record.protect, has_in_loop)
            if self._jobs.config.study.early_stopping_margin is not None:
                attacks = strongest_first(attacks, self.records.values())
            record.attacks = {job.key: job for job in attacks}
            self._attacks.extend(attacks)
