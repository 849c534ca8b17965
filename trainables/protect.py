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
from torch import Tensor, nn

from trainables import metrics
from trainables.checkpoint import load_state, save_state
from trainables.costs import encoder_costs
from trainables.data.batches import Batch, RandomBatches, sequential
from trainables.data.config import DataConfig
from trainables.data.dataset import Dataset, load_dataset
from trainables.frozen import save_labels_encoder, save_network_encoder
from trainables.nets.config import ModelConfig
from trainables.nets.perceptual import build_perceptual
from trainables.protectors import PROTECTORS
from trainables.protectors.base import Protector, Setting
from trainables.seeding import canonical_json, derive_seed, state_hash

ENCODER_FILE = "encoder.pt"
NUM_EVALUATIONS = 10
"""Evaluations per training, each one pass over the selection split."""
ROUNDS_PER_STEP = 25
"""Rounds between reports. A fixed number, so that a repeated run reports the same curve; a small
one, because checkpoints are written between steps."""
EVALUATION_BATCH = 256
CONVERGED_WITHIN = 0.01
"""Change between the last two reports below which utility and in-loop score count as settled."""


@functools.lru_cache(maxsize=2)
def _dataset(data_json: str, cache: str) -> Dataset:
    return load_dataset(DataConfig(**json.loads(data_json)), Path(cache))


def trial_dataset(config: Mapping[str, Any]) -> Dataset:
    """Opens a trial's data; actors that are reused keep it open."""
    return _dataset(canonical_json(config["data"]), str(config["cache"]))


class NotFiniteError(ArithmeticError):
    """Something that training or evaluation computed is NaN or infinite."""


