"""Floors and ceilings: which are known, which are still to be measured, what they mean.

The attackers' health is measured with them, on an encoder with planted attributes.
"""

from collections import deque

from study.folder import StudyFolder, read_json, write_json
from study.health import Health, examine
from study.jobs import REFERENCES, Job, JobFactory
from study.leakages import AttackFigures, figures_of
from study.records import Result


class ReferenceScores:
    """Every attacker's scores on the constant and on the identity encoder.

    They are kept beside the studies: each study on the same data and attack settings uses them.

    Args:
        jobs: Makes the study's jobs.
        folder: Its files.

    Attributes:
        known: (constant, identity or planted, attacker, seed) → that attacker's result.
        waiting: The trials that measure what is not known yet; none of them has been started.
    """

    def __init__(self, jobs: JobFactory, folder: StudyFolder) -> None:
        self._jobs = jobs
        self._folder = folder
        self.known: dict[tuple[str, str, int], Result] = {}
        for key in jobs.all_references():
            stored = read_json(folder.reference(jobs.reference_key(*key)))
            if stored is not None:
                self.known[key] = stored
        self.waiting: deque[Job] = deque(jobs.references(self.missing))

    @property
    def missing(self) -> set[tuple[str, str, int]]:
        """What has not been measured yet."""
        return self._jobs.all_references() - self.known.keys()

    def absorb(self, job: Job, result: Result) -> None:
        """Keeps what a reference trial measured."""
        for entry in result["results"]:
            label = str(entry["attacker"])
            key = self._jobs.reference_key(job.encoder_id, label, job.seed)
            write_json(dict(entry), self._folder.reference(key))
            self._folder.mirror.push(self._folder.reference(key))
            self.known[job.encoder_id, label, job.seed] = entry

    def health(self) -> Health:
        """Whether the attackers are well, once nothing is missing."""
        suite = self._jobs.config.attack.suite
        return examine(suite if isinstance(suite, str) else ", ".join(suite), self.known)

    def figures(self) -> dict[str, list[AttackFigures]]:
        """`constant` and `identity` → every attacker, once nothing is missing."""
        return {
            which: figures_of(
                [(key[2], v) for key, v in sorted(self.known.items()) if key[0] == which],
                self.known,
            )
            for which in REFERENCES
        }
