"""What the machine can do at most: the rates that a training step is measured against.

    python benchmarks/limits.py

Rates are the best of several sizes and of several repetitions, each long enough for a clock.
"""

import argparse
import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.machine import show_and_keep, synchronise
from benchmarks.tables import markdown

SECONDS = 0.5
REPETITIONS = 5
BATCH = 64
CONVOLUTIONS = ((64, 32), (128, 16), (256, 8))
"""Channels and side of the maps: 3x3 convolutions as they stand in the middle of a ResNet-18."""
COPIED = 1 << 28
"""Bytes copied to measure the memory's bandwidth: more than any cache holds."""


@dataclass(frozen=True)
class Limits:
    """The machine's measured rates.

    Attributes:
        matrix: Operations per second of a matrix product, a multiplication and an addition each
            counting one.
        convolution: Likewise of a convolution with its gradients, channels-last.
        bandwidth: Bytes per second, read and written together.
    """

    matrix: float
    convolution: float
    bandwidth: float


def measure_limits(device: torch.device, dtype: torch.dtype) -> Limits:
    """Measures the machine; takes some ten seconds."""
    return Limits(_matrix(device, dtype), _convolution(device, dtype), _bandwidth(device))


def rate(
    work: Callable[[], object],
    device: torch.device,
    seconds: float = SECONDS,
    repetitions: int = REPETITIONS,
) -> float:
    """Calls per second: the best of several repetitions, after one that does not count."""
    work()
    synchronise(device)
    count, best = 1, 0.0
    for _ in range(repetitions):
        start = time.perf_counter()
        for _ in range(count):
            work()
        synchronise(device)
        elapsed = time.perf_counter() - start
        best = max(best, count / elapsed)
        count = max(1, round(count * seconds / elapsed))
    return best


def _matrix(device: torch.device, dtype: torch.dtype) -> float:
    best = 0.0
    for side in (1024, 2048) if device.type == "cpu" else (4096, 8192):
        a, b = torch.randn(2, side, side, device=device, dtype=dtype)
        best = max(best, 2 * side**3 * rate(functools.partial(torch.matmul, a, b), device))
    return best


def _convolution(device: torch.device, dtype: torch.dtype) -> float:
    best = 0.0
    batch = BATCH if device.type == "cpu" else 8 * BATCH
    for channels, side in CONVOLUTIONS:
        x = torch.randn(batch, channels, side, side, device=device, dtype=dtype)
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        weight = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
        weight = weight.contiguous(memory_format=torch.channels_last).requires_grad_()
        work = functools.partial(_forwards_and_backwards, x, weight, torch.ones_like(x))
        # Forwards, and backwards towards the map and towards the weights: three of a size.
        operations = 3 * 2 * batch * side**2 * channels**2 * 9
        best = max(best, operations * rate(work, device))
    return best


def _forwards_and_backwards(x: Tensor, weight: Tensor, gradient: Tensor) -> object:
    return torch.autograd.grad(F.conv2d(x, weight, padding=1), (x, weight), gradient)


def _bandwidth(device: torch.device) -> float:
    source = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * COPIED * rate(lambda: target.copy_(source), device)


def main() -> int:
    """Prints and keeps the machine's rates."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = []
    for dtype in (torch.float32, torch.bfloat16):
        limits = measure_limits(device, dtype)
        rows.append(
            [
                str(dtype).removeprefix("torch."),
                f"{limits.matrix / 1e9:,.0f}",
                f"{limits.convolution / 1e9:,.0f}",
                f"{limits.bandwidth / 1e9:,.1f}",
            ]
        )
    heads = ["dtype", "matrix product, Gflop/s", "convolution, Gflop/s", "memory, GB/s"]
    table = markdown(heads, rows)
    show_and_keep("limits", table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
