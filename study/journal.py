"""Keeps a study in MLflow: study run → encoder runs → attack runs, as the search tells of them.

Telling again what is there already changes nothing, so a resumed study tells everything again.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.pareto import hypervolume
from analysis.runs import AT_WORK
from study.config import StudyConfig
from study.folder import StudyFolder
from study.jobs import Job
from study.leakages import AttackFigures
from study.logged import (
    MAX_TAG,
    attack_curve,
    attack_metrics,
    attack_params,
    attack_tags,
    encoder_metrics,
    encoder_params,
    reference_metrics,
    study_params,
)
from study.records import UNCOUNTED, EncoderRecord, Result
from study.reports import EARLIER
from study.since import Since
from study.tracking import Key, Runs
from study.verification import Verdict
from trainables.attackers.in_loop import IN_LOOP_NAMES
from trainables.kept_codes import CODES_FILE, PICTURE_FILE
from trainables.pictures import OTHERS, PEOPLE

REFERENCE_ROLES = {"constant": "floor", "identity": "ceiling"}
STUDY: Key = ("study", "", "", "")


def encoder_key(encoder_id: str) -> Key:
    """The key of an encoder's run; its trial's key is its identity."""
    return ("encoder", encoder_id, "", "")


class Journal:
    """A listener that writes MLflow's runs.

    Args:
        runs: The study's runs.
        config: The study.
        folder: Its files.
        data: `Dataset.describe()`.
    """

    def __init__(
        self,
        runs: Runs,
        config: StudyConfig,
        folder: StudyFolder,
        data: Mapping[str, Any],
    ) -> None:
        self._runs = runs
        self._config = config
        self._folder = folder
        self._params: dict[str, dict[str, Any]] = {}
        self._curve_steps: dict[str, set[int]] = {}
        self._begun: set[str] = set()
        self._verified: list[tuple[float, float, bool]] = []
        is_new = runs.id(STUDY) is None
        self._study = runs.open(STUDY, config.study.name, {"status": "running"})
        self._last_step = max(runs.steps(self._study, "hypervolume"), default=-1)
        self._work_step = max(runs.steps(self._study, AT_WORK), default=-1)
        if is_new:
            runs.log(self._study, study_params(config))
        runs.text(self._study, config.to_yaml(), "study.yaml")
        runs.text(self._study, json.dumps(dict(data), indent=1), "data.json")
        self._at_work(1.0)

    def told_at(self, time: int) -> None:
        """What follows happened then: milliseconds since 1970."""
        self._runs.moment = time

    def recover(self) -> None:
        """Looks again at what MLflow has: what failed last may have been taken in part."""
        self._runs.look_again()

    def settle(self) -> None:
        """Writes the curves' points that wait for company."""
        self._runs.flush()

    def job_started(self, job: Job, record: EncoderRecord | None) -> None:
        """Opens the encoder's run."""
        if job.kind == "protect" and record is not None:
            self._encoder_run(record)

    def job_progressed(self, job: Job, result: Result) -> None:
        """Collects an encoder's curves; an attacker's come with its result."""
        if job.kind == "protect":
            self.curve(job.key, result)

    def curve(self, key: str, result: Result) -> None:
        """Collects what an encoder's training reported once."""
        run = self._runs.id(encoder_key(key))
        if run is None or "train_step" not in result:
            return
        step = int(result["train_step"])
        curve = [
            (name, step, float(value))
            for name, value in result.items()
            if name.startswith("train/") and isinstance(value, int | float)
        ]
        if curve and key not in self._curve_steps:
            self._curve_steps[key] = self._runs.steps(run, curve[0][0])
        # A trial that goes on from its checkpoint comes by some steps again.
        if curve and step not in self._curve_steps[key]:
            self._runs.log_later(run, curve)
            self._curve_steps[key].add(step)

    def job_finished(self, job: Job, result: Result) -> None:
        """Collects the last point of an encoder's curves; what it ended with is logged later."""
        if job.kind == "protect" and not self._runs.is_complete(encoder_key(job.encoder_id)):
            self._last_points(job.key, result)

    def job_failed(self, job: Job, reason: str) -> None:
        """Leaves a failed run for every attacker of a failed attack trial."""
        if job.kind != "attack":
            return
        for attacker in job.attackers:
            tags = {"status": "failed", "reason": reason[:MAX_TAG]}
            key = self._attack_run(job.encoder_id, job.key, attacker, job.seed, tags)
            self._runs.end(key, "FAILED")

    def references_measured(self, figures: Mapping[str, list[AttackFigures]]) -> None:
        """Writes floor and ceiling as two encoders, each with its attackers."""
        for which, role in REFERENCE_ROLES.items():
            key = encoder_key(which)
            if self._runs.is_complete(key) or not figures[which]:
                continue
            tags = {
                "encoder_id": which,
                "role": role,
                "status": "verified",
                "reason": "",
            }
            run = self._runs.open(key, f"{role} ({which})", tags, self._study)
            self._params[which] = {"protector": which}
            self._runs.log(run, self._params[which], reference_metrics(figures[which]))
            for figure in figures[which]:
                self._write_attack(which, which, figure.seed, figure.result, figure)
            self._runs.end(key, "FINISHED")

    def encoder_verified(self, record: EncoderRecord) -> None:
        """Writes the verdict on the encoder's run, and one run per attacker."""
        verdict = record.verdict
        assert verdict is not None
        if not self._runs.is_complete(encoder_key(record.encoder_id)):
            run = self._encoder_run(record)
            self._runs.log(run, {}, encoder_metrics(record))
            self._last_points(record.encoder_id, record.protected or {})
            self._write_attacks(record, verdict)
            self._runs.tag(run, {"worst_attacker": verdict.worst_attacker})
            self._pictures(run, record)
            self._conclude(record, run, "FINISHED")
        if record.role not in UNCOUNTED and record.mean_mcc is not None:
            self._add_to_frontier(record.mean_mcc, verdict.worst_leakage, verdict.saturated)

    def confirmation_begins(self, records: Sequence[EncoderRecord]) -> None:
        """Their runs say what they confirm."""

    def encoder_dominated(self, record: EncoderRecord) -> None:
        """Writes what its attackers found until then, and which encoder is better."""
        assert record.verdict is not None
        told = {"status": record.status, "reason": record.reason[:MAX_TAG]}
        if self._runs.says(encoder_key(record.encoder_id), told):
            return
        run = self._encoder_run(record)
        self._runs.log(run, {}, encoder_metrics(record))
        self._last_points(record.encoder_id, record.protected or {})
        self._write_attacks(record, record.verdict)
        self._pictures(run, record)
        self._conclude(record, run, "FINISHED")

    def encoder_failed(self, record: EncoderRecord) -> None:
        """Writes what is known of an encoder without a verdict, and why it has none."""
        if self._runs.is_complete(encoder_key(record.encoder_id)):
            return
        run = self._encoder_run(record)
        self._runs.log(run, {}, encoder_metrics(record))
        self._last_points(record.encoder_id, record.protected or {})
        for seed, result in record.results():
            trial = _trial_of(record, str(result["attacker"]), seed)
            self._write_attack(record.encoder_id, trial, seed, result, None)
        self._conclude(record, run, "FAILED")

    def warn(self, message: str) -> None:
        """Warnings are for the terminal."""

    def note(self, name: str, facts: Mapping[str, Any]) -> None:
        """Keeps facts about the study as a JSON artifact of its run."""
        self._runs.text(self._study, json.dumps(dict(facts), indent=1), name)

    def keep(self, path: Path) -> None:
        """Keeps a file with the study run, if it is there."""
        if path.is_file():
            self._runs.file(self._study, path)

    def note_end(self, since: Since) -> None:
        """Logs what this start of the study brought, and when it came to its end."""
        self._runs.log(self._study, {}, since.metrics(), step=since.start)
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        self._runs.tag(self._study, {"last_end": moment})

    def set_status(self, status: str) -> None:
        """Sets the study's status: `running`, `finished` or `failed`."""
        self._runs.moment = None
        self._runs.flush()
        self._runs.tag(self._study, {"status": status})

    def close(self, mlflow_status: str) -> None:
        """Ends the study run, and every other that is still open as KILLED."""
        self._runs.moment = None
        self._runs.end(STUDY, mlflow_status)
        self._runs.end_open()
        self._at_work(0.0)

    def _at_work(self, value: float) -> None:
        """Logs that a start of the study begins (1) or ends (0): between them nothing is done."""
        self._work_step += 1
        self._runs.log(self._study, {}, {AT_WORK: value}, step=self._work_step)

    def _encoder_run(self, record: EncoderRecord) -> str:
        key = encoder_key(record.encoder_id)
        known = self._runs.id(key)
        params = encoder_params(record, self._config)
        self._params[record.encoder_id] = params
        if known is not None and self._runs.is_open(key) and record.encoder_id in self._begun:
            return known
        tags = {
            "encoder_id": record.encoder_id,
            "role": record.role,
            "status": "running",
        }
        if record.numbers:
            tags["optuna_trial"] = str(record.numbers[0])
        if record.confirms:
            tags |= {"confirms": record.confirms, "repeat": str(record.repeat)}
        run = self._runs.open(key, record.label, tags, self._study)
        self._runs.log(run, params)
        self._runs.text(run, json.dumps(dict(record.protect.config), indent=1), "config.json")
        self._begun.add(record.encoder_id)  # only now: of a run that is open, a part may be missing
        return run

    def _attack_run(
        self,
        encoder_id: str,
        trial: str,
        attacker: str,
        seed: int,
        tags: Mapping[str, str],
    ) -> Key:
        key = ("attack", trial, attacker, str(seed))
        parent = self._runs.id(encoder_key(encoder_id))
        run = self._runs.open(
            key, f"{attacker} seed {seed}", {"encoder_id": encoder_id, **tags}, parent
        )
        params = {
            "attacker": attacker,
            "seed": seed,
            **self._params.get(encoder_id, {}),
        }
        self._runs.log(run, params)
        return key

    def _write_attacks(self, record: EncoderRecord, verdict: Verdict) -> None:
        for figure in verdict.figures:
            trial = _trial_of(record, figure.attacker, figure.seed)
            self._write_attack(record.encoder_id, trial, figure.seed, figure.result, figure)

    def _write_attack(
        self,
        encoder_id: str,
        trial: str,
        seed: int,
        result: Result,
        figures: AttackFigures | None,
    ) -> None:
        attacker = str(result["attacker"])
        if self._runs.is_complete(("attack", trial, attacker, str(seed))):
            return
        tags = {
            **attack_tags(result),
            "status": "finished",
            # An attack that failed and was tried again has none any more.
            "reason": "",
        }
        key = self._attack_run(encoder_id, trial, attacker, seed, tags)
        run = self._runs.id(key)
        assert run is not None
        metrics, curve = attack_metrics(result, figures), attack_curve(result)
        self._runs.log(run, attack_params(result), metrics, curve)
        self._runs.end(key, "FINISHED")

    def _last_points(self, key: str, result: Result) -> None:
        """Collects the end of an encoder's curves, as far as it is not there yet."""
        for report in (*result.get(EARLIER, ()), result):
            self.curve(key, report)

    def _conclude(self, record: EncoderRecord, run: str, mlflow_status: str) -> None:
        protected = record.protected or {}
        self._runs.tag(
            run,
            {
                "status": record.status,
                "reason": record.reason[:MAX_TAG],
                # When and why training ended, and which weights were attacked.
                "stopped": str(protected.get("reason", ""))[:MAX_TAG],
                "encoder_hash": str(protected.get("encoder_hash", "")),
            },
        )
        self._runs.end(encoder_key(record.encoder_id), mlflow_status)

    def _add_to_frontier(self, mean_mcc: float, worst_leakage: float, saturated: bool) -> None:
        verified = [*self._verified, (mean_mcc, worst_leakage, saturated)]
        step = len(verified)
        if step > self._last_step:
            # A lower bound counts as a step, but adds no area.
            area = hypervolume(*zip(*verified, strict=True))
            self._runs.log(self._study, {}, {"hypervolume": area}, step=step)
        self._verified = verified  # only now: a call that fails is made again

    def _pictures(self, run: str, record: EncoderRecord) -> None:
        """Keeps what is there of the codes, the strips of images, and a grid of these.

        In the grid the originals come first, then one row per attacker.
        """
        folder = self._folder.encoder(record.encoder_id)
        self._folder.mirror.pull_folder(folder)
        for path in (folder / CODES_FILE, folder / PICTURE_FILE):
            if path.is_file():
                self._runs.file(run, path)
        # Of the strength ladder the strongest: a strip per rung would hide the rest.
        labels = dict.fromkeys(
            str(result["attacker"])
            for _, result in record.results()
            if result.get("counts", True) or result.get("white_box", False)
        )
        names = [("original", "originals"), *((label, label) for label in labels)]
        rows = [(label, folder / f"{name}.png") for label, name in names]
        rows = [(label, path) for label, path in rows if path.is_file()]
        if len(rows) < 2:
            return
        # Loaded while trials run: what draws takes seconds.
        from analysis.figures import reconstruction_grid, render

        beside = [folder / name for name in (OTHERS, PEOPLE)]  # what the quiz is made of
        for path in (*(path for _, path in rows), *filter(Path.is_file, beside)):
            self._runs.file(run, path)
        with tempfile.TemporaryDirectory() as temporary:
            grid = Path(temporary) / "reconstructions.png"
            grid.write_bytes(render(reconstruction_grid(rows), "png"))
            self._runs.file(run, grid)


def _trial_of(record: EncoderRecord, attacker: str, seed: int) -> str:
    """The attack trial that carried an attacker; in-loop ones come with the first trial."""
    jobs = list((record.attacks or {}).values())
    for job in jobs:
        if job.seed == seed and attacker in job.attackers:
            return job.key
    return jobs[0].key if attacker in IN_LOOP_NAMES and jobs else record.encoder_id
