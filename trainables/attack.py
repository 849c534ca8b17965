"""One attack trial: fresh attackers trained on a frozen encoder until they saturate.

Pure PyTorch, like `protect.py`. The attackers of one trial share its encoding pass.
"""

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainables.attackers.base import Attacker, Kind, Target
from trainables.attackers.config import AttackConfig
from trainables.attackers.decoder import DecoderAttacker
from trainables.attackers.suite import (
    ATTACKERS,
    IN_LOOP,
    IN_LOOP_ATTRIBUTE,
    SUITE_VERSION,
    build_attacker,
)
from trainables.checkpoint import load_state, save_state
from trainables.data.tasks import TaskBatches
from trainables.encodings import Encodings
from trainables.frozen import load_encoder
from trainables.nets.config import ModelConfig
from trainables.nets.perceptual import build_perceptual
from trainables.pictures import NUM_PICTURES, save_strip
from trainables.protect import trial_dataset
from trainables.saturation import SaturationConfig, SaturationMonitor
from trainables.scores import Scores, attribute_scores, reconstruction_scores
from trainables.seeding import derive_seed


class AttackTrial:
    """Trains the attackers of one group, one after the other.

    Args:
        config: `encoder` (a file, `identity` or `constant`), `attackers` (settings as JSON),
            `attack`, `data`, `model`, `seed`, `output`, `cache`, `device`, and `in_loop`: whether
            this trial also evaluates the in-loop adversary as it stood at the end of training.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.dataset = trial_dataset(config)
        self.device = torch.device(config.get("device", "cpu"))
        self.settings = AttackConfig(**config["attack"])
        self.output = Path(config["output"])
        data = self.dataset.config
        self.encoder = load_encoder(str(config["encoder"]), data.height, data.width)
        self.encodings = Encodings(self.encoder, self.dataset, self.device)
        self.hash_before = self.encoder.hash()
        self.target = self._target()
        self.results: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._start_next()

    def _target(self) -> Target:
        data, dataset = self.dataset.config, self.dataset
        model = ModelConfig(**self.config["model"])
        wanted = [ATTACKERS[settings["name"]] for settings in self.config["attackers"]]
        perceptual = None
        if any(config.needs_perceptual for config in wanted):
            perceptual = build_perceptual(model, dataset, Path(self.config["cache"]), self.device)
        public = dataset.store.labels[dataset.rows("public")][:, dataset.private_columns]
        return Target(
            self.encoder.spec,
            model,
            data.height,
            data.width,
            tuple(dataset.private_columns),
            dataset.private_names,
            tuple(float(rate) for rate in public.astype(np.float64).mean(axis=0)),
            self.device,
            perceptual,
            dataset.num_categories,
        )

    def _start_next(self) -> None:
        """Makes the next attacker, from scratch and from its own seed."""
        self.attacker: Attacker | None = None
        if len(self.results) >= len(self.config["attackers"]):
            return
        settings = self.config["attackers"][len(self.results)]
        seed = derive_seed(self.config["seed"], settings["name"])
        torch.manual_seed(seed)
        self.attacker = build_attacker(dict(settings), self.target)
        names = SaturationConfig.model_fields
        rule = {key: value for key, value in self.settings.model_dump().items() if key in names}
        self.monitor = SaturationMonitor(SaturationConfig(**rule))
        store = self.dataset.store
        self.batches = TaskBatches(
            store.images,
            store.labels,
            self.dataset.rows("public"),
            self.settings.batch_size,
            seed,
        )
        self.flip_seed = derive_seed(seed, "flips")
        self.steps = 0
        self.attacker_seconds = 0.0
        self.best = self.attacker.weights()

    def step(self) -> dict[str, Any]:
        """Trains the present attacker up to its next evaluation and reports."""
        if self.attacker is None:
            return self._report({}, done=True)
        start = time.perf_counter()
        self.attacker.set_rate(self.monitor.rate)
        rate = self.monitor.rate
        for _ in range(min(self.settings.evaluate_every, self.settings.max_steps - self.steps)):
            rows = self.batches.next_rows(self.attacker.task)
            flip = np.random.default_rng([self.flip_seed, self.steps]).random(len(rows)) < 0.5
            views = derive_seed(self.flip_seed, self.steps) if self.settings.augment else None
            self.attacker.train_step(self.encodings.public_batch(rows, flip, views))
            self.steps += 1
        score = self.attacker.evaluate(self.encodings.split_batches("selection")).score
        improved, verdict = self.monitor.update(self.steps, score)
        if improved:
            self.best = self.attacker.weights()
        if verdict == "decay":
            self.attacker.load_weights(self.best)
        elapsed = time.perf_counter() - start
        self.seconds += elapsed
        self.attacker_seconds += elapsed
        label = self.attacker.config.name
        curves = {f"train/{label}": score, f"train/{label}_rate": rate, "train_step": self.steps}
        if verdict == "stop":
            self._finish_attacker()
        done = self.attacker is None
        return self._report(curves, done)

    def _report(self, curves: dict[str, Any], done: bool) -> dict[str, Any]:
        total = len(self.config["attackers"])
        part = 0.0 if self.attacker is None else self.steps / self.settings.max_steps
        report: dict[str, Any] = {
            **curves,
            "done": done,
            "progress": 1.0 if done else (len(self.results) + part) / total,
            "seconds": self.seconds,
        }
        if done:
            report |= {"status": "finished", "reason": "", "suite_version": SUITE_VERSION}
            report["results"] = [*self._in_loop_results(), *self.results]
        return report

    def _finish_attacker(self) -> None:
        """Restores the best weights, scores them on test, and goes on to the next attacker."""
        assert self.attacker is not None
        start = time.perf_counter()
        self.attacker.load_weights(self.best)
        test = self.attacker.evaluate(self.encodings.split_batches("test"))
        config = self.attacker.config
        strip = None
        if isinstance(self.attacker, DecoderAttacker):
            strip = self._save_strip(config.name, self.attacker.reconstruct)
        elapsed = time.perf_counter() - start
        self.seconds += elapsed
        self.results.append(
            self._result(
                config.name,
                config.kind,
                self.monitor.best,
                test,
                saturated=self.monitor.saturated,
                steps=self.steps,
                seconds=self.attacker_seconds + elapsed,
                curve=[list(point) for point in self.monitor.curve],
                reconstructions=strip,
            )
        )
        self._start_next()

    def _result(
        self, name: str, kind: str, selection: float, test: Scores, **more: Any
    ) -> dict[str, Any]:
        hash_after = self.encoder.hash()
        if hash_after != self.hash_before:
            raise RuntimeError(
                f"the frozen encoder moved while {name!r} attacked it: weights' hash was "
                f"{self.hash_before}, is {hash_after}"
            )
        return {
            "attacker": name,
            "kind": kind,
            "seed": self.config["seed"],
            "selection": selection,
            "test": test.score,
            "metrics": test.metrics,
            "num_public": len(self.dataset.rows("public")),
            "encoder_hash_before": self.hash_before,
            "encoder_hash_after": hash_after,
            **more,
        }

    def _in_loop_results(self) -> list[dict[str, Any]]:
        """Scores the in-loop adversaries as they stood at the end of training; none is trained."""
        if not self.config.get("in_loop", False):
            return []
        in_loop, results = self.encoder.in_loop, []
        if in_loop.decoder is not None:
            results.append(self._in_loop_decoder(in_loop.decoder))
        if in_loop.classifier is not None:
            results.append(self._in_loop_classifier(in_loop.classifier))
        return results

    @torch.no_grad()
    def _as_sent(self, net: nn.Module, codes: Tensor) -> Tensor:
        """An in-loop adversary's answer to codes as the encoder sends them, not standardised."""
        answer: Tensor = net(codes * self.encodings.scale + self.encodings.mean)
        return answer

    def _in_loop_decoder(self, decoder: nn.Module) -> dict[str, Any]:
        start = time.perf_counter()
        reconstruct = functools.partial(self._as_sent, decoder)
        scores = {
            split: reconstruction_scores(
                (reconstruct(b.codes), b.images) for b in self.encodings.split_batches(split)
            )
            for split in ("selection", "test")
        }
        strip = self._save_strip(IN_LOOP, reconstruct)
        return self._untrained(IN_LOOP, "reconstruction", scores, start, reconstructions=strip)

    def _in_loop_classifier(self, classifier: nn.Module) -> dict[str, Any]:
        start, target = time.perf_counter(), self.target
        scores = {}
        for split in ("selection", "test"):
            pairs = [
                (self._as_sent(classifier, batch.codes), batch.labels)
                for batch in self.encodings.split_batches(split)
            ]
            scores[split] = attribute_scores(
                IN_LOOP_ATTRIBUTE,
                pairs,
                target.private_columns,
                target.private_names,
                target.categorical,
            )
        return self._untrained(IN_LOOP_ATTRIBUTE, "attribute", scores, start, reconstructions=None)

    def _untrained(
        self, name: str, kind: Kind, scores: Mapping[str, Scores], start: float, **more: Any
    ) -> dict[str, Any]:
        """The result of an adversary that is taken as it is."""
        return self._result(
            name,
            kind,
            scores["selection"].score,
            scores["test"],
            saturated=True,
            steps=0,
            seconds=time.perf_counter() - start,
            curve=[],
            **more,
        )

    def _save_strip(self, name: str, reconstruct: Any) -> str:
        batch = next(iter(self.encodings.split_batches("test")))
        save_strip(batch.images[:NUM_PICTURES], self.output / "originals.png")
        path = self.output / f"{name}.png"
        save_strip(reconstruct(batch.codes[:NUM_PICTURES]), path)
        return str(path)

    def save(self, path: Path) -> None:
        """Writes all state of the trial to one file."""
        state: dict[str, Any] = {"results": self.results, "seconds": self.seconds}
        if self.attacker is not None:
            state |= {
                "attacker": self.attacker.state_dict(),
                "monitor": self.monitor.state_dict(),
                "batches": self.batches.state_dict(),
                "steps": self.steps,
                "attacker_seconds": self.attacker_seconds,
                "best": self.best,
            }
        save_state(state, path)

    def load(self, path: Path) -> None:
        """Goes on from a saved state; the numbers are those of a run never interrupted."""
        state = load_state(path)
        self.results, self.seconds = state["results"], state["seconds"]
        self._start_next()
        if self.attacker is None:
            return
        self.attacker.load_state_dict(state["attacker"])
        self.monitor.load_state_dict(state["monitor"])
        self.batches.load_state_dict(state["batches"])
        self.steps, self.best = state["steps"], state["best"]
        self.attacker_seconds = state["attacker_seconds"]
