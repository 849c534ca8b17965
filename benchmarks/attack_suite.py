"""Eight attackers on one frozen encoder: ours, and as a paper's repository runs them.

    python benchmarks/attack_suite.py                          ResNet-18 at a quarter, 48 pixels
    python benchmarks/attack_suite.py --width 1 --image-size 64 --cut conv1 conv3

All train the same nets for the same number of steps and score them once at the end, in turns
(A-B-C-A-B-C), so that a busy machine slows all. Ours are attack trials as a study runs them, one
process and one thread per core, in both precisions; the plain ones (`benchmarks/plain_attacks.py`)
go one after the other with all cores and as many loading processes. Making the files and the store
is not counted. The last lines say how long the counted operations would take at the machine's best
rate of convolution.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset
from torch.utils.flop_counter import FlopCounterMode

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.limits import measure_limits
from benchmarks.machine import show_and_keep
from benchmarks.plain import ImageFiles, Labelled, endless, write_files
from benchmarks.plain_attacks import plain_attack
from benchmarks.tables import markdown
from trainables.attack import AttackTrial
from trainables.attackers.base import Target
from trainables.attackers.suite import build_attacker, named_attacker
from trainables.data.avatars import AvatarsSource
from trainables.data.config import DataConfig
from trainables.data.dataset import load_dataset
from trainables.frozen import InLoop, save_network_encoder
from trainables.nets.backbones import build_classifier, build_encoder, code_spec
from trainables.nets.config import ModelConfig
from trainables.nets.perceptual import build_perceptual
from trainables.precision import Precision
from trainables.seeding import derive_seed

SOURCE_SIZE = (218, 178)
NUM_IMAGES = 4000
RATE = 2e-3
ATTACKERS = (
    "decoder_strong", "decoder_unet_deep", "decoder_residual", "decoder",
    "attribute_other", "attribute", "attribute_mlp", "attribute_linear",
)  # fmt: skip
"""Those of suite `standard` that need no identity model, the slowest first."""

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
Seconds = dict[str, float]


def trial_config(
    attackers: Sequence[str],
    encoder: Path,
    work: Path,
    options: argparse.Namespace,
    cut: str,
    precision: Precision = "fp32",
) -> dict[str, Any]:
    """An attack trial that takes `--steps` steps per attacker and looks at them once."""
    rule = {"evaluate_every": options.steps, "min_steps": options.steps, "max_steps": options.steps}
    model = ModelConfig(backbone=options.backbone, width=options.width, cut_point=cut)
    return {
        "encoder": str(encoder),
        "attackers": [named_attacker(name).model_dump(mode="json") for name in attackers],
        "attack": {"lr": RATE, "batch_size": options.batch_size, **rule},
        "data": data_of(options).model_dump(mode="json"),
        "model": model.model_dump(mode="json"),
        "precision": precision,
        "seed": 0,
        "output": str(work / "attacks"),
        "cache": str(work / "cache"),
    }


def data_of(options: argparse.Namespace) -> DataConfig:
    """Drawn faces with one private attribute."""
    return DataConfig(
        source="avatars", num_images=NUM_IMAGES, image_size=options.image_size,
        utility=("Eyeglasses",), private=("Hat",),
    )  # fmt: skip


def run_ours(config: dict[str, Any]) -> Seconds:
    """Runs one attack trial to its end; seconds per attacker."""
    torch.set_num_threads(1)
    trial = AttackTrial(config)
    while not (report := trial.step())["done"]:
        pass
    return {str(entry["attacker"]): float(entry["seconds"]) for entry in report["results"]}


def ours(
    pool: ProcessPoolExecutor,
    encoder: Path,
    work: Path,
    options: argparse.Namespace,
    cut: str,
    precision: Precision,
) -> Seconds:
    """All attackers, as many trials at a time as there are cores; `""` has the seconds of all."""
    start = time.perf_counter()
    groups = [ATTACKERS[i : i + options.group] for i in range(0, len(ATTACKERS), options.group)]
    configs = [trial_config(group, encoder, work, options, cut, precision) for group in groups]
    seconds: Seconds = {}
    for own in pool.map(run_ours, configs):
        seconds |= own
    return {**seconds, "": time.perf_counter() - start}


def plain(
    network: tuple[nn.Module, nn.Module],
    encoder: Path,
    work: Path,
    options: argparse.Namespace,
    cut: str,
) -> Seconds:
    """All attackers one after the other, each from the files; `""` has the seconds of all."""
    torch.set_num_threads(options.processes)
    dataset = load_dataset(data_of(options), work / "cache")
    size = (options.image_size, options.image_size)
    files = ImageFiles(work / "faces", dataset.store.labels, size)
    # What is about the encoder as a whole (statistics, rates) is taken from a trial of ours: a
    # repository has it as constants.
    trial = AttackTrial(trial_config(["attribute_linear"], encoder, work, options, cut))
    target = target_of(trial)
    seconds: Seconds = {}
    for name in ATTACKERS:
        torch.manual_seed(derive_seed(0, name))
        attacker = build_attacker(named_attacker(name).model_dump(mode="json"), target)
        start = time.perf_counter()
        attack = plain_attack(attacker, network, trial.encodings.standardise, RATE)
        public = Subset(files, dataset.rows("public").tolist())
        batches = endless(public, options.batch_size, options.processes, seed=0)
        for _ in range(options.steps):
            attack.train_step(*next(batches))
        for split in ("selection", "test"):
            attack.evaluate(_once(Subset(files, dataset.rows(split).tolist()), options.processes))
        seconds[name] = time.perf_counter() - start
    return {**seconds, "": sum(seconds.values())}


def operations(encoder: Path, work: Path, options: argparse.Namespace, cut: str) -> float:
    """Operations of one step of all attackers, codes given."""
    count = 0.0
    for name in ATTACKERS:
        trial = AttackTrial(trial_config([name], encoder, work, options, cut))
        assert trial.attacker is not None
        rows = trial.dataset.rows("public")[: options.batch_size]
        batch = trial.encodings.public_batch(rows, np.zeros(len(rows), dtype=bool), None, False)
        with FlopCounterMode(display=False) as counter:
            trial.attacker.train_step(batch)
        count += counter.get_total_flops()
    return count


def target_of(trial: AttackTrial) -> Target:
    """What a trial knows of its encoder, with a `g` whose weights want gradients."""
    cache = Path(trial.config["cache"])
    perceptual = build_perceptual(trial.model, trial.dataset, cache, trial.device)
    return replace(
        trial.target,
        perceptual=perceptual.requires_grad_(True).to(memory_format=torch.contiguous_format),
    )


def _once(files: Dataset[Labelled], workers: int) -> Iterator[Labelled]:
    yield from DataLoader(files, 256, num_workers=workers)


def prepare(work: Path, options: argparse.Namespace) -> None:
    """Draws the faces, writes them as files, and makes the store."""
    source = AvatarsSource(NUM_IMAGES)
    write_files(work / "faces", source.draw(0, NUM_IMAGES, *SOURCE_SIZE))
    load_dataset(data_of(options), work / "cache")


def make_encoder(
    work: Path, options: argparse.Namespace, cut: str
) -> tuple[Path, tuple[nn.Module, nn.Module]]:
    """A frozen encoder of random weights, as a file and with the rest of its network.

    What it was trained for changes no step's time.
    """
    torch.manual_seed(0)
    model = ModelConfig(backbone=options.backbone, width=options.width, cut_point=cut)
    size = options.image_size
    encoder = build_encoder(model, size, size).eval()
    head = build_classifier(model, code_spec(model, size, size), 1).eval()
    path = work / f"{cut}.pt"
    save_network_encoder(path, model, size, size, encoder, InLoop())
    return path, (encoder, head)


def main() -> int:
    """Prints and keeps the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--width", type=float, default=0.25, help="of the backbone (0.25)")
    parser.add_argument("--image-size", type=int, default=48, help="pixels (48)")
    parser.add_argument("--batch-size", type=int, default=32, help="images per step (32)")
    parser.add_argument("--cut", nargs="+", default=["conv3"], help="cut points (conv3)")
    parser.add_argument("--steps", type=int, default=400, help="per attacker (400)")
    parser.add_argument("--group", type=int, default=2, help="attackers per trial of ours (2)")
    parser.add_argument("--repetitions", type=int, default=2, help="turns (2)")
    parser.add_argument("--processes", type=int, default=cores, help="trials at a time")
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    texts = []
    torch.set_num_threads(options.processes)
    cpu = torch.device("cpu")
    rates = {p: measure_limits(cpu, dtype).convolution for p, dtype in DTYPES.items()}
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(options.processes, mp_context=spawn) as pool,
    ):
        work = Path(folder)
        prepare(work, options)
        for cut in options.cut:
            path, network = make_encoder(work, options, cut)
            # Not counted: starts the processes, and trains `g` once, which a study keeps.
            short = argparse.Namespace(**{**vars(options), "steps": 2})
            for precision in DTYPES:
                ours(pool, path, work, short, cut, precision)
            turns = []
            for turn in range(options.repetitions):
                each = [plain(network, path, work, options, cut)]
                each += [ours(pool, path, work, options, cut, precision) for precision in DTYPES]
                turns.append(each)
                named = zip(("plain", *DTYPES), each, strict=True)
                told = ", ".join(f"{name} {seconds['']:.0f} s" for name, seconds in named)
                print(f"{cut}, turn {turn + 1}: {told}", flush=True)
            counted = options.steps * operations(path, work, options, cut)
            parts = [f"### cut at {cut}", _table(turns, options), _limit(counted, rates)]
            texts.append("\n\n".join(parts))
    text = "\n\n".join(texts)
    name = f"attack-suite-{options.backbone}-{options.width:g}-{options.image_size}"
    show_and_keep(name, text)
    return 0


