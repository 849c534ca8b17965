r"""How many encoders each sampler needs: a search of a recorded surface, without any training.

    python study/run.py quickstart study.sampler=random study.num_encoders=96 study.name=surface \
        'attack.suite=[decoder, attribute]' --time-budget 38m
    python benchmarks/search.py --record results/optuna.db --study surface
    python benchmarks/search.py

The first two commands measure real encoders at random points of a recipe's space and keep what
they scored (`benchmarks/surfaces/RECIPE.json`); the attacker that is left out is the slowest, and
was the worst of no encoder but `labels`. The third fits a forest of trees to them, one for utility
and one for leakage, says how well it predicts encoders it has not seen, and lets every sampler of
the project search it as it would search a study: the same space, the same first points, the same
start-up. What is counted is the area the frontier commands after so many encoders.
"""

import argparse
import json
import math
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import cross_val_predict

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from analysis.pareto import hypervolume
from benchmarks.machine import show_and_keep
from benchmarks.tables import markdown
from study.config import StudyConfig
from study.loading import load_config
from study.proposals import POINT, Proposals

SURFACES = Path(__file__).parent / "surfaces"
SAMPLERS = ("random", "tpe", "gp", "nsga2")
CHECKPOINTS = (8, 16, 32, 64, 96)
INTERVAL = (5, 95)
RESAMPLES = 2000
Point = Mapping[str, Any]
Surface = Callable[[Point], tuple[float, float]]


def record(storage: Path, study: str, recipe: str) -> Path:
    """Keeps the points and verified objectives of a study, as Optuna's storage has them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials = optuna.load_study(study_name=study, storage=f"sqlite:///{storage}").trials
    rows = [
        {"point": trial.user_attrs[POINT], "mean_mcc": trial.values[0], "leakage": trial.values[1]}
        for trial in trials
        if trial.state == optuna.trial.TrialState.COMPLETE
    ]
    SURFACES.mkdir(exist_ok=True)
    path = SURFACES / f"{recipe}.json"
    path.write_text(json.dumps(rows, indent=0), encoding="utf-8")
    return path


class Features:
    """Points as rows of numbers: logarithms where values span decades, an indicator per word.

    Args:
        points: All there are; they say which names and words exist.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        self.names = sorted({name for point in points for name in point})
        self.words = {
            name: sorted({str(p[name]) for p in points if isinstance(p.get(name), str)})
            for name in self.names
        }

    def __call__(self, point: Point) -> list[float]:
        """One row."""
        row: list[float] = []
        for name in self.names:
            value = point.get(name)
            if self.words[name]:
                row += [float(str(value) == word) for word in self.words[name]]
            else:
                number = float(value or 0)
                row += [math.log10(number) if number > 0 else -9.0]
        return row


def fit(rows: Sequence[Mapping[str, Any]]) -> tuple[Surface, dict[str, float]]:
    """The surface through recorded encoders.

    Returns:
        A function from a point to (mean MCC, worst leakage), and R² of each on encoders that
        were left out of the fit, in ten parts.
    """
    features = Features([row["point"] for row in rows])
    inputs = np.array([features(row["point"]) for row in rows])
    forests: dict[str, ExtraTreesRegressor] = {}
    explained: dict[str, float] = {}
    for name in ("mean_mcc", "leakage"):
        values = np.array([row[name] for row in rows])
        forest = ExtraTreesRegressor(300, min_samples_leaf=2, random_state=0)
        predicted = cross_val_predict(forest, inputs, values, cv=10)
        explained[name] = 1 - float(((values - predicted) ** 2).mean() / values.var())
        forests[name] = forest.fit(inputs, values)

    def surface(point: Point) -> tuple[float, float]:
        row = [features(point)]
        return tuple(float(forests[name].predict(row)[0]) for name in ("mean_mcc", "leakage"))  # type: ignore[return-value]

    return surface, explained


def search(config: StudyConfig, surface: Surface, num_encoders: int) -> list[float]:
    """The area of the frontier after each encoder of one search."""
    proposals = Proposals(config, optuna.storages.InMemoryStorage())
    utilities: list[float] = []
    leakages: list[float] = []
    areas = []
    for _ in range(num_encoders):
        proposal = proposals.propose()
        utility, leakage = surface(proposal.point)
        proposals.verified(proposal.number, utility, leakage, saturated=True)
        utilities.append(utility)
        leakages.append(leakage)
        areas.append(hypervolume(utilities, leakages))
    return areas


