"""What a study costs beside its training: a real study of trials that only keep a core busy.

    python benchmarks/study_overhead.py                             40 trials of 20 s, two at a time
    python benchmarks/study_overhead.py --trials 400 --seconds 1
    python benchmarks/study_overhead.py --trials 4000 --seconds 0   trials that only report

Everything else is as in any study: Ray Tune, Optuna's storage, MLflow, checkpoints, the report.
The first table sets its wall time against the trials' own seconds over the number of slots; the
second says where the driver's seconds go, and how they grow from the first trials to the last.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.encoders import markdown
from benchmarks.machine import keep_table
from study import launch
from study.journal import Journal
from study.launch import Options, run_study
from study.loading import load_config
from study.places import find_places
from study.proposals import Proposals
from study.sweep import max_concurrent, num_cores
from trainables.checkpoint import load_state, save_state

STEPS = 20
"""Reports of each trial."""
CHECKPOINT_VALUES = 3_000_000
"""Floats in a trial's checkpoint: about a quarter-width ResNet with its decoder and optimisers."""
STUDY = (
    "study.name=overhead", "data.num_images=400", "data.utility=Eyeglasses", "data.private=Hat",
    "attack.group=3",
)  # fmt: skip


class BusyTrial:
    """Multiplies matrices for so many seconds, and reports what a trained one would."""

    def __init__(self, config: Mapping[str, Any], seconds: float) -> None:
        self.config, self.limit = config, seconds
        self.done, self.seconds = 0, 0.0
        self.matrix = torch.rand(256, 256)
        self.state = torch.zeros(CHECKPOINT_VALUES if seconds else 1)

    def step(self) -> dict[str, Any]:
        """One of `STEPS`, or all at once where there is nothing to do."""
        start = time.perf_counter()
        while time.perf_counter() - start < self.limit / STEPS:
            self.matrix @ self.matrix
        self.done += 1 if self.limit else STEPS
        self.seconds += time.perf_counter() - start
        report = {"done": self.done >= STEPS, "progress": self.done / STEPS,
                  "seconds": self.seconds, "train_step": self.done,
                  "train/loss": 1 / self.done}  # fmt: skip
        if report["done"]:
            report |= self._trained() if self.config["kind"] == "protect" else self._attacked()
        return report

    def save(self, path: Path) -> None:
        """As much as a trial writes."""
        save_state({"done": self.done, "seconds": self.seconds, "state": self.state}, path)

    def load(self, path: Path) -> None:
        """Goes on."""
        state = load_state(path)
        self.done, self.seconds = state["done"], state["seconds"]

    def _strength(self) -> float:
        return float(self.config.get("protector", {}).get("lambda1", 0.0))

    def _trained(self) -> dict[str, Any]:
        output = Path(self.config["output"])
        output.mkdir(parents=True, exist_ok=True)
        (output / "encoder.pt").write_text(json.dumps(self._strength()), encoding="utf-8")
        utility = 0.9 / (1 + 0.01 * self._strength())
        return {"status": "finished", "reason": "all rounds done", "rounds": STEPS,
                "converged": True, "utility/mean_mcc": utility, "encoder_hash": "0" * 16,
                "utility/mean_mcc_selection": utility}  # fmt: skip

    def _attacked(self) -> dict[str, Any]:
        scores = {"constant": 0.5, "identity": 0.9, "planted": 1.0}
        encoder = str(self.config["encoder"])
        score = scores.get(encoder)
        if score is None:
            weight = float(Path(encoder).read_text(encoding="utf-8"))
            score = 0.5 + 0.3 / (1 + weight)
        results = [self._result(one["name"], score) for one in self.config["attackers"]]
        return {"status": "finished", "reason": "", "results": results}

    def _result(self, name: str, score: float) -> dict[str, Any]:
        of_attribute = name.startswith("attribute")
        metrics = {"balanced_accuracy/Hat": score} if of_attribute else {"ssim": score}
        return {
            "attacker": name,
            "kind": "attribute" if of_attribute else "reconstruction",
            "seed": self.config["seed"],
            "selection": score,
            "test": score,
            "saturated": True,
            "steps": 1000,
            "seconds": self.seconds,
            "num_public": 64,
            "metrics": metrics,
            "curve": [[100 * i, score, 1e-3] for i in range(1, 31)],
            "encoder_hash_before": "0",
            "encoder_hash_after": "0",
            "reconstructions": None,
        }