class ProtectTrial:
    """Trains one encoder.

    Args:
        config: `data`, `model`, `protector` (settings as JSON), `seed`, `output` (folder of the
            encoder), `cache` (folder of the image stores), `device`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.dataset = trial_dataset(config)
        self.device = torch.device(config.get("device", "cpu"))
        self.model = ModelConfig(**config["model"])
        self.output = Path(config["output"])
        self.seconds = 0.0
        self.history: list[tuple[float, float]] = []
        entry = PROTECTORS[config["protector"]["name"]]
        self.settings: Any = None
        self.protector: Protector | None = None
        if entry.build is not None:
            self.settings = entry.config(**config["protector"])
            self.protector = entry.build(self.settings, self._setting())
            self._make_batches(self.settings.batch_size)

    def _setting(self) -> Setting:
        data = self.dataset.config
        needs_perceptual = getattr(self.settings, "needs_perceptual", False)
        perceptual = None
        if needs_perceptual:
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
        )

    def _make_batches(self, batch_size: int) -> None:
        store = self.dataset.store
        self.private, self.public = (
            RandomBatches(
                store.images,
                store.labels,
                self.dataset.rows(split),
                batch_size,
                derive_seed(self.config["seed"], split),
                self.device,
            )
            for split in ("private", "public")
        )

    def step(self) -> dict[str, Any]:
        """Trains for some rounds, evaluates at every tenth of the training, and reports."""
        start = time.perf_counter()
        if self.protector is None:
            return self._finish_labels(start)
        first, due = self.protector.rounds, self._next_evaluation()
        last = min(first + ROUNDS_PER_STEP, due)
        terms = [
            self.protector.round(self.private.next, self.public.next) for _ in range(first, last)
        ]
        means, broken = _read_terms(terms)
        if broken is not None:
            offset, term = broken
            return self._diverged(f"{term} was not finite in round {first + offset + 1}", start)
        values: dict[str, Any] = {f"train/{name}": value for name, value in means.items()}
        values["train/encoder_lr"] = self.protector.optimiser.param_groups[0]["lr"]
        finished = last >= self.settings.rounds
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
        rounds = int(self.settings.rounds)
        done = self.protector.rounds * NUM_EVALUATIONS // rounds
        return math.ceil(rounds * (done + 1) / NUM_EVALUATIONS)

    def _evaluate(self) -> dict[str, float]:
        """Utility and in-loop score on the selection split, as points of their curves."""
        mean_mcc = self._utility("selection")["utility/mean_mcc"]
        in_loop = self._in_loop("selection")
        self.history.append((mean_mcc, in_loop if in_loop is not None else 0.0))
        curves = {"train/selection_mcc": mean_mcc}
        if in_loop is not None:
            curves["train/selection_in_loop_ssim"] = in_loop
        return curves

    def _diverged(self, reason: str, start: float) -> dict[str, Any]:
        self.seconds += time.perf_counter() - start
        return self._report({}, done=True, status="diverged", reason=reason)

    def _report(self, values: dict[str, Any], done: bool, **extra: Any) -> dict[str, Any]:
        rounds = self.protector.rounds if self.protector is not None else 0
        total = self.settings.rounds if self.protector is not None else 1
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
        encoder, decoder = self.protector.encoder.eval(), self.protector.in_loop_decoder()
        for name, net in self.protector.nets().items():
            if not all(bool(value.isfinite().all()) for value in net.state_dict().values()):
                raise NotFiniteError(f"weights or statistics of the {name} were not finite")
        save_network_encoder(
            self.output / ENCODER_FILE, self.model, data.height, data.width, encoder, decoder
        )
        selection = self._utility("selection")["utility/mean_mcc"]
        final: dict[str, Any] = {
            **self._utility("test"),
            "utility/mean_mcc_selection": selection,
            **encoder_costs(encoder, self.protector.setting.code, data.height, data.width),
            "encoder_hash": state_hash(encoder.state_dict()),
            "status": "finished",
            "reason": f"all {self.settings.rounds} rounds done",
            "rounds": self.protector.rounds,
            "converged": self._converged(),
        }
        in_loop = self._in_loop("selection")
        if in_loop is not None:
            final["in_loop/decoder"] = in_loop
        return final

    def _converged(self) -> bool:
        if len(self.history) < 2:
            return False
        (mcc_before, loop_before), (mcc_after, loop_after) = self.history[-2:]
        return max(abs(mcc_after - mcc_before), abs(loop_after - loop_before)) < CONVERGED_WITHIN

    def _finish_labels(self, start: float) -> dict[str, Any]:
        columns = tuple(self.dataset.utility_columns)
        save_labels_encoder(self.output / ENCODER_FILE, columns)
        self.seconds += time.perf_counter() - start
        names = self.dataset.utility_names
        values: dict[str, Any] = {f"utility/mcc/{name}": 1.0 for name in names}
        values |= {f"utility/balanced_accuracy/{name}": 1.0 for name in names}
        values |= {"utility/mean_mcc": 1.0, "utility/mean_mcc_selection": 1.0}
        values |= {"cost/code_bytes": 4.0 * len(columns), "encoder_hash": "labels"}
        return self._report(
            values, done=True, status="finished", reason="nothing to train", converged=True
        )

    def _batches(self, split: str) -> Iterator[Batch]:
        store = self.dataset.store
        rows = self.dataset.rows(split)
        return sequential(store.images, store.labels, rows, EVALUATION_BATCH, self.device)

    def _utility(self, split: str) -> dict[str, float]:
        """Utility of `f(Enc(x))` on a split, both nets in evaluation mode."""
        assert self.protector is not None
        logits, labels = [], []
        for batch in self._batches(split):
            logits.append(self.protector.utility_logits(batch.images))
            labels.append(self.protector.utility_labels(batch))
        return _utility_metrics(torch.cat(logits), torch.cat(labels), self.dataset.utility_names)

    def _in_loop(self, split: str) -> float | None:
        """SSIM of the in-loop decoder on a split, encoder and decoder in evaluation mode."""
        assert self.protector is not None
        decoder = self.protector.in_loop_decoder()
        if decoder is None:
            return None
        return in_loop_ssim(
            self.protector.encoder, decoder, [batch.images for batch in self._batches(split)]
        )

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


@torch.no_grad()
def in_loop_ssim(encoder: nn.Module, decoder: nn.Module, images: list[Tensor]) -> float:
    """Mean SSIM of `Dec(Enc(x))`, both nets in evaluation mode, modes restored afterwards."""
    modes = encoder.training, decoder.training
    encoder.eval()
    decoder.eval()
    values = torch.cat([metrics.ssim(decoder(encoder(batch)), batch) for batch in images])
    encoder.train(modes[0])
    decoder.train(modes[1])
    if not bool(values.isfinite().all()):
        raise NotFiniteError("the in-loop decoder's score was not finite")
    return float(values.double().mean())


def _utility_metrics(logits: Tensor, labels: Tensor, names: tuple[str, ...]) -> dict[str, float]:
    # A NaN is not above the threshold: it would pass for a "no" and give a finite score.
    if not bool(logits.isfinite().all()):
        raise NotFiniteError("the utility logits were not finite")
    mcc, balanced = metrics.mcc(logits, labels), metrics.balanced_accuracy(logits, labels)
    values = {"utility/mean_mcc": float(mcc.mean())}
    for index, name in enumerate(names):
        values[f"utility/mcc/{name}"] = float(mcc[index])
        values[f"utility/balanced_accuracy/{name}"] = float(balanced[index])
    return values


def _read_terms(
    terms: list[dict[str, Tensor]],
) -> tuple[dict[str, float], tuple[int, str] | None]:
    """Reads the loss terms of several rounds at once; the only wait for the device.

    Returns:
        The mean of each term, and (round offset, term) of the first one that is not finite.
    """
    broken: tuple[int, str] | None = None
    means: dict[str, float] = {}
    for name in sorted({name for round_terms in terms for name in round_terms}):
        present = [index for index, round_terms in enumerate(terms) if name in round_terms]
        values = torch.stack([terms[index][name] for index in present]).double().cpu()
        means[name] = float(values.mean())
        wrong = torch.nonzero(~torch.isfinite(values))
        if len(wrong) and (broken is None or present[int(wrong[0])] < broken[0]):
            broken = (present[int(wrong[0])], name)
    return means, broken
