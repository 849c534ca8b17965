"""In which arithmetic networks are computed while they are trained.

Half the bytes and twice the multiplications, where the machine has bfloat16: weights, gradients,
optimisers, losses and scores stay in float32, and so does whatever one network hands to the next.
Finished networks are evaluated in float32.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

Precision = Literal["fp32", "bf16"]
WORTHWHILE = 1.1
"""How many times as fast bfloat16 must be to be chosen: below it nothing is gained but rounding."""
TIMED_STEPS = 5


@contextmanager
def computed_in(precision: Precision, nets: Iterable[nn.Module]) -> Iterator[None]:
    """Has nets compute in a precision; what they return is float32 all the same.

    Args:
        precision: `fp32` leaves them as they are.
        nets: Called as modules; none within another one of them.
    """
    hooks: list[Any] = []
    running = ExitStack()
    if precision == "bf16":
        for net in nets:
            hooks.append(net.register_forward_pre_hook(_entering(running)))
            # Called after an error too: no later computation may find itself in bfloat16.
            hooks.append(net.register_forward_hook(_leaving(running), always_call=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _entering(running: ExitStack) -> Callable[..., None]:
    def enter(net: nn.Module, inputs: tuple[Any, ...]) -> None:
        device = next((x.device.type for x in inputs if isinstance(x, Tensor)), "cpu")
        running.enter_context(torch.autocast(device, torch.bfloat16))

    return enter


def _leaving(running: ExitStack) -> Callable[..., Any]:
    def leave(net: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        running.close()
        return _single(output)

    return leave


def _single(output: Any) -> Any:
    """Turns every bfloat16 tensor into float32."""
    if isinstance(output, Tensor):
        return output.float() if output.dtype == torch.bfloat16 else output
    if isinstance(output, list | tuple):
        return type(output)(_single(part) for part in output)
    return output


def faster_precision(step: Callable[[Precision], object], device: torch.device) -> Precision:
    """Times a training step in both precisions, in turns, and says which to use.

    Args:
        step: Takes one step in a precision.
        device: What it runs on.
    """
    return "bf16" if _gain(step, device) >= WORTHWHILE else "fp32"


def bfloat16_gain(device: torch.device) -> float:
    """How many times as fast a narrow convolution is trained in bfloat16.

    A processor without bfloat16 arithmetic computes it all the same, several times as slowly: far
    below 1.

    Args:
        device: What it runs on.
    """
    net = nn.Conv2d(16, 16, 3, padding=1).to(device).to(memory_format=torch.channels_last)
    maps = torch.ones(16, 16, 32, 32, device=device).to(memory_format=torch.channels_last)

    def step(precision: Precision) -> None:
        with computed_in(precision, [net]):
            loss = net(maps).mean()
        net.zero_grad(set_to_none=True)
        loss.backward()

    return _gain(step, device)


def _gain(step: Callable[[Precision], object], device: torch.device) -> float:
    """Seconds of a step in float32 over those in bfloat16."""
    seconds: dict[Precision, list[float]] = {"fp32": [], "bf16": []}
    for turn in range(TIMED_STEPS + 1):
        for precision, measured in seconds.items():
            start = time.perf_counter()
            step(precision)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn:  # the first allocates and chooses kernels
                measured.append(time.perf_counter() - start)
    # The least of each: whatever else runs on the machine only ever adds.
    return min(seconds["fp32"]) / min(seconds["bf16"])