class Busy:
    """The factory of busy trials; sent to the workers."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, config: Mapping[str, Any]) -> BusyTrial:
        """Builds one."""
        return BusyTrial(config, self.seconds)


class Driver:
    """The driver's own seconds by part, and when each trial ended."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.ended: list[float] = []

    def timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, charged to `part`."""

        def wrapped(*given: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return work(*given, **named)
            finally:
                self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - start

        return wrapped

    def watch(self) -> None:
        """Charges MLflow's and Optuna's part, the report's and Tune's whole."""
        for name in ("job_started", "job_progressed", "job_finished", "job_failed", "note", "close",
                     "references_measured", "encoder_verified", "encoder_failed"):  # fmt: skip
            setattr(Journal, name, self.timed("MLflow", getattr(Journal, name)))
        for name in ("propose", "verified", "note_encoder"):
            setattr(Proposals, name, self.timed("Optuna", getattr(Proposals, name)))
        finished = Journal.job_finished

        def job_finished(*given: Any) -> None:
            self.ended.append(time.perf_counter())
            finished(*given)

        setattr(Journal, "job_finished", job_finished)  # noqa: B010  mypy
        launch.rebuild = self.timed("report", launch.rebuild)  # type: ignore[attr-defined]
        launch.run_sweep = self.timed("sweep", launch.run_sweep)  # type: ignore[attr-defined]
        launch.start_ray = self.timed("starting Ray", launch.start_ray)  # type: ignore[attr-defined]


def main() -> int:
    """Runs one study and prints and keeps its tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=40, help="about how many (40)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each; 0 only reports (20)")
    parser.add_argument("--sampler", default="tpe", help="study.sampler (tpe)")
    options = parser.parse_args()
    driver = Driver()
    driver.watch()
    with tempfile.TemporaryDirectory() as folder:
        # Of the trials a few are floors, ceilings and checks; each encoder is two.
        words = [*STUDY, f"study.num_encoders={max(1, (options.trials - 4) // 2)}",
                 f"study.sampler={options.sampler}"]  # fmt: skip
        config = load_config("quickstart", words)
        places = find_places(config, Path(folder) / "results")
        slots = max_concurrent(config, num_cores(), 0)
        log = Path(folder) / "log"
        with log.open("w", encoding="utf-8") as file:
            start = time.perf_counter()
            code = run_study(config, places, Options(), Console(file=file), Busy(options.seconds))
            wall = time.perf_counter() - start
        if code:
            print(log.read_text(encoding="utf-8"))
            return code
        trials = [json.loads(path.read_text(encoding="utf-8"))
                  for path in (places.folder.root / "trials").glob("*.json")]  # fmt: skip
    text = _tables(driver, trials, wall, slots)
    print(text)
    command = f"python benchmarks/study_overhead.py {' '.join(sys.argv[1:])}".strip()
    print(f"kept in {keep_table(f'study-overhead-{options.trials}', command, text)}")
    return 0


def _tables(driver: Driver, trials: list[dict[str, Any]], wall: float, slots: int) -> str:
    count = len(trials)
    ideal = sum(float(trial["seconds"]) for trial in trials) / slots
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    gaps = [b - a for a, b in zip(driver.ended, driver.ended[1:], strict=False)]
    tenth = max(1, len(gaps) // 10)
    first, last = statistics.fmean(gaps[:tenth]), statistics.fmean(gaps[-tenth:])
    whole = markdown(
        ["trials", "at a time", "wall, s", "their own seconds / slots", "overhead", "driver, MiB"],
        [[str(count), str(slots), f"{wall:.1f}", f"{ideal:.1f}",
          f"{(wall - ideal) / wall:.1%} of the wall", f"{memory:.0f}"]],
    )  # fmt: skip
    of_sweep = driver.seconds["sweep"] - driver.seconds["MLflow"] - driver.seconds["Optuna"] - ideal
    parts = {
        "starting Ray": driver.seconds["starting Ray"],
        "MLflow": driver.seconds["MLflow"],
        "Optuna": driver.seconds["Optuna"],
        "Tune, and waiting for it": of_sweep,
        "report": driver.seconds["report"],
    }
    parts["data, and the rest"] = wall - ideal - sum(parts.values())
    rows = [[name, f"{value:.1f}", f"{1000 * value / count:.0f}"] for name, value in parts.items()]
    split = markdown(["part of the driver", "s", "ms per trial"], rows)
    growth = (
        f"Between the ends of two trials: {1000 * first:.0f} ms in the first tenth, "
        f"{1000 * last:.0f} ms in the last ({last / first:.1f} times)."
    )
    return f"{whole}\n\n{split}\n\n{growth}"


if __name__ == "__main__":
    sys.exit(main())
