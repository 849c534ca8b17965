"""The search: Optuna's proposals, and the attack trials that each of them causes.

An encoder is one protect trial; once it is frozen it causes attack trials over the whole suite,
and only when the last of them has ended is Optuna told anything. Both kinds are ordinary trials of
one Tune experiment, so no trial waits for another while it holds a device.

All state is on disk: Optuna's storage, and one JSON file per finished trial. A resumed study is a
new search over the same folder; Tune's own restore is not used.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from study.folder import StudyFolder, read_json, write_json
from study.jobs import REFERENCES, Job, JobFactory
from study.proposals import Proposals
from study.records import EncoderRecord, Listener, Result
from study.verification import figures_of, judge

MAX_REPEATS = 20
"""Proposals in a row that are known already before the space counts as exhausted."""


class VerifiedSearch(Searcher):
    """Hands Tune one job after another, and tells Optuna of every encoder's verified leakage.

    Args:
        jobs: Makes the study's jobs.
        folder: Its files.
        proposals: Optuna's side.
        listener: Is told of everything that happens.
        may_start: Whether new encoders may still be started; asked before each.

    Attributes:
        records: Every encoder so far, by identity.
        failures: What failed for good, one line each.
        finished: Whether everything there was to do has been done.
    """

    def __init__(
        self,
        jobs: JobFactory,
        folder: StudyFolder,
        proposals: Proposals,
        listener: Listener,
        may_start: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__()
        self.records: dict[str, EncoderRecord] = {}
        self.failures: list[str] = []
        self.finished = False
        self._jobs = jobs
        self._folder = folder
        self._proposals = proposals
        self._listener = listener
        self._may_start = may_start
        self._running: dict[str, Job] = {}
        self._attacks: deque[Job] = deque()
        self._reference_jobs: deque[Job] = deque()
        self._encoders: deque[Job] = deque()
        self._references: dict[tuple[str, str, int], Result] = {}
        self._broken_reference = ""
        self._references_told = False
        self._exhausted = False
        self._restore()

    @property
    def num_started(self) -> int:
        """Encoders that count towards `study.num_encoders`: all but `labels`."""
        return sum(record.role != "labels" for record in self.records.values())

    @property
    def running(self) -> list[Job]:
        """The jobs that Tune is running."""
        return list(self._running.values())

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Returns the next job's configuration, None to be asked later, or FINISHED."""
        job = self._next_job()
        if job is None:
            if self._running:
                return None
            self.finished = True
            return str(Searcher.FINISHED)
        self._running[trial_id] = job
        self._listener.job_started(job, self.records.get(job.encoder_id))
        kind = "protect" if job.kind == "protect" else "attack"
        return {
            "kind": kind,
            "key": job.key,
            "results": str(self._folder.results),
            "study": self._folder.name,
            "trial": dict(job.config),
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Hands a running trial's report on."""
        job = self._running.get(trial_id)
        if job is not None:
            self._listener.job_progressed(job, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Takes up a job that has ended.

        What counts is the file that the trial wrote. A trial without one has failed for good, or
        was only interrupted and goes on when the study is resumed.
        """
        job = self._running.pop(trial_id, None)
        if job is None:
            return
        stored = read_json(self._folder.trial(job.key))
        if stored is None and error:
            stored = {"status": "failed", "reason": self._read_error(job)}
            write_json(stored, self._folder.trial(job.key))
        if stored is not None:
            self._absorb(job, stored)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: all state is on disk."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore: all state is on disk."""

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its searcher for a restore that is not used here."""
        return {"_metric": None, "_mode": None}

    def _restore(self) -> None:
        """Takes up what earlier runs of this study left."""
        missing = set()
        for which, attacker, seed in self._jobs.all_references():
            path = self._folder.reference(self._jobs.reference_key(which, attacker, seed))
            stored = read_json(path)
            if stored is None:
                missing.add((which, attacker, seed))
            else:
                self._references[which, attacker, seed] = stored
        self._reference_jobs.extend(self._jobs.references(missing))
        for role, job in self._jobs.baselines():
            if role == "labels" or self.num_started < self._jobs.config.study.num_encoders:
                self._add(EncoderRecord(job, role, {}))
        for proposal in self._proposals.restore():
            job = self._jobs.searched(proposal.point)
            record = self.records.get(job.encoder_id)
            if record is None:
                record = self._add(EncoderRecord(job, "searched", proposal.point))
            if proposal.open:
                record.numbers.append(proposal.number)
        for queue in (self._reference_jobs, self._encoders, self._attacks):
            self._absorb_stored(queue)
        self._settle()

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
        """What to do next: attacks teach Optuna soonest, then references, then new encoders."""
        while True:
            if self._attacks:
                job = self._attacks.popleft()
            elif self._reference_jobs:
                job = self._reference_jobs.popleft()
            elif self._broken_reference or not self._may_start():
                return None
            elif self._encoders:
                job = self._encoders.popleft()
            elif self._propose():
                continue
            else:
                return None
            stored = read_json(self._folder.trial(job.key))
            if stored is None:
                return job
            self._absorb(job, stored)

    def _propose(self) -> bool:
        """Asks Optuna for one more encoder; False if there are enough or no new ones."""
        if self._exhausted or self.num_started >= self._jobs.config.study.num_encoders:
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
            self._tell(known)
        self._exhausted = True
        self._listener.warn(
            f"the last {MAX_REPEATS} proposals were encoders that exist already: the search space "
            f"is exhausted after {self.num_started} encoders"
        )
        return False

    def _absorb(self, job: Job, result: Result) -> None:
        """Takes up a job's final result, fresh or from disk."""
        if result["status"] == "failed":
            self._absorb_failure(job, str(result["reason"]))
        else:
            self._listener.job_finished(job, result)
            if job.kind == "reference":
                self._absorb_reference(job, result)
            elif job.kind == "protect":
                self._absorb_encoder(self.records[job.encoder_id], result)
            else:
                self.records[job.encoder_id].attacked[job.key] = result
        self._settle()

    def _absorb_failure(self, job: Job, reason: str) -> None:
        self.failures.append(f"{job.label} ({job.key}): {reason}")
        self._listener.job_failed(job, reason)
        if job.kind == "reference":
            # Without its floor and ceiling no attacker's score means anything.
            self._broken_reference = f"{job.label} failed: {reason}"
        elif job.kind == "protect":
            self._conclude(self.records[job.encoder_id], "failed", reason)
        else:
            record = self.records[job.encoder_id]
            self._attacks = deque(j for j in self._attacks if j.encoder_id != job.encoder_id)
            self._conclude(record, "failed", f"{', '.join(job.attackers)} failed: {reason}")

    def _absorb_reference(self, job: Job, result: Result) -> None:
        for entry in result["results"]:
            label = str(entry["attacker"])
            key = self._jobs.reference_key(job.encoder_id, label, job.seed)
            write_json(dict(entry), self._folder.reference(key))
            self._references[job.encoder_id, label, job.seed] = entry

    def _absorb_encoder(self, record: EncoderRecord, result: Result) -> None:
        record.protected = result
        utility = result.get("utility/mean_mcc_selection")
        if result["status"] != "finished":
            self._conclude(record, result["status"], str(result.get("reason", "")))
        elif utility is None or not math.isfinite(utility):
            self._conclude(record, "failed", f"utility/mean_mcc_selection is {utility}")
        else:
            attacks = self._jobs.attacks(record.protect, "in_loop/decoder" in result)
            record.attacks = {job.key: job for job in attacks}
            self._attacks.extend(attacks)

    def _settle(self) -> None:
        """Judges every encoder whose last attacker has ended."""
        if self._broken_reference:
            for record in self.records.values():
                if record.status == "running" and record.attacks is not None:
                    self._conclude(record, "failed", self._broken_reference)
            return
        if self._jobs.all_references() - self._references.keys():
            return
        if not self._references_told:
            self._references_told = True
            self._tell_references()
        for record in self.records.values():
            jobs = record.attacks
            if (
                record.status == "running"
                and jobs is not None
                and jobs.keys() <= record.attacked.keys()
            ):
                try:
                    record.verdict = judge(figures_of(record.results(), self._references))
                except ValueError as error:
                    self._conclude(record, "failed", str(error))
                    continue
                self._conclude(record, "verified", "; ".join(record.verdict.notes))

    def _tell_references(self) -> None:
        figures = {
            which: figures_of(
                [(key[2], v) for key, v in sorted(self._references.items()) if key[0] == which],
                self._references,
            )
            for which in REFERENCES
        }
        self._listener.references_measured(figures)
        for problem in dict.fromkeys(f.problem for f in figures["identity"] if f.problem):
            self._listener.warn(f"an attacker cannot be measured on this data: {problem}")

    def _conclude(self, record: EncoderRecord, status: Any, reason: str) -> None:
        if record.status != "running":
            return
        record.status, record.reason = status, reason
        self._tell(record)
        if status == "verified":
            self._listener.encoder_verified(record)
        else:
            self._listener.encoder_failed(record)

    def _tell(self, record: EncoderRecord) -> None:
        """Tells Optuna of every trial that waits for this encoder, if it has ended."""
        if record.status == "running":
            return
        for number in record.numbers:
            if record.objectives is not None:
                self._proposals.verified(number, *record.objectives)
            else:
                self._proposals.fail(number, f"{record.status}: {record.reason}")
        record.numbers.clear()

    def _read_error(self, job: Job) -> str:
        path = self._folder.error(job.key)
        if not path.is_file():
            return "its process ended without a word (killed, or out of memory?)"
        return path.read_text(encoding="utf-8").strip().splitlines()[-1]


def until(seconds: float | None, clock: Callable[[], float] = time.monotonic) -> Callable[[], bool]:
    """Returns a function that is true for so many seconds; for ever if None."""
    if seconds is None:
        return lambda: True
    end = clock() + seconds
    return lambda: clock() < end
