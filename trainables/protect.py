"""One protect trial: train an encoder, evaluate it, leave it frozen for the attackers.

Pure PyTorch: configuration in, `step()`, checkpoint, metrics out. `study/trial.py` puts it under
Ray Tune; a test or a notebook can run it as it is.
"""

import functools
import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainables import metrics
from trainables.checkpoint import load_state, save_state
from trainables.collapse import collapse_reason, collapse_report, is_collapsed
from trainables.costs import encoder_costs
from trainables.data.augment import AugmentedBatches
from trainables.data.batches import Batch, sequential
from trainables.data.config import DataConfig
from trainables.data.dataset import Dataset, load_dataset
from trainables.data.resident import on_device
from trainables.data.source import DataError
from trainables.data.splits import share_of
from trainables.data.tasks import TaskBatches
from trainables.frozen import (
    FrozenEncoder,
    InLoop,
    load_encoder,
    save_fixed_encoder,
    save_labels_encoder,
    save_network_encoder,
)
from trainables.in_loop import in_loop_accuracy, in_loop_ssim
from trainables.kept_codes import keep_codes
from trainables.nets.backbones import own_style
from trainables.nets.config import ModelConfig
from trainables.nets.perceptual import build_perceptual
from trainables.pictures import NUM_PICTURES
from trainables.precision import Precision, computed_in
from trainables.protectors import PROTECTORS
from trainables.protectors.base import Protector, Setting
from trainables.protectors.baselines import FixedConfig
from trainables.scores import NotFiniteError, utility_scores
from trainables.seeding import canonical_json, derive_seed
from trainables.terms import read_terms

ENCODER_FILE = "encoder.pt"
NUM_EVALUATIONS = 10
"""Evaluations per training, each one pass over the selection split."""
ROUNDS_PER_STEP = 25
"""Rounds between reports. A fixed number, so that a repeated run reports the same curve; a small
one, because checkpoints are written between steps."""
EVALUATION_BATCH = 256
CONVERGED_WITHIN = 0.01
"""Change between the last two reports below which utility and in-loop scores count as settled."""


@functools.lru_cache(maxsize=2)
def _dataset(data_json: str, cache: str) -> Dataset:
    # Read whole once per process: a store that was damaged since the study began is built again.
    return load_dataset(DataConfig(**json.loads(data_json)), Path(cache), verify=True)


def trial_dataset(config: Mapping[str, Any]) -> Dataset:
    """Opens a trial's data; actors that are reused keep it open.

    Raises:
        DataError: If they are not what the study was started on.
    """
    dataset = _dataset(canonical_json(config["data"]), str(config["cache"]))
    wanted = config.get("content_hash", dataset.store.content_hash)
    if dataset.store.content_hash != wanted:
        raise DataError(
            f"{dataset.store.path}: the images have changed since the study was started: SHA-256 "
            f"{dataset.store.content_hash}, it was {wanted}"
        )
    return dataset


