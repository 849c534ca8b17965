"""What the layers of a training step take by themselves: no step is faster than their sum.

Every layer that a step calls is timed alone, forwards and backwards, again and again on the same
input, with nothing else in the caches.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.limits import rate
from trainables.precision import Precision, computed_in

CPU = torch.device("cpu")
SECONDS, REPETITIONS, PASSES = 0.06, 3, 4
"""Step and layers are timed in turns, and the best of all counts: machines have slow minutes."""
MULTIPLYING = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Layers whose operations are counted; all others only move and normalise what these made."""
HEADS = (
    "step, ms", "its layers alone, ms", "of the step", "of these convolutions and products, ms",
    "counted operations at the best rate, ms", "of that rate reached alone",
)  # fmt: skip
"""Of the columns that `row` fills."""
NOTE = "Losses, optimisers and sums of gradients are in the step and in no layer."
"""To be read below such a table."""

Step = Callable[[], object]


@dataclass(frozen=True)
class Call:
    """A layer as a step called it.

    Attributes:
        key: What makes two calls alike.
        layer: A copy, in the mode of the moment and with weights frozen as they were then.
        inputs: What it was given.
        wanted: Whether gradients were.
    """

    key: tuple[Any, ...]
    layer: nn.Module
    inputs: tuple[Tensor, ...]
    wanted: bool


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
def recorded(nets: Sequence[nn.Module]) -> Iterator[list[Call]]:
    """Records every call of a layer without layers of its own."""
    calls: list[Call] = []
    record = _recorder(calls)
    hooks = [
        layer.register_forward_pre_hook(record)
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
    known: dict[tuple[Any, ...], Call] = {}

    def record(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if not all(isinstance(x, Tensor) for x in inputs):
            return
        wanted = torch.is_grad_enabled()
        key = (
            type(layer), layer.extra_repr(), layer.training, wanted,
            getattr(layer, "track_running_stats", None),
            tuple(p.requires_grad for p in layer.parameters()),
            *((x.shape, x.stride(), x.dtype, x.requires_grad) for x in inputs),
        )  # fmt: skip
        if key not in known:
            # A net is frozen and thawed, and changes its mode, within a step.
            own = copy.deepcopy(layer)
            own._forward_pre_hooks.clear()
            own._forward_hooks.clear()
            if getattr(own, "inplace", False):
                # What is overwritten could not be given again.
                own.inplace = False  # type: ignore[assignment]
            given = tuple(x.detach().clone().requires_grad_(x.requires_grad) for x in inputs)
            known[key] = Call(key, own, given, wanted)
        calls.append(known[key])

    return record


def alone(
    calls: Sequence[Call], precision: Precision, known: dict[tuple[Any, ...], float]
) -> Layers:
    """Times each layer of a step by itself; alike ones are timed once.

    Args:
        calls: The step's.
        precision: What they compute in.
        known: Seconds of each kind of call, the best so far; updated.
    """
    found = Layers()
    for call in {one.key: one for one in calls}.values():
        now = 1 / rate(_work(call, precision), CPU, SECONDS, REPETITIONS)
        known[call.key] = min(now, known.get(call.key, now))
    for call in calls:
        if isinstance(call.layer, MULTIPLYING):
            found.multiplying += known[call.key]
        else:
            found.other += known[call.key]
    return found


def _work(call: Call, precision: Precision) -> Step:
    towards = [x for x in (*call.inputs, *call.layer.parameters()) if x.requires_grad]

    def run() -> object:
        with (
            torch.set_grad_enabled(call.wanted),
            torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
        ):
            output = call.layer(*call.inputs)
        if not call.wanted or not output.requires_grad:
            return output
        return torch.autograd.grad(output, towards, torch.ones_like(output))

    return run


def row(step: Step, nets: Sequence[nn.Module], precision: Precision, best: float) -> list[str]:
    """One row of a table: milliseconds, and shares of the step.

    Args:
        step: One training step.
        nets: Those it runs.
        precision: What they compute in.
        best: The machine's rate, operations per second.
    """
    with computed_in(precision, nets):
        with FlopCounterMode(display=False) as counter:
            step()
        with recorded(nets) as calls:
            step()
    shortest = math.inf
    known: dict[tuple[Any, ...], float] = {}
    for _ in range(PASSES):
        with computed_in(precision, nets):
            shortest = min(shortest, 1 / rate(step, CPU, 4 * SECONDS, REPETITIONS))
        layers = alone(calls, precision, known)
    least = counter.get_total_flops() / best
    every = layers.multiplying + layers.other
    return [
        f"{1e3 * shortest:.1f}", f"{1e3 * every:.1f}", f"{100 * every / shortest:.0f}%",
        f"{1e3 * layers.multiplying:.1f}", f"{1e3 * least:.1f}",
        f"{100 * least / layers.multiplying:.0f}%",
    ]  # fmt: skip
