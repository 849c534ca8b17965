"""Trials of the real ones' interface that take milliseconds, and listeners that take notes."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainables.attackers.suite import SUITE_VERSION
from trainables.checkpoint import load_state, save_state

CONTENT = {
    "content_hash": "0" * 64, "splits_hash": "1" * 16, "height": 32, "width": 32,
    "utility": ["Eyeglasses"], "private": ["Smiling"], "source": "avatars", "num_images": 400,
    "split_sizes": {"private": 256, "public": 64, "selection": 32, "test": 48},
    "suite_version": SUITE_VERSION,
}  # fmt: skip
"""As much of `Dataset.describe()` as a study reads, and what it adds to it."""


class FakeDataset:
    """What a study asks of a data set that nothing is trained on."""

    def describe(self) -> dict[str, Any]:
        """See `CONTENT`."""
        return CONTENT


FLOOR, CEILING = 0.5, 0.9
REACH = CEILING - FLOOR
IN_LOOP = {
    "reconstruction": {"in_loop": ("in_loop/decoder", 0.25)},
    "label_flip": {"in_loop_attribute": ("in_loop/attribute", 0.25)},
    "obfuscator": {
        "in_loop": ("in_loop/decoder", 0.25), "in_loop_attribute": ("in_loop/attribute", 0.25),
    },
}  # fmt: skip
"""Protector → its in-loop adversaries, each with what it is reported as."""


class FakeProtect:
    """Utility falls with λ1, and so does what attackers will find."""

    steps = 3

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.done = 0
        self.sleep = 0.0

    def step(self) -> dict[str, Any]:
        """One of three steps."""
        time.sleep(self.sleep)
        self.done += 1
        result: dict[str, Any] = {
            "train/loss": 1 / self.done, "train_step": self.done, "seconds": 0.1 * self.done,
            "progress": self.done / self.steps, "done": self.done >= self.steps,
        }  # fmt: skip
        if result["done"]:
            result |= self.outcome()
        return result

    def outcome(self) -> dict[str, Any]:
        """What it ends with."""
        weight = float(self.config["protector"].get("lambda1", 0))
        output = Path(self.config["output"])
        output.mkdir(parents=True, exist_ok=True)
        in_loop = IN_LOOP.get(self.config["protector"]["name"], {})
        (output / "encoder.pt").write_text(json.dumps({"weight": weight, "in_loop": [*in_loop]}))
        result = {
            "status": "finished", "reason": "all rounds done", "rounds": 3, "converged": True,
            "utility/mean_mcc": 0.9 / (1 + 0.01 * weight), "encoder_hash": "abc",
            "utility/mean_mcc_selection": 0.92 / (1 + 0.01 * weight),
            "cost/parameters": 100, "cost/multiply_adds": 1000, "cost/code_bytes": 64,
            "cost/latency_ms": 1.0,
        }  # fmt: skip
        return result | dict(in_loop.values())

    def save(self, path: Path) -> None:
        """Writes the step counter."""
        save_state({"done": self.done}, path)

    def load(self, path: Path) -> None:
        """Reads the step counter."""
        self.done = load_state(path)["done"]


class FakeAttack(FakeProtect):
    """Scores by the encoder's λ1: the decoder finds less the larger it is."""

    def outcome(self) -> dict[str, Any]:
        """One result per attacker."""
        encoder = self.config["encoder"]
        if encoder == "constant":
            score = FLOOR
        elif encoder == "identity":
            score = CEILING
        elif encoder == "planted":
            score = 1.0
        else:
            weight = json.loads(Path(encoder).read_text())["weight"]
            score = FLOOR + REACH * 5 / 6 / (1 + weight)
        results = [
            self.result(attacker["name"], "attribute" if attacker["name"] == "attribute"
                        else "reconstruction", score - 0.01 * index * (encoder not in
                        ("constant", "identity", "planted")))
            for index, attacker in enumerate(self.config["attackers"])
        ]  # fmt: skip
        if self.config["in_loop"]:
            kinds = {"in_loop": "reconstruction", "in_loop_attribute": "attribute"}
            for name in json.loads(Path(encoder).read_text())["in_loop"]:
                results.insert(0, self.result(name, kinds[name], FLOOR + REACH / 12))
        return {"status": "finished", "reason": "", "results": results}

    def result(self, name: str, kind: str, score: float) -> dict[str, Any]:
        """The result of one attacker."""
        metrics = {"ssim": score, "psnr": 12.0, "mse": 0.1}
        if kind == "attribute":
            metrics = {"balanced_accuracy/Smiling": score, "majority/Smiling": 0.6}
        return {
            "attacker": name, "kind": kind, "seed": self.config["seed"], "selection": score + 0.01,
            "test": score, "saturated": True, "steps": 100, "seconds": 0.5, "num_public": 64,
            "metrics": metrics, "curve": [[50, score - 0.1, 1e-3], [100, score + 0.01, 1e-4]],
            "encoder_hash_before": "abc", "encoder_hash_after": "abc", "reconstructions": None,
        }  # fmt: skip


def fake_trial(config: Mapping[str, Any]) -> FakeProtect:
    """The factory of fast trials."""
    return FakeProtect(config) if config["kind"] == "protect" else FakeAttack(config)


def slow_fake_trial(config: Mapping[str, Any]) -> FakeProtect:
    """The factory of trials slow enough to be killed; $FAKE_STEPS steps of $FAKE_SECONDS.

    The one of λ1 = 1 takes more memory than the control group $FAKE_HUNGRY has, if that is set.
    """
    trial = fake_trial(config)
    trial.sleep = float(os.environ.get("FAKE_SECONDS", "0.1"))
    trial.steps = int(os.environ.get("FAKE_STEPS", "3"))
    # One line per start, beside the study: what was begun more than once can be counted.
    results = Path(config["cache"]).parent
    results.mkdir(parents=True, exist_ok=True)
    with (results / "starts.txt").open("a", encoding="utf-8") as file:
        file.write(f"{config.get('attack_id', config['encoder_id'])}\n")
    group = os.environ.get("FAKE_HUNGRY")
    if group and config.get("protector", {}).get("lambda1") == 1.0:
        # More than this control group has room for.
        (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
        bytearray(500_000_000)
    return trial


class Notes:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args: self.events.append((name, args))

    def named(self, name: str) -> list[Any]:
        """The arguments of every call of one kind."""
        return [args for event, args in self.events if event == name]
