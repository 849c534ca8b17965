"""Real trials whose process or image store is lost: what follows ends as if nothing had been."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainables.trial_probe import (
    DATA,
    attack_config,
    finish,
    protect_config,
    without_times,
)
from trainables.attack import AttackTrial
from trainables.data.dataset import load_dataset
from trainables.data.source import DataError
from trainables.protect import ProtectTrial, _dataset, trial_dataset

ROOT = Path(__file__).resolve().parents[2]
SHORT = {"rounds": 40, "batch_size": 32, "warmup": 4}
DRIVER = """
import os, sys
from pathlib import Path
from tests.trainables.trial_probe import protect_config
from trainables.protect import ProtectTrial
cache, output = map(Path, sys.argv[1:])
trial = ProtectTrial(protect_config(cache, output, rounds=40, batch_size=32, warmup=4))
trial.step()
(store,) = cache.glob("*.arrow")
os.truncate(store, 4096)
trial.step()
"""


@pytest.fixture(autouse=True)
def fresh():
    """No data set that another test left open, and none left open."""
    _dataset.cache_clear()
    yield
    _dataset.cache_clear()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_trial_that_starts_builds_it_again(tmp_path: Path, damage) -> None:
    before = load_dataset(DATA, tmp_path)
    hashed, path = before.store.content_hash, before.store.path
    del before
    damage(path)
    config = {"data": DATA.model_dump(mode="json"), "cache": str(tmp_path), "content_hash": hashed}
    with pytest.warns(UserWarning, match="the image store is rebuilt"):
        assert trial_dataset(config).store.content_hash == hashed
    _dataset.cache_clear()
    with pytest.raises(DataError, match="the images have changed since the study was started"):
        trial_dataset({**config, "content_hash": "0" * 64})


@pytest.mark.slow
def test_a_trial_whose_store_is_cut_off_dies_and_the_next_one_ends_as_if_nothing_had_been(
    tmp_path: Path,
) -> None:
    undisturbed = finish(ProtectTrial(protect_config(tmp_path / "a", tmp_path / "x", **SHORT)))
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "b"), str(tmp_path / "y")]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGBUS, killed.stderr
    # What Tune's next process does.
    with pytest.warns(UserWarning, match="the image store is rebuilt"):
        again = finish(ProtectTrial(protect_config(tmp_path / "b", tmp_path / "y", **SHORT)))
    assert without_times(again) == without_times(undisturbed)


ENCODING = """
import os, signal, sys
from pathlib import Path
from tests.trainables.trial_probe import attack_config
from trainables import encodings
from trainables.attack import AttackTrial
cache, output = map(Path, sys.argv[1:])
encode, calls = encodings.Encodings._encode, []
def dying(self, *given):
    calls.append(given)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return encode(self, *given)
encodings.Encodings._encode = dying
trial = AttackTrial(attack_config(cache, output, "identity", ["decoder"]))
while not trial.step()["done"]:
    pass
"""


@pytest.mark.slow
def test_an_attack_that_is_killed_while_it_encodes_ends_as_if_nothing_had_been(
    tmp_path: Path,
) -> None:
    def attack(output: str) -> list:
        config = attack_config(tmp_path / "cache", tmp_path / output, "identity", ["decoder"])
        return without_times(finish(AttackTrial(config)))

    undisturbed = attack("x")
    command = [sys.executable, "-c", ENCODING, str(tmp_path / "cache"), str(tmp_path / "y")]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert attack("y")[-1]["results"][0]["curve"] == undisturbed[-1]["results"][0]["curve"]
    assert attack("y")[-1]["results"][0]["test"] == undisturbed[-1]["results"][0]["test"]
