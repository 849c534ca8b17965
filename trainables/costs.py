"""What a cut costs the client: weights to store, work per image, bytes to send, time."""

import itertools
import statistics
import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from trainables.nets.backbones import CodeSpec

LATENCY_RUNS = 10


def encoder_costs(encoder: nn.Module, spec: CodeSpec, height: int, width: int) -> dict[str, float]:
    """Returns the encoder's costs for one image (methods, section 4).

    Returns:
        `cost/parameters` (count), `cost/multiply_adds` (per image), `cost/code_bytes` (as sent,
        32-bit), `cost/latency_ms` (median wall time of batch-1 inference on this machine's CPU).
    """
    was_training = encoder.training
    # A filter has no parameters, and the image itself not even a buffer.
    weight_or_buffer = next(itertools.chain(encoder.parameters(), encoder.buffers()), None)
    device = weight_or_buffer.device if weight_or_buffer is not None else torch.device("cpu")
    encoder.eval().to("cpu")
    image = torch.zeros(1, 3, height, width)
    times = []
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            encoder(image)
        for _ in range(LATENCY_RUNS):
            start = time.perf_counter()
            encoder(image)
            times.append(time.perf_counter() - start)
    encoder.train(was_training).to(device)
    return {
        "cost/parameters": float(sum(weight.numel() for weight in encoder.parameters())),
        "cost/multiply_adds": counter.get_total_flops() / 2,
        "cost/code_bytes": 4.0 * spec.num_values,
        "cost/latency_ms": 1000 * statistics.median(times),
    }
