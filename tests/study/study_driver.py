"""Runs a study of slow fake trials in a process of its own, so that a test can kill it.

python study_driver.py RESULTS [part.field=value …] [--resume]

$FAKE_CHECKPOINT is the time between a trial's checkpoints, $FAKE_REST the first rest of a trial
whose process was lost.
"""

import functools
import os
import sys
from pathlib import Path

import ray
from rich.console import Console

from study import launch, search
from study.launch import Options, run_study
from study.loading import load_config
from study.losses import Losses
from study.places import find_places
from tests.study import study_fakes
from trainables.errors import ConfigError


def main() -> int:
    """Runs the study; the exit code is the study's."""
    # The workers cannot import the tests.
    ray.cloudpickle.register_pickle_by_value(study_fakes)
    words = [word for word in sys.argv[2:] if "=" in word]
    recipe = Path(__file__).parent / "small.yaml"
    config = load_config(str(recipe), ["data.num_images=400", *words])
    places = find_places(config, sys.argv[1])
    options = Options(resume="--resume" in sys.argv)
    if "FAKE_CHECKPOINT" in os.environ:
        seconds = float(os.environ["FAKE_CHECKPOINT"])
        launch.run_sweep = functools.partial(launch.run_sweep, checkpoint_seconds=seconds)
    if "FAKE_REST" in os.environ:
        search.Losses = functools.partial(Losses, rest=float(os.environ["FAKE_REST"]))  # type: ignore[assignment, misc]
    try:
        return run_study(config, places, options, Console(), study_fakes.slow_fake_trial)
    except ConfigError as error:  # as study/run.py does
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
