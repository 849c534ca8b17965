"""How near the attackers of a frozen encoder come to what their own layers can do.

    python benchmarks/layers.py                          ResNet-18 at a quarter, 48 pixels
    python benchmarks/layers.py --width 1 --image-size 64

The machine's rate of convolution is measured with maps of 64 to 256 channels; attackers of small
encoders have 16 to 64. So every layer that a step calls is timed by itself, forwards and backwards,
again and again on the same input, with nothing else in the caches: no training step is faster than
the sum of these, whoever writes it. Beside it stand the step itself, and its counted operations at
the machine's best rate. One thread, as an attack trial has.
"""

import argparse
import copy
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.attack_suite import ATTACKERS, DTYPES, make_encoder, prepare, trial_config
from benchmarks.limits import measure_limits, rate
from benchmarks.machine import keep_table
from benchmarks.tables import markdown
from trainables.attack import AttackTrial
from trainables.precision import Precision, computed_in

CPU = torch.device("cpu")
SECONDS, REPETITIONS, PASSES = 0.06, 3, 4
"""Step and layers are timed in turns, and the best of all counts: machines have slow minutes."""
MULTIPLYING = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Layers whose operations are counted; all others only move and normalise what these made."""

Call = tuple[nn.Module, tuple[Any, ...], bool]
"""A layer, what it was given, and whether its gradients were wanted."""


@dataclass
class Layers:
    """Seconds of a step's layers, each timed alone.

    Attributes:
        multiplying: Of convolutions and matrix products.
        other: Of all other layers.
    """

    multiplying: float = 0.0
    other: float = 0.0


@contextmanager
def recorded(nets: list[nn.Module]) -> Iterator[list[Call]]:
    """Records every call of a layer without layers of its own."""
    calls: list[Call] = []
    hooks = [
        layer.register_forward_pre_hook(_recorder(calls))
        for net in nets
        for layer in net.modules()
        if next(layer.children(), None) is None
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _recorder(calls: list[Call]) -> Callable[..., None]:
    def record(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        calls.append((layer, inputs, torch.is_grad_enabled()))

    return record


def alone(calls: list[Call], precision: Precision, known: dict[tuple[Any, ...], float]) -> Layers:
    """Times each layer of a step by itself; alike ones are timed once.

    Args:
        calls: The step's.
        precision: What they compute in.
        known: Seconds of each kind of call, the best so far; updated.
    """
    found, timed = Layers(), set()
    for layer, inputs, wanted in calls:
        if not all(isinstance(x, Tensor) for x in inputs):
            continue
        key = (
            type(layer), layer.extra_repr(), layer.training, wanted,
            tuple(p.requires_grad for p in layer.parameters()),
            *((x.shape, x.stride(), x.dtype, x.requires_grad) for x in inputs),
        )  # fmt: skip
        if key not in timed:
            timed.add(key)
            now = 1 / rate(_work(layer, inputs, wanted, precision), CPU, SECONDS, REPETITIONS)
            known[key] = min(now, known.get(key, now))
        if isinstance(layer, MULTIPLYING):
            found.multiplying += known[key]
        else:
            found.other += known[key]
    return found


def _work(
    layer: nn.Module, inputs: tuple[Tensor, ...], wanted: bool, precision: Precision
) -> Callable[[], object]:
    if getattr(layer, "inplace", False):
        # What is overwritten could not be given again.
        layer = copy.deepcopy(layer)
        layer.inplace = False  # type: ignore[assignment]
    given = [x.detach().clone().requires_grad_(x.requires_grad) for x in inputs]
    towards = [x for x in (*given, *layer.parameters()) if x.requires_grad]

    def run() -> object:
        with (
            torch.set_grad_enabled(wanted),
            torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
        ):
            output = layer(*given)
        if not wanted or not output.requires_grad:
            return output
        return torch.autograd.grad(output, towards, torch.ones_like(output))

    return run


def measure(name: str, trial: AttackTrial, precision: Precision, best: float) -> list[str]:
    """One row of the table: milliseconds, and shares of the step."""
    attacker = trial.attacker
    assert attacker is not None
    rows = trial.dataset.rows("public")[: trial.settings.batch_size]
    batch = trial.encodings.public_batch(rows, np.zeros(len(rows), dtype=bool), None, False)
    nets = list(attacker.nets().values())
    if trial.target.perceptual is not None:
        nets.append(trial.target.perceptual)
    with computed_in(precision, nets):
        with FlopCounterMode(display=False) as counter:
            attacker.train_step(batch)
        with recorded(nets) as calls:
            attacker.train_step(batch)
    step = math.inf
    known: dict[tuple[Any, ...], float] = {}
    for _ in range(PASSES):
        with computed_in(precision, nets):
            once = 1 / rate(lambda: attacker.train_step(batch), CPU, 4 * SECONDS, REPETITIONS)
        step = min(step, once)
        layers = alone(calls, precision, known)
    least = counter.get_total_flops() / best
    every = layers.multiplying + layers.other
    return [
        f"`{name}`", precision, f"{1e3 * step:.1f}", f"{1e3 * every:.1f}",
        f"{100 * every / step:.0f}%", f"{1e3 * layers.multiplying:.1f}", f"{1e3 * least:.1f}",
        f"{100 * least / layers.multiplying:.0f}%",
    ]  # fmt: skip


def main() -> int:
    """Prints and keeps the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--width", type=float, default=0.25, help="of the backbone (0.25)")
    parser.add_argument("--image-size", type=int, default=48, help="pixels (48)")
    parser.add_argument("--batch-size", type=int, default=32, help="images per step (32)")
    parser.add_argument("--cut", default="conv3", help="cut point (conv3)")
    options = parser.parse_args()
    options.steps = 1
    torch.set_num_threads(1)
    heads = [
        "attacker", "in", "step, ms", "its layers alone, ms", "of the step",
        "of these convolutions and products, ms", "counted operations at the best rate, ms",
        "of that rate reached alone",
    ]  # fmt: skip
    table: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        prepare(work, options)
        encoder, _ = make_encoder(work, options, options.cut)
        rates = []
        for precision, dtype in DTYPES.items():
            best = measure_limits(CPU, dtype).convolution
            rates.append(f"{best / 1e9:.0f} Gflop/s in {precision}")
            for name in ATTACKERS:
                config = trial_config([name], encoder, work, options, options.cut, precision)
                table.append(measure(name, AttackTrial(config), precision, best))
                print(", ".join(table[-1]), flush=True)
    text = (
        f"{markdown(heads, table)}\n\n{options.backbone} at width {options.width:g} cut at "
        f"{options.cut}, {options.batch_size} images of {options.image_size} pixels, one thread; "
        f"best rates: {' and '.join(rates)}. Losses, optimisers and sums of gradients are in the "
        "step and in no layer."
    )
    print(text)
    command = f"python benchmarks/layers.py {' '.join(sys.argv[1:])}".strip()
    name = f"layers-{options.backbone}-{options.width:g}-{options.image_size}"
    print(f"kept in {keep_table(name, command, text)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