class ProtectTrial:
    """Trains one encoder.

    Args:
        config: `data`, `model`, `protector` (settings as JSON), `seed`, `output` (folder of the
            encoder), `cache` (folder of the image stores), `device`, `precision`; `content_hash`,
            what the store's must be, if anything; and `pictures`, test images whose codes are kept
            as pictures (8), of which 0 keeps no codes at all.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.dataset = trial_dataset(config)
        self.device = torch.device(config.get("device", "cpu"))
        self.images = on_device(self.dataset.store.images, self.device)
        self.precision: Precision = config.get("precision", "fp32")
        self.model = ModelConfig(**config["model"])
        self.output = Path(config["output"])
        self.seconds = 0.0
        self.history: list[tuple[float, ...]] = []
        entry = PROTECTORS[config["protector"]["name"]]
        self.settings: Any = None
        self.protector: Protector | None = None
        if entry.build is not None:
            self.settings = entry.config(**config["protector"])
            self.protector = entry.build(self.settings, self._setting())
            self._make_batches(self.settings.batch_size)

    def _setting(self) -> Setting:
        data = self.dataset.config
        perceptual = None
        if self.settings.needs_perceptual:
            perceptual = build_perceptual(
                self.model, self.dataset, Path(self.config["cache"]), self.device
            )
        torch.manual_seed(self.config["seed"])
        return Setting(
            self.model,
            data.height,
            data.width,
            tuple(self.dataset.utility_columns),
            self.device,
            perceptual,
            tuple(self.dataset.private_columns),
            self.dataset.exclusive,
            self.dataset.num_categories,
        )

    def _make_batches(self, batch_size: int) -> None:
        assert self.protector is not None
        self.private = self._batches_of("private", batch_size)
        # Whoever draws no public images needs no batch full of them.
        needed = "public" if self.protector.needs_public else "private"
        self.public = self._batches_of(needed, batch_size)

    def _batches_of(self, split: str, batch_size: int) -> TaskBatches | AugmentedBatches:
        store, seed = self.dataset.store, derive_seed(self.config["seed"], split)
        rows = share_of(self.dataset.rows(split), self.settings.share)
        batches = TaskBatches(self.images, store.labels, rows, batch_size, seed, self.device)
        if not self.settings.augment:
            return batches
        return AugmentedBatches(batches, derive_seed(seed, "views"))

    def step(self) -> dict[str, Any]:
        """Trains for some rounds, evaluates at every tenth of the training, and reports."""
        start = time.perf_counter()
        if self.protector is None:
            return self._finish_labels(start)
        first, due = self.protector.rounds, self._next_evaluation()
        last = min(first + ROUNDS_PER_STEP, due)
        with computed_in(self.precision, self.protector.computed()):
            terms = [
                # Measuring costs time: once per report is enough for a curve.
                self.protector.round(self.private, self.public, measure=index == last - 1)
                for index in range(first, last)
            ]
        means, broken = read_terms(terms)
        if broken is not None:
            offset, term = broken
            return self._diverged(f"{term} was not finite in round {first + offset + 1}", start)
        values: dict[str, Any] = {f"train/{name}": value for name, value in means.items()}
        values["train/encoder_lr"] = self.protector.optimiser.param_groups[0]["lr"]
        finished = last >= self.settings.total_rounds
        if last == due:
            try:
                values |= self._evaluate()
                values |= self._finish() if finished else {}
            except NotFiniteError as error:
                return self._diverged(f"{error} after round {last}", start)
        self.seconds += time.perf_counter() - start
        return self._report(values, done=finished)

    def _next_evaluation(self) -> int:
        """The next round after which the selection split is evaluated."""
        assert self.protector is not None
        rounds = int(self.settings.total_rounds)
        done = self.protector.rounds * NUM_EVALUATIONS // rounds
        return math.ceil(rounds * (done + 1) / NUM_EVALUATIONS)

    def _evaluate(self) -> dict[str, float]:
        """Utility and in-loop scores on the selection split, as points of their curves."""
        mean_mcc = self._utility("selection")["utility/mean_mcc"]
        in_loop = self._in_loop("selection")
        self.history.append((mean_mcc, *in_loop.values()))
        curves = {f"train/selection_{name.replace('/', '_')}": v for name, v in in_loop.items()}
        return {"train/selection_mcc": mean_mcc, **curves}

    def _diverged(self, reason: str, start: float) -> dict[str, Any]:
        self.seconds += time.perf_counter() - start
        return self._report({}, done=True, status="diverged", reason=reason)

    def _report(self, values: dict[str, Any], done: bool, **extra: Any) -> dict[str, Any]:
        rounds = self.protector.rounds if self.protector is not None else 0
        total = self.settings.total_rounds if self.protector is not None else 1
        return {
            **values,
            **extra,
            "done": done,
            "progress": 1.0 if done else rounds / total,
            "train_step": rounds,
            "seconds": self.seconds,
        }

    def _finish(self) -> dict[str, Any]:
        assert self.protector is not None
        data = self.dataset.config
        encoder = self.protector.encoder.eval()
        for name, net in self.protector.nets().items():
            if not all(bool(value.isfinite().all()) for value in net.state_dict().values()):
                raise NotFiniteError(f"weights or statistics of the {name} were not finite")
        path = self._save_encoder(encoder)
        frozen = load_encoder(str(path), data.height, data.width)
        collapse = collapse_report(encoder, (b.images for b in self._batches("selection")))
        # No backbone makes a fixed code, so none constrains it.
        fixed = isinstance(self.settings, FixedConfig)
        constrained = not fixed and own_style(self.model, self.settings.style).constrained
        collapsed = is_collapsed(collapse, constrained)
        selection = self._utility("selection")
        final: dict[str, Any] = {
            **self._utility("test"),
            "utility/mean_mcc_selection": selection["utility/mean_mcc"],
            "utility/mean_mcc_selection_error": selection["utility/mean_mcc_error"],
            **encoder_costs(encoder, self.protector.code, data.height, data.width),
            **collapse,
            **self._in_loop("selection"),
            **self.protector.constants(),
            # As the attackers will see it: a fixed code has no weights to tell it from others.
            "encoder_hash": frozen.hash(),
            "status": "collapsed" if collapsed else "finished",
            "reason": f"all {self.settings.total_rounds} rounds done",
            "rounds": self.protector.rounds,
            "converged": self._converged(),
        }
        if collapsed:
            why = collapse_reason(collapse, constrained)
            final["reason"] += f", but the encoder collapsed: {why}"
        self._keep_codes(frozen)
        return final

    def _keep_codes(self, encoder: FrozenEncoder) -> None:
        count = int(self.config.get("pictures", NUM_PICTURES))
        keep_codes(encoder, self.dataset, self.images, self.device, self.output, count)

    def _save_encoder(self, encoder: nn.Module) -> Path:
        assert self.protector is not None
        path, data = self.output / ENCODER_FILE, self.dataset.config
        if isinstance(self.settings, FixedConfig):
            save_fixed_encoder(path, self.settings.fixed_code)
            return path
        in_loop = InLoop(self.protector.in_loop_decoder(), self.protector.in_loop_classifier())
        save_network_encoder(
            path,
            self.model,
            data.height,
            data.width,
            encoder,
            in_loop,
            self.settings.style,
            len(self.dataset.private_columns),
        )
        return path

    def _converged(self) -> bool:
        if len(self.history) < 2:
            return False
        before, after = self.history[-2:]
        return max(abs(x - y) for x, y in zip(before, after, strict=True)) < CONVERGED_WITHIN

    def _finish_labels(self, start: float) -> dict[str, Any]:
        columns, data = tuple(self.dataset.utility_columns), self.dataset.config
        path = self.output / ENCODER_FILE
        save_labels_encoder(path, columns)
        self._keep_codes(load_encoder(str(path), data.height, data.width))
        self.seconds += time.perf_counter() - start
        names = self.dataset.utility_names
        values: dict[str, Any] = {f"utility/mcc/{name}": 1.0 for name in names}
        values |= {f"utility/balanced_accuracy/{name}": 1.0 for name in names}
        values |= {"utility/mean_mcc": 1.0, "utility/mean_mcc_selection": 1.0}
        values |= {"utility/mean_mcc_error": 0.0}
        values |= {"cost/code_bytes": 4.0 * len(columns), "encoder_hash": "labels"}
        return self._report(
            values, done=True, status="finished", reason="nothing to train", converged=True
        )

    def _batches(self, split: str) -> Iterator[Batch]:
        store = self.dataset.store
        rows = self.dataset.rows(split)
        return sequential(self.images, store.labels, rows, EVALUATION_BATCH, self.device)

    def _utility(self, split: str) -> dict[str, float]:
        """Utility of `f(Enc(x))` on a split, both nets in evaluation mode."""
        assert self.protector is not None
        logits, labels = [], []
        for batch in self._batches(split):
            logits.append(self.protector.utility_logits(batch.images))
            labels.append(self.protector.utility_labels(batch))
        weights = None
        if self.dataset.categorical:
            every = torch.from_numpy(self.dataset.store.labels[self.dataset.rows(split)])
            weights = metrics.category_weights(every)
        names = self.dataset.utility_names
        return utility_scores(torch.cat(logits), torch.cat(labels), names, weights)

    def _in_loop(self, split: str) -> dict[str, float]:
        """Scores of the in-loop adversaries on a split, all nets in evaluation mode.

        Returns:
            `in_loop/decoder` (mean SSIM) and `in_loop/attribute` (mean balanced accuracy), of
            those that the method has.
        """
        assert self.protector is not None
        encoder, scores = self.protector.encoder, {}
        decoder, classifier = self.protector.in_loop_decoder(), self.protector.in_loop_classifier()
        if decoder is not None:
            images = (batch.images for batch in self._batches(split))
            scores["in_loop/decoder"] = in_loop_ssim(encoder, decoder, images)
        if classifier is not None:
            scores["in_loop/attribute"] = in_loop_accuracy(
                encoder, classifier, self._batches(split), self.dataset
            )
        return scores

    def save(self, path: Path) -> None:
        """Writes all state of the trial to one file."""
        if self.protector is None:
            save_state({"seconds": self.seconds}, path)
            return
        state = {
            "protector": self.protector.state_dict(),
            "private": self.private.state_dict(),
            "public": self.public.state_dict(),
            "seconds": self.seconds,
            "history": self.history,
        }
        save_state(state, path)

    def load(self, path: Path) -> None:
        """Goes on from a saved state; the numbers are those of a run never interrupted."""
        state = load_state(path)
        self.seconds = state["seconds"]
        if self.protector is None:
            return
        self.protector.load_state_dict(state["protector"])
        self.private.load_state_dict(state["private"])
        self.public.load_state_dict(state["public"])
        self.history = [tuple(pair) for pair in state["history"]]
