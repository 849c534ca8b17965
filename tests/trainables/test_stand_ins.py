"""Where only PyTorch is installed, a benchmark's round is the round of the libraries."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ONE_ROUND = """
import argparse, importlib.machinery, sys
hidden = sys.argv[1].split(",")
found = importlib.machinery.PathFinder.find_spec
def find_spec(name, *rest):
    return None if name.split(".")[0] in hidden else found(name, *rest)
importlib.machinery.PathFinder.find_spec = find_spec

import torch
from benchmarks import gpu_step
print("missing", *gpu_step.MISSING)
options = argparse.Namespace(
    backbone=sys.argv[2], width=0.125, image_size=32, images=8, batch_size=4
)
work, _, weights = gpu_step.make_round("conv3", "fp32", options, torch.device("cpu"))
work()
print("weights", float(sum(weight.detach().double().square().sum() for weight in weights)))
"""


def lines_of(hidden: list[str], backbone: str) -> dict[str, str]:
    arguments = [sys.executable, "-c", ONE_ROUND, ",".join(hidden), backbone]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.partition(" ")[::2] for line in done.stdout.splitlines())


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_a_round_with_stand_ins_is_the_round_of_the_libraries(backbone: str) -> None:
    from benchmarks.stand_ins import LIBRARIES

    with_libraries = lines_of([], backbone)
    alone = lines_of(list(LIBRARIES), backbone)
    assert with_libraries["missing"] == ""
    assert alone["missing"].split() == list(LIBRARIES)
    assert alone["weights"] == with_libraries["weights"]


def test_what_has_no_stand_in_says_what_is_missing_when_it_is_used() -> None:
    from benchmarks.stand_ins import Missing

    image = Missing("PIL").Image
    assert image | None is image
    with pytest.raises(ModuleNotFoundError, match=r"PIL\.Image\.open is needed here"):
        image.open("face.png")
