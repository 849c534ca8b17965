"""Runs a study: recipe and overrides in, a report of verified frontiers out.

python study/run.py [RECIPE] [part.field=value …] [options]
"""

import sys
from pathlib import Path

if __package__ in (None, ""):
    # Run as a script: the repository's root is what is imported from, not this folder, whose
    # module names would stand beside everyone else's.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import re
from collections.abc import Sequence

from analysis.addresses import masked, without_password
from trainables.errors import ConfigError
from trainables.reading import split_words

EPILOG = """\
A value that a recipe or a key=value word gives is fixed. A searched value that is not given is
proposed by Optuna; a list gives it choices, {low: …, high: …} a range:

  python study/run.py                                      the quickstart: minutes, no data needed
  python study/run.py celeba data.root=/data/celeba        your own CelebA
  python study/run.py quickstart study.num_encoders=20 study.name=longer
  python study/run.py quickstart model.cut_point=conv3 'protector.lambda1={low: 1, high: 30}'
  python study/run.py quickstart 'protector.name=[reconstruction, label_flip]' study.name=both
  python study/run.py quickstart --resume                  go on after Ctrl-C, a crash, or for more
  python study/run.py quickstart --resume --confirm 3      the frontier again, with fresh seeds
  python study/run.py xiao-table1 --size small data.root=/data/celeba    a paper's table
  python study/run.py quickstart study.num_encoders=+8 --time-budget 6h --resume    every night

Of several protectors each is tried: protector.KEY=… is for all that have such a key,
protector.label_flip.KEY=… for that one alone.

Parts: study, data, model, protector, attack, resources, report; --dry-run prints every key with its
value.
Exit code 0: every trial ended as it should; 1: the study ended, or was stopped, and not every
trial did; 2: bad input, nothing was started.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_intermixed_args(arguments)
    # Imported here: help must not wait for all that trains networks.
    from rich.console import Console

    from study.dry_run import print_plan
    from study.experiment import run_on_ray
    from study.launch import Options, run_study
    from study.loading import list_recipes, load_config
    from study.places import find_places
    from trainables.experiments.recipe import list_experiments

    if options.list:
        recipes = {**list_recipes(), **list_experiments()}
        for name, line in recipes.items():
            print(f"{name:{max(map(len, recipes))}}  {line}")
        return 0
    console = Console()
    try:
        recipe, overrides = _split_words(options.words)
        if recipe in list_experiments():
            if options.time_budget is not None or options.confirm:
                raise ConfigError(
                    f"--time-budget and --confirm are for studies; {recipe} is a paper's "
                    "experiment: it can be stopped at any time, and the same command goes on"
                )
            return run_on_ray(
                recipe, options.size, overrides, options.results, console, options.dry_run
            )
        config = load_config(recipe, overrides)
        places = find_places(config, options.results)
        if options.confirm < 0:
            raise ConfigError(f"--confirm: how many fresh seeds, at least 1, got {options.confirm}")
        if options.dry_run:
            print_plan(config, places, console, options.resume, options.confirm)
            return 0
        budget = None if options.time_budget is None else parse_duration(options.time_budget)
        how = Options(options.resume, budget, options.confirm)
        return run_study(config, places, how, console)
    except ConfigError as error:
        print(f"error: {masked(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped before anything was started", file=sys.stderr)
        return 1


def parse_duration(text: str) -> float:
    """Reads `4h`, `90m`, `1h30m` or `45s` as seconds.

    Raises:
        ConfigError: If it is none of these, or no time at all.
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text)
    seconds = 0.0
    if match is not None:
        hours, minutes, rest = (float(part or 0) for part in match.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    if seconds <= 0:
        raise ConfigError(f"--time-budget: a time above 0 such as 4h, 90m or 1h30m, got {text!r}")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="study/run.py",
        description="Train encoders against an adversary, attack them frozen, show the frontier.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words", nargs="*", metavar="RECIPE | part.field=value",
        help="a recipe's name (see --list) or a YAML file, then values that override it",
    )  # fmt: skip
    parser.add_argument(
        "--resume", action="store_true",
        help="go on with the study of this name (or start it, if there is none)",
    )  # fmt: skip
    parser.add_argument(
        "--time-budget", metavar="4h",
        help="start no new encoder after this time; what runs is finished and verified",
    )  # fmt: skip
    parser.add_argument(
        "--confirm", type=int, metavar="N", default=0,
        help="once the search has ended, train and attack the frontier's encoders, and those "
        "within their errors of it, again with N fresh seeds (--resume: of a study that exists)",
    )  # fmt: skip
    parser.add_argument(
        "--dry-run", action="store_true",
        help="check everything, print the configuration, the trials, time and disk, with --confirm "
        "also which encoders would be trained again; start nothing",
    )  # fmt: skip
    parser.add_argument(
        "--size", metavar="tiny|small|paper", default="tiny",
        help="of a paper's experiment, such as xiao-table1, which searches nothing (tiny)",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="list the recipes")
    parser.add_argument(
        "--results",
        metavar="DIR",
        default="results",
        help="folder of all results (results/), or s3://bucket/folder",
    )
    return parser


def _split_words(words: Sequence[str]) -> tuple[str, list[str]]:
    recipe, overrides = split_words(words)
    for word in overrides:
        name, _, value = word.partition("=")
        if value != without_password(value):
            raise ConfigError(
                f"{name}: everyone on this machine can read a password on a command line, and Ray "
                "keeps it with the job; give it in PGPASSWORD or in a file (PGPASSFILE, "
                "~/.pgpass), or the whole address in OPTUNA_STORAGE"
            )
    return recipe or "quickstart", overrides


if __name__ == "__main__":
    sys.exit(main())
