"""One attack trial: fresh attackers trained on a frozen encoder until they saturate.

Pure PyTorch, like `protect.py`. The attackers of one trial share its encoding pass.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.attack_batches import AttackBatches
from trainables.attack_target import attacked_encoder, make_target
from trainables.attackers.attribute import AttributeAttacker
from trainables.attackers.base import Attacker, AttackerConfig, Reconstructor
from trainables.attackers.config import AttackConfig
from trainables.attackers.in_loop import in_loop_scores
from trainables.attackers.suite import SUITE_VERSION, build_attacker, named_attacker
from trainables.averaging import WeightAverages
from trainables.chance import at_chance
from trainables.checkpoint import load_state, save_state
from trainables.data.splits import share_of
from trainables.encodings import CodeBatch, Encodings, Knowledge
from trainables.frozen import CONSTANT
from trainables.identity import attacker_rows, build_identity, face_features
from trainables.nets.config import ModelConfig
from trainables.nets.perceptual import build_perceptual
from trainables.people_figures import answer_figures, code_figures
from trainables.pictures import NUM_PICTURES, keep_pictures
from trainables.precision import Precision, computed_in
from trainables.protect import trial_dataset
from trainables.saturation import SaturationConfig, SaturationMonitor
from trainables.scores import Scores
from trainables.seeding import derive_seed, seed_draws


class AttackTrial:
    """Trains the attackers of one group, one after the other.

    Args:
        config: `encoder` (a file, `identity`, `constant` or `planted`), `attackers` (settings as
            JSON), `attack`, `data`, `model`, `seed`, `output`, `cache`, `device`, `precision`;
            `in_loop`, whether this trial also evaluates the in-loop adversaries as they stood at
            the end of training; `people`, whether it measures how far the codes tell people
            apart; and `pictures`, test images that are kept beside their reconstructions (8).
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.dataset = trial_dataset(config)
        self.device = torch.device(config.get("device", "cpu"))
        self.precision: Precision = config.get("precision", "fp32")
        self.settings = AttackConfig(**config["attack"])
        self.output = Path(config["output"])
        self.model = ModelConfig(**config["model"])
        self.wanted = [named_attacker(str(entry["name"])) for entry in config["attackers"]]
        self.encoder = attacked_encoder(str(config["encoder"]), self.model, self.dataset)
        cache = Path(config["cache"])
        self.identity = build_identity(self.settings, self.dataset, cache, self.device)
        faces = None
        if self.identity is not None:
            faces = face_features(self.identity, self.dataset, cache)
        knowledge = Knowledge(attacker_rows(self.settings, self.dataset), faces)
        self.encodings = Encodings(self.encoder, self.dataset, self.device, knowledge=knowledge)
        self.hash_before = self.encoder.hash()
        perceptual = None
        if any(attacker.needs_perceptual for attacker in self.wanted):
            perceptual = build_perceptual(self.model, self.dataset, cache, self.device)
        self.target = make_target(self.model, self.encodings, perceptual, self.identity)
        self.results: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._start_next()

    def _start_next(self) -> None:
        """Makes the next attacker, from scratch and from its own seed."""
        self.attacker: Attacker | None = None
        if len(self.results) >= len(self.wanted):
            return
        config = self.wanted[len(self.results)]
        seed = derive_seed(self.config["seed"], config.name)
        torch.manual_seed(seed)
        settings = dict(self.config["attackers"][len(self.results)])
        self.attacker = build_attacker(settings, self.target)
        rule = {name: getattr(self.settings, name) for name in SaturationConfig.model_fields}
        rule["max_steps"] = config.budget or self.settings.max_steps
        rule["min_steps"] = min(rule["min_steps"], rule["max_steps"])
        self.monitor = SaturationMonitor(SaturationConfig(**rule))
        store, batch_size = self.dataset.store, self.settings.batch_size
        public = share_of(self.encodings.public_rows, config.data)
        self.batches = AttackBatches(store, public, self._extra_rows(config), batch_size, seed)
        self.flip_seed = derive_seed(seed, "flips")
        self.steps = 0
        self.attacker_seconds = 0.0
        self.averages = WeightAverages(self.attacker.nets())
        self.best = self.attacker.weights()

    def _extra_rows(self, config: AttackerConfig) -> NDArray[np.int64]:
        """The images of another source that an attacker learns from."""
        # An encoder that sends true labels has nothing to send for an image without any.
        used = config.extra and self.encoder.kind != "labels"
        return self.encodings.extra_rows if used else np.empty(0, dtype=np.int64)

    def step(self) -> dict[str, Any]:
        """Trains the present attacker up to its next evaluation and reports."""
        if self.attacker is None:
            return self._report({}, done=True)
        start = time.perf_counter()
        curves: dict[str, Any] = {}
        verdict = "stop"
        if self.attacker.trains:
            curves, verdict = self._train(self.attacker)
        elapsed = time.perf_counter() - start
        self.seconds += elapsed
        self.attacker_seconds += elapsed
        if verdict == "stop":
            self._finish_attacker()
        return self._report(curves, done=self.attacker is None)

    def _train(self, attacker: Attacker) -> tuple[dict[str, Any], str]:
        """Trains up to the next evaluation; returns the curves' points and what to do next."""
        rate, budget = self.monitor.rate, self.monitor.config.max_steps
        attacker.set_rate(rate)
        perceptual = self.target.perceptual
        computed = [*attacker.nets().values(), *([] if perceptual is None else [perceptual])]
        with computed_in(self.precision, computed):
            for _ in range(min(self.settings.evaluate_every, budget - self.steps)):
                self._train_step(attacker)
        own, averaged = attacker.weights(), self.averages.weights()
        attacker.load_weights(averaged)
        score, *others = attacker.monitored(self._selection())
        improved, verdict = self.monitor.update(
            self.steps, score, functools.partial(self._at_chance, attacker, score), others
        )
        if improved:
            self.best = averaged
        if verdict == "decay":
            attacker.load_weights(self.best)
            self.averages.restart()
        else:
            attacker.load_weights(own)
        label = attacker.config.name
        curves = {f"train/{label}": score, f"train/{label}_rate": rate, "train_step": self.steps}
        return curves, verdict

    def _selection(self) -> Iterator[CodeBatch]:
        return self.encodings.split_batches("selection")

    def _at_chance(self, attacker: Attacker, score: float) -> bool:
        """Whether the attacker, as it stands, has learned nothing from codes that may tell it."""
        if self.encoder.kind == CONSTANT:
            return False
        return at_chance(score, attacker.monitor, self._selection, self.settings.min_delta)

    def _train_step(self, attacker: Attacker) -> None:
        """Draws a batch of public codes and learns from it."""
        rows = self.batches.next_rows(attacker.task, settling=self.monitor.decayed)
        flip = np.random.default_rng([self.flip_seed, self.steps]).random(len(rows)) < 0.5
        views = derive_seed(self.flip_seed, self.steps) if self.settings.augment else None
        batch = self.encodings.public_batch(rows, flip, views, attacker.wants_features)
        # Dropout and sampled latents: a resumed attack must draw what it would have drawn.
        seed_draws(derive_seed(self.flip_seed, "draws", self.steps), self.device)
        attacker.train_step(batch)
        self.averages.update()
        self.steps += 1

    def _report(self, curves: dict[str, Any], done: bool) -> dict[str, Any]:
        total = len(self.wanted)
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
            asked = self.config.get("people", False)
            report["codes"] = code_figures(self.encodings) if asked else {}
        return report

    def _finish_attacker(self) -> None:
        """Restores the best weights, scores them on both splits, and goes on to the next."""
        attacker = self.attacker
        assert attacker is not None
        start = time.perf_counter()
        attacker.load_weights(self.best)
        attacker.settle(self._selection())
        selection, test = (
            attacker.evaluate(self.encodings.split_batches(split))
            for split in ("selection", "test")
        )
        more: dict[str, float] = {}
        if isinstance(attacker, AttributeAttacker):
            more = attacker.information(
                *(self.encodings.split_batches(split) for split in ("selection", "test"))
            )
        strip = None
        if isinstance(attacker, Reconstructor):
            strip = self._pictures(attacker.config.name, attacker.reconstruct)
        elapsed = time.perf_counter() - start
        self.seconds += elapsed
        self.results.append(
            self._result(
                attacker.config.name,
                attacker.config.kind,
                selection,
                test,
                more,
                settings=attacker.config.model_dump(mode="json"),
                counts=attacker.config.counts,
                white_box=attacker.config.white_box,
                num_train=self.batches.num_images,
                saturated=self.monitor.saturated or not attacker.trains,
                steps=self.steps,
                seconds=self.attacker_seconds + elapsed,
                curve=[list(point) for point in self.monitor.curve],
                reconstructions=strip,
            )
        )
        self._start_next()

    def _result(
        self,
        name: str,
        kind: str,
        selection: Scores,
        test: Scores,
        figures: Mapping[str, float],
        **more: Any,
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
            "selection": selection.score,
            "selection_error": selection.error,
            "test": test.score,
            "test_error": test.error,
            "by_attribute": _by_attribute(selection, test),
            "suite_version": SUITE_VERSION,
            "rule": {name: getattr(self.settings, name) for name in SaturationConfig.model_fields},
            "metrics": {**test.metrics, **answer_figures(test, self.encodings), **figures},
            "num_public": len(self.encodings.public_rows),
            "encoder_hash_before": self.hash_before,
            "encoder_hash_after": hash_after,
            **more,
        }

    def _in_loop_results(self) -> list[dict[str, Any]]:
        """Scores the in-loop adversaries as they stood at the end of training; none is trained."""
        if not self.config.get("in_loop", False):
            return []
        results = []
        for work in in_loop_scores(self.encoder.in_loop, self.encodings, self.target):
            start = time.perf_counter()
            own = work()
            rebuild = own.reconstruct
            strip = None if rebuild is None else self._pictures(own.name, rebuild)
            results.append(
                self._result(
                    own.name,
                    own.kind,
                    own.selection,
                    own.test,
                    {},
                    counts=True,
                    white_box=False,
                    saturated=True,
                    steps=0,
                    seconds=time.perf_counter() - start,
                    curve=[],
                    reconstructions=strip,
                )
            )
        return results

    def _pictures(self, name: str, reconstruct: Callable[[Tensor], Tensor]) -> str | None:
        count = int(self.config.get("pictures", NUM_PICTURES))
        return keep_pictures(self.encodings, count, name, reconstruct, self.output)

    def save(self, path: Path) -> None:
        """Writes all state of the trial to one file."""
        state: dict[str, Any] = {"results": self.results, "seconds": self.seconds}
        if self.attacker is not None:
            state |= {
                "attacker": self.attacker.state_dict(),
                "averages": self.averages.state_dict(),
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
        self.averages.load_state_dict(state["averages"])
        self.monitor.load_state_dict(state["monitor"])
        self.batches.load_state_dict(state["batches"])
        self.steps, self.best = state["steps"], state["best"]
        self.attacker_seconds = state["attacker_seconds"]


def _by_attribute(selection: Scores, test: Scores) -> dict[str, dict[str, float]]:
    """Each private attribute's scores, as those of a whole attacker are called."""
    if selection.by_attribute is None or test.by_attribute is None:
        return {}
    return {
        name: {
            "selection": score,
            "selection_error": error,
            "test": test.by_attribute[name][0],
            "test_error": test.by_attribute[name][1],
        }
        for name, (score, error) in selection.by_attribute.items()
    }
