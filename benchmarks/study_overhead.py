"""What a study costs beside its training: a real study of trials that only keep a core busy.

    python benchmarks/study_overhead.py                             40 trials of 20 s, two at a time
    python benchmarks/study_overhead.py --trials 400 --seconds 1
    python benchmarks/study_overhead.py --trials 4000 --seconds 0   trials that only report

Everything else is as in any study: Ray Tune, Optuna's storage, MLflow, checkpoints, the report.
The first table sets its wall time, from the start of Python to the report, against the trials' own
seconds over the number of slots; the second says where the driver's seconds go, and how they grow
from the first trials to the last.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.busy import Busy
from benchmarks.machine import show_and_keep
from benchmarks.tables import markdown
from study import launch
from study.journal import Journal
from study.launch import Options, run_study
from study.loading import load_config
from study.places import find_places
from study.proposals import Proposals
from study.sweep import max_concurrent, num_cores

STUDY = (
    "study.name=overhead", "data.num_images=400", "data.utility=Eyeglasses", "data.private=Hat",
    "attack.group=3",
)  # fmt: skip


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
                     "references_measured", "encoder_verified", "encoder_dominated",
                     "encoder_failed"):  # fmt: skip
            setattr(Journal, name, self.timed("MLflow", getattr(Journal, name)))
        for name in ("propose", "verified", "note_encoder"):
            setattr(Proposals, name, self.timed("Optuna", getattr(Proposals, name)))
        finished = Journal.job_finished

        def job_finished(*given: Any) -> None:
            self.ended.append(time.perf_counter())
            finished(*given)

        setattr(Journal, "job_finished", job_finished)  # noqa: B010  mypy
        launch.conclude = self.timed("report", launch.conclude)  # type: ignore[attr-defined]
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
    driver.seconds["starting Python"] = time.time() - psutil.Process().create_time()
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
            wall = time.perf_counter() - start + driver.seconds["starting Python"]
        if code:
            print(log.read_text(encoding="utf-8"))
            return code
        trials = [json.loads(path.read_text(encoding="utf-8"))
                  for path in (places.folder.root / "trials").glob("*.json")]  # fmt: skip
    text = _tables(driver, trials, wall, slots)
    show_and_keep(f"study-overhead-{options.trials}", text)
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
    of_sweep = driver.seconds["sweep"] - driver.seconds["Optuna"] - ideal
    parts = {
        "starting Python": driver.seconds["starting Python"],
        "starting Ray": driver.seconds["starting Ray"],
        "Optuna": driver.seconds["Optuna"],
        "Tune, and waiting for it": of_sweep,
        "report": driver.seconds["report"],
    }
    parts["data, and the rest"] = wall - ideal - sum(parts.values())
    parts["MLflow, beside the trials"] = driver.seconds["MLflow"]
    rows = [[name, f"{value:.1f}", f"{1000 * value / count:.0f}"] for name, value in parts.items()]
    split = markdown(["part of the driver", "s", "ms per trial"], rows)
    growth = (
        f"Between the ends of two trials: {1000 * first:.0f} ms in the first tenth, "
        f"{1000 * last:.0f} ms in the last ({last / first:.1f} times)."
    )
    return f"{whole}\n\n{split}\n\n{growth}"


if __name__ == "__main__":
    sys.exit(main())
