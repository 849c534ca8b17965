"""Runs a search's jobs as Tune would, without Ray."""

from typing import Any

from study.folder import write_json
from tests.study.study_fakes import fake_trial

NUM_REFERENCES = 4
"""Trials that measure the floors, the ceilings and the planted attribute, with a group for all."""


class Driver:
    """Runs what a search hands out, one trial at a time, as Tune would."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.search = bench.search
        self.order: list[str] = []
        self.count = 0

    def take(self) -> tuple[str, dict[str, Any]] | None:
        """Asks for one job; None if there is none now."""
        self.count += 1
        trial_id = f"t{self.count}"
        config = self.search.suggest(trial_id)
        return (trial_id, config) if isinstance(config, dict) else None

    def finish(self, trial_id: str, config: dict[str, Any], **changes: Any) -> None:
        """Runs a job to its end, as the trial process does, and reports it."""
        trial = fake_trial(config["trial"])
        result: dict[str, Any] = {"done": False}
        while not result["done"]:
            result = trial.step()
            self.search.on_trial_result(trial_id, result)
        write_json({**result, **changes}, self.bench.folder.trial(config["key"]))
        self.search.on_trial_complete(trial_id, {"done": True})

    def fail(self, trial_id: str, config: dict[str, Any], text: str = "RuntimeError: no") -> None:
        """Ends a job with an exception of its own."""
        path = self.bench.folder.error(config["key"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Traceback\n{text}\n")
        self.search.on_trial_complete(trial_id, error=True)

    def run(self) -> list[str]:
        """Runs everything in order; returns what each job was about."""
        while (taken := self.take()) is not None:
            job = self.search.running[0]
            self.order.append(f"{job.kind} {job.label}")
            self.finish(*taken)
        return self.order
