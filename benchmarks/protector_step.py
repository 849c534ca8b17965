"""One round of a defence: ours, as a paper's repository does it, and what the machine could do.

    python benchmarks/protector_step.py                        ResNet-18, 64 pixels, three cuts
    python benchmarks/protector_step.py --backbone resnet50 --image-size 128 --batch-size 256

Both train the same nets on the same faces with the same updates, in turns (A-B-A-B), so that a
busy machine slows both. `benchmarks/plain.py` says what a repository does; faces are JPEG files of
CelebA's size to it, and rows of the store to us.
"""

import argparse
import copy
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.flop_counter import FlopCounterMode

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.limits import Limits, measure_limits
from benchmarks.machine import show_and_keep, synchronise
from benchmarks.plain import ImageFiles, PlainObfuscator, PlainReconstruction, endless, write_files
from benchmarks.tables import markdown
from trainables.data.avatars import AvatarsSource
from trainables.data.resident import Images
from trainables.data.tasks import TaskBatches
from trainables.nets.config import ModelConfig
from trainables.nets.perceptual import PublicFeatures
from trainables.precision import Precision, computed_in
from trainables.protectors import PROTECTORS
from trainables.protectors.base import Protector, Setting

SOURCE_SIZE = (218, 178)
NUM_IMAGES = 1024
METHODS: dict[str, dict[str, Any]] = {
    "reconstruction": {"name": "reconstruction"},
    "reconstruction, strong adversary": {"name": "reconstruction", "mu1": 1e-4, "mu2": 3e-3},
    "obfuscator": {"name": "obfuscator", "joint_rounds": 0, "adversary_rounds": 0},
}
PARTS = ("data", "adversary forward", "adversary backward", "protector forward",
         "protector backward", "optimiser")  # fmt: skip

Round = Callable[[], object]


@dataclass(frozen=True)
class Faces:
    """Drawn faces, as files and as the store has them.

    Attributes:
        folder: JPEG files of CelebA's size.
        images: uint8 [N, H, W, 3] at the size of training, as a trial has them.
        labels: uint8 [N, A].
    """

    folder: Path
    images: Images
    labels: np.ndarray[Any, np.dtype[np.uint8]]


def make_faces(folder: Path, image_size: int) -> Faces:
    """Draws the faces and writes the files."""
    source = AvatarsSource(NUM_IMAGES)
    drawn = source.draw(0, NUM_IMAGES, *SOURCE_SIZE)
    write_files(folder, drawn)
    side = (image_size, image_size)
    small = [np.asarray(Image.fromarray(one).resize(side, Image.Resampling.BILINEAR))
             for one in drawn]  # fmt: skip
    return Faces(folder, np.stack(small), source.labels())


def build(
    method: str, model: ModelConfig, image_size: int, batch: int, device: torch.device
) -> Protector:
    """A protector with fresh nets, always the same."""
    torch.manual_seed(0)
    settings = {"batch_size": batch, "rounds": 1000, **METHODS[method]}
    entry = PROTECTORS[settings["name"]]
    config = entry.config(**settings)
    perceptual = PublicFeatures(len(AvatarsSource.attribute_names)).to(device).eval()
    perceptual.requires_grad_(False).to(memory_format=torch.channels_last)
    setting = Setting(model, image_size, image_size, (1, 2, 3), device, perceptual, (0,))
    assert entry.build is not None
    return entry.build(config, setting)


def ours(
    protector: Protector, faces: Faces, batch: int, device: torch.device, precision: Precision
) -> Round:
    """Our round, on batches of the store."""
    rows = np.arange(len(faces.labels), dtype=np.int64)
    private, public = (
        TaskBatches(faces.images, faces.labels, rows, batch, seed, device) for seed in (0, 1)
    )

    def run() -> None:
        with computed_in(precision, protector.computed()):
            protector.round(private, public)

    return run


def plain(protector: Protector, faces: Faces, image_size: int, batch: int, workers: int) -> Round:
    """A repository's round, on batches of the files."""
    perceptual = protector.setting.perceptual
    assert perceptual is not None
    perceptual.requires_grad_(True).to(memory_format=torch.contiguous_format)
    kinds: dict[str, Any] = {"reconstruction": PlainReconstruction, "obfuscator": PlainObfuscator}
    trainer = kinds[protector.config.name](protector)
    files = ImageFiles(faces.folder, faces.labels, (image_size, image_size))
    private, public = (endless(files, batch, workers, seed) for seed in (0, 1))
    return lambda: trainer.round(private, public)


def seconds_in_turns(
    rounds: dict[str, Round], repetitions: int, each: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds per round of each, measured in turns; the first turn does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in rounds}
    for turn in range(repetitions + 1):
        for name, work in rounds.items():
            start = time.perf_counter()
            for _ in range(each):
                work()
            synchronise(device)
            if turn:
                seconds[name].append((time.perf_counter() - start) / each)
    return seconds


def seconds_by_part(protector: Protector, faces: Faces, batch: int, each: int) -> dict[str, float]:
    """Where our round's seconds go; on a GPU every part is waited for."""
    device = protector.setting.device
    clock = Clock(device)
    rows = np.arange(NUM_IMAGES, dtype=np.int64)
    private, public = (
        clock.wrap("data", TaskBatches(faces.images, faces.labels, rows, batch, seed, device))
        for seed in (0, 1)
    )
    for name in ("adversary_update", "recover_classifier"):
        if hasattr(protector, name):
            setattr(protector, name, clock.wrap("adversary forward", getattr(protector, name)))
    with clock.running():
        for _ in range(each):
            protector.round(private, public)
    return {name: value / each for name, value in clock.seconds.items()}