def _table(turns: Sequence[Sequence[Seconds]], options: argparse.Namespace) -> str:
    rows = []
    for name in (*ATTACKERS, ""):
        each = np.array([[seconds[name] for seconds in turn] for turn in turns])
        cells = [f"{statistics.median(each[:, 0].tolist()):.1f}"]
        for own in each.T[1:]:
            ratios = each[:, 0] / own
            middle = statistics.median(ratios.tolist())
            cells += [
                f"{statistics.median(own.tolist()):.1f}",
                f"{middle:.1f} ({ratios.min():.1f} to {ratios.max():.1f})",
            ]
        rows.append([f"`{name}`" if name else "all eight, start to end", *cells])
    heads = ["attacker", "plain, s (all cores)"]
    for precision in DTYPES:
        heads += [f"ours in {precision}, s (one core)", "ratio"]
    return (
        f"{markdown(heads, rows)}\n\n{options.steps} steps of {options.batch_size} images each and "
        f"one look at {NUM_IMAGES // 5} images; ours {options.processes} trials at a time, of "
        f"{options.group} attackers, encoding included in the last row."
    )


def _limit(counted: float, rates: Mapping[Precision, float]) -> str:
    """What the counted operations would take if all were convolutions of the best size."""
    least = " and ".join(
        f"{counted / rate:.1f} s in {precision} ({rate / 1e9:.0f} Gflop/s)"
        for precision, rate in rates.items()
    )
    return f"The {counted / 1e12:.1f} Tflop of these steps take at least {least} on all cores."


if __name__ == "__main__":
    sys.exit(main())
