"""Trials that only keep a core busy, for `study_overhead.py`; what workers load to run them."""

import importlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainables.checkpoint import load_state, save_state

STEPS = 20
"""Reports of each trial."""
CHECKPOINT_VALUES = 3_000_000
"""Floats in a trial's checkpoint: about a quarter-width ResNet with its decoder and optimisers."""


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
        """Builds one, with everything loaded that a real one needs."""
        real = "protect" if config["kind"] == "protect" else "attack"
        importlib.import_module(f"trainables.{real}")
        return BusyTrial(config, self.seconds)