class Clock:
    """Charges time to the part of a round that is running; what is not named is the protector's.

    Attributes:
        seconds: Per part.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self.stack = ["protector forward"]
        self.since = 0.0

    def _charge(self) -> None:
        synchronise(self.device)
        now = time.perf_counter()
        self.seconds[self.stack[-1]] += now - self.since
        self.since = now

    def enter(self, part: str) -> None:
        """Charges what ran so far and goes on with `part`."""
        self._charge()
        self.stack.append(part)

    def leave(self) -> None:
        """Charges `part` and goes back to what ran before it."""
        self._charge()
        self.stack.pop()

    def wrap(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, charged to `part`."""

        def timed(*given: Any, **named: Any) -> Any:
            self.enter(part)
            try:
                return work(*given, **named)
            finally:
                self.leave()

        return timed

    @contextmanager
    def running(self) -> Iterator[None]:
        """While it lasts backward passes and optimisers are charged apart."""
        backward = Tensor.backward

        def timed(*given: Any, **named: Any) -> None:
            self.enter(self.stack[-1].replace("forward", "backward"))
            backward(*given, **named)
            self.leave()

        hooks = [
            register_optimizer_step_pre_hook(lambda *_: self.enter("optimiser")),
            register_optimizer_step_post_hook(lambda *_: self.leave()),
        ]
        Tensor.backward = timed  # type: ignore[method-assign]
        self.since = time.perf_counter()
        try:
            yield
        finally:
            self._charge()
            Tensor.backward = backward  # type: ignore[method-assign]
            for hook in hooks:
                hook.remove()


def operations(work: Round) -> float:
    """Operations of one round: convolutions and matrix products, forwards and backwards."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def add_sizes(
    parser: argparse.ArgumentParser, backbone: str = "resnet18", side: int = 64, batch: int = 64
) -> None:
    """Adds the options of the network and its batches, with these defaults."""
    parser.add_argument("--backbone", default=backbone)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--image-size", type=int, default=side)
    parser.add_argument("--batch-size", type=int, default=batch)


def main() -> int:
    """Prints and keeps the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_sizes(parser)
    parser.add_argument("--cut", nargs="+", default=["conv1", "conv3", "avgpool"])
    parser.add_argument("--method", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2, help="per turn")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)),
                        help="of the plain loader")  # fmt: skip
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    limits: dict[Precision, Limits] = {
        "fp32": measure_limits(device, torch.float32),
        "bf16": measure_limits(device, torch.bfloat16),
    }
    rows, parts = [], []
    with tempfile.TemporaryDirectory() as folder:
        faces = make_faces(Path(folder), options.image_size)
        for method in options.method:
            for cut in options.cut:
                row, part = _measure(method, cut, faces, limits, device, options)
                print(" | ".join(row), flush=True)
                rows.append(row)
                parts.append(part)
    each = ["images/s", "times plain", "Gflop/s", "of the convolution rate"]
    heads = ["method", "cut", "plain, images/s", "Gflop per round",
             *(f"{precision}: {head}" for precision in limits for head in each)]  # fmt: skip
    machine = markdown(
        ["this machine at most", "convolution, Gflop/s", "matrix product, Gflop/s", "memory, GB/s"],
        [[name, f"{limit.convolution / 1e9:,.0f}", f"{limit.matrix / 1e9:,.0f}",
          f"{limit.bandwidth / 1e9:.1f}"] for name, limit in limits.items()],
    )  # fmt: skip
    text = (
        f"{markdown(heads, rows)}\n\n{machine}\n\nWhere our round's time goes in float32:\n\n"
        f"{markdown(['method', 'cut', *PARTS], parts)}"
    )
    name = f"protector-step-{device.type}-{options.backbone}-{options.image_size}"
    show_and_keep(name, text)
    return 0


def _measure(
    method: str,
    cut: str,
    faces: Faces,
    limits: Mapping[Precision, Limits],
    device: torch.device,
    options: argparse.Namespace,
) -> tuple[list[str], list[str]]:
    size, batch = options.image_size, options.batch_size
    model = ModelConfig(backbone=options.backbone, width=options.width, cut_point=cut)
    protector = build(method, model, size, batch, device)
    rounds = {"plain": plain(copy.deepcopy(protector), faces, size, batch, options.workers)}
    for precision in limits:
        rounds[precision] = ours(copy.deepcopy(protector), faces, batch, device, precision)
    counted = operations(rounds["fp32"])
    seconds = seconds_in_turns(rounds, options.repetitions, options.rounds, device)
    typical = {name: statistics.median(values) for name, values in seconds.items()}
    drawn = _batches_per_round(protector) * batch
    row = [method, cut, f"{drawn / typical['plain']:.0f}", f"{counted / 1e9:.0f}"]
    for precision, limit in limits.items():
        ratios = [a / b for a, b in zip(seconds["plain"], seconds[precision], strict=True)]
        speed = counted / typical[precision]
        row += [
            f"{drawn / typical[precision]:.0f}",
            f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})",
            f"{speed / 1e9:.0f}",
            f"{speed / limit.convolution:.0%}",
        ]
    split = seconds_by_part(protector, faces, batch, options.rounds)
    total = sum(split.values())
    return row, [method, cut, *(f"{split[part] / total:.0%}" for part in PARTS)]


def _batches_per_round(protector: Protector) -> int:
    return 4 if protector.config.name == "obfuscator" else 2


if __name__ == "__main__":
    sys.exit(main())