def run(recipe: str, sampler: str, seed: int, num_encoders: int) -> tuple[list[float], float]:
    """One search, in a process of its own; also the seconds it took."""
    surface, _ = fit(_rows(recipe))
    config = load_config(recipe, [f"study.sampler={sampler}", f"study.seed={seed}"])
    start = time.perf_counter()
    return search(config, surface, num_encoders), time.perf_counter() - start


def _rows(recipe: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((SURFACES / f"{recipe}.json").read_text("utf-8"))
    return rows


def encoders_to_reach(areas: NDArray[np.float64], goal: float) -> NDArray[np.float64]:
    """For each search [S, N] the encoders it took to reach an area; infinite where it did not."""
    reached = areas >= goal
    first = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)
    return np.asarray(first)


def median_interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """The median, and its 90% interval from resampling the searches."""
    draws = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    medians = np.sort(np.median(draws, axis=1))
    low, high = (medians[int(q / 100 * (RESAMPLES - 1))] for q in INTERVAL)
    return float(np.median(values)), float(low), float(high)


def main() -> int:
    """Records a surface, or prints and keeps the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", type=Path, metavar="DB", help="Optuna's storage of a study")
    parser.add_argument("--study", default="surface", help="the study to record (surface)")
    parser.add_argument("--recipe", default="quickstart", help="whose space it is (quickstart)")
    parser.add_argument("--seeds", type=int, default=20, help="searches per sampler (20)")
    parser.add_argument("--encoders", type=int, default=96, help="of each search (96)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    if options.record is not None:
        print(f"kept in {record(options.record, options.study, options.recipe)}")
        return 0
    rows = _rows(options.recipe)
    _, explained = fit(rows)
    fitted = ", ".join(f"{name} {value:.2f}" for name, value in explained.items())
    print(f"surface of {len(rows)} encoders; R² of encoders left out: {fitted}", flush=True)
    spawn = multiprocessing.get_context("spawn")
    areas: dict[str, NDArray[np.float64]] = {}
    seconds: dict[str, float] = {}
    with ProcessPoolExecutor(options.processes, mp_context=spawn) as pool:
        for sampler in SAMPLERS:
            each = [pool.submit(run, options.recipe, sampler, seed, options.encoders)
                    for seed in range(options.seeds)]  # fmt: skip
            done = [future.result() for future in each]
            areas[sampler] = np.array([one for one, _ in done])
            seconds[sampler] = statistics.median(s for _, s in done) / options.encoders
            print(f"{sampler}: {areas[sampler][:, -1].mean():.3f}", flush=True)
    text = _table(areas, seconds, options.encoders)
    text += (
        f"\n\nMedian area of {options.seeds} searches each, with its 90% interval, on the surface "
        f"of {len(rows)} real encoders of `{options.recipe}`; R² of encoders left out of the fit: "
        f"utility {explained['mean_mcc']:.2f}, leakage {explained['leakage']:.2f}."
    )
    show_and_keep(f"search-{options.recipe}", text)
    return 0


def _table(
    areas: Mapping[str, NDArray[np.float64]], seconds: Mapping[str, float], num_encoders: int
) -> str:
    marks = [mark for mark in CHECKPOINTS if mark <= num_encoders]
    goal = float(np.median(areas["random"][:, -1]))
    lines = []
    for sampler, own in areas.items():
        cells = []
        for mark in marks:
            median, low, high = median_interval(own[:, mark - 1])
            cells.append(f"{median:.3f} ({low:.3f} to {high:.3f})")
        reach = median_interval(encoders_to_reach(own, goal))
        median_text, low_text, high_text = (_count(value, num_encoders) for value in reach)
        cells.append(f"{median_text} ({low_text} to {high_text})")
        lines.append([sampler, *cells, f"{1000 * seconds[sampler]:.0f}"])
    heads = [
        "sampler", *(f"{mark} encoders" for mark in marks),
        f"encoders to random's area at {num_encoders} (median, interval)", "ms per proposal",
    ]  # fmt: skip
    return markdown(heads, lines)


def _count(value: float, num_encoders: int) -> str:
    return f"{value:.0f}" if math.isfinite(value) else f"over {num_encoders}"


if __name__ == "__main__":
    sys.exit(main())
