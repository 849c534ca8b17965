"""Runs a paper's experiment on this machine: no Ray, no MLflow, rows as Parquet.

    python -m trainables --list
    python -m trainables xiao-table1 --size tiny --results results
    python -m trainables xiao-table2 --size small data.root=FOLDER attack.identity_weights=FILE

Rows are written to RESULTS/reproduction/RECIPE-SIZE.parquet after every encoder. What is finished
is kept and not done again; what was interrupted goes on. `python -m analysis claims` reads them.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from trainables.errors import ConfigError
from trainables.experiments.config import Experiment, load_experiment
from trainables.experiments.recipe import SIZES, list_experiments
from trainables.reading import split_words


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs what is missing of an experiment.

    Returns:
        0: all is done; 1: something failed for good; 2: bad input, nothing was started.
    """
    options = _parser().parse_intermixed_args(arguments)
    if options.list:
        for name, about in list_experiments().items():
            print(f"{name:28s} {about}")
        return 0
    try:
        recipe, words = split_words(options.words)
        if recipe is None:
            raise ConfigError("name a recipe; --list shows them")
        experiment = load_experiment(recipe, options.size, words)
        return _run(experiment, options)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainables",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words", nargs="*", metavar="RECIPE part.field=value",
        help="a paper's table or figure, and values that are laid over all of it",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="name the recipes")
    parser.add_argument("--size", default="tiny", metavar="|".join(SIZES), help="default: tiny")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    parser.add_argument("--only", default="", metavar="ENCODER,…", help="these encoders alone")
    parser.add_argument(
        "--processes", type=int,
        help="encoders at a time (cores; on a GPU 1); they share the cores, and take no more "
        "threads each than OMP_NUM_THREADS, if it is set",
    )  # fmt: skip
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU if there is one")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    return parser


def _run(experiment: Experiment, options: argparse.Namespace) -> int:
    # Seconds that --help and --list need not take.
    from trainables.experiments.run import FOLDER, plan, run_experiment, wanted_units
    from trainables.experiments.runner import Place

    if options.processes is not None and options.processes < 1:
        raise ConfigError(f"--processes: at least 1, got {options.processes}")
    work = options.results.absolute() / FOLDER
    wanted = wanted_units(experiment, [name for name in options.only.split(",") if name])
    for line in experiment.left_out:
        print(line)
    if options.dry_run:
        print("\n".join(plan(experiment, wanted, work)))
        return 0
    device = options.device or _device()
    processes = options.processes or (len(os.sched_getaffinity(0)) if device == "cpu" else 1)
    place = Place.here(processes, device)
    path, failures = run_experiment(experiment, wanted, work, place, _say)
    print(f"rows: {path}")
    print(f"verdicts and report: python -m analysis claims {work} --size {experiment.size}")
    for line in failures:
        print(f"failed: {line}", file=sys.stderr)
    return 1 if failures else 0


def _say(line: str) -> None:
    print(line, flush=True)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


if __name__ == "__main__":
    sys.exit(main())
