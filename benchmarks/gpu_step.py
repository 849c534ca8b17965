"""One round of `reconstruction` on a GPU: how near the card's rate, and whether it waits.

    python benchmarks/gpu_step.py             ResNet-50, 128 pixels, batches of 256, bf16
    python benchmarks/gpu_step.py --cut conv1 conv3 avgpool --precision fp32 bf16

Needs PyTorch and NumPy alone (`benchmarks/stand_ins.py`). The images are noise, as many as
`--images` says, in the GPU's memory as a trial has them: what is drawn on them changes no step's
time. Operations are convolutions and matrix products, counted; the card's rate is measured in the
same run.
"""

import argparse
import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import stand_ins

MISSING = stand_ins.install()

from benchmarks.limits import measure_limits
from benchmarks.machine import show_and_keep, synchronise
from benchmarks.protector_step import (
    Faces,
    Round,
    add_sizes,
    build,
    operations,
    ours,
    seconds_in_turns,
)
from benchmarks.tables import markdown
from trainables.data.resident import on_device
from trainables.nets.config import ModelConfig
from trainables.precision import Precision

NUM_ATTRIBUTES = 6
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def make_round(
    cut: str, precision: Precision, options: argparse.Namespace, device: torch.device
) -> tuple[Round, bool, list[torch.nn.Parameter]]:
    """Our round, whether its images lie on the device, and the weights that it moves."""
    rng = np.random.default_rng(0)
    side = options.image_size
    drawn = rng.integers(0, 256, (options.images, side, side, 3), dtype=np.uint8)
    labels = rng.integers(0, 2, (options.images, NUM_ATTRIBUTES), dtype=np.uint8)
    images = on_device(drawn, device)
    model = ModelConfig(backbone=options.backbone, width=options.width, cut_point=cut)
    protector = build("reconstruction", model, side, options.batch_size, device)
    faces = Faces(Path(), images, labels)
    run = ours(protector, faces, options.batch_size, device, precision)
    weights = [weight for net in protector.computed() for weight in net.parameters()]
    return run, isinstance(images, torch.Tensor), weights


def idle_share(work: Round, rounds: int, device: torch.device) -> float | None:
    """Share of the time in which no kernel ran: the GPU waited for the host. None on a CPU."""
    if device.type != "cuda":
        return None
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for _ in range(rounds):
            work()
        synchronise(device)
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in profiler.events()
        if event.device_type.name == "CUDA"
    )
    first, last = spans[0][0], max(stop for _, stop in spans)
    busy, end = 0.0, first
    for start, stop in spans:
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return float(1 - busy / (last - first))


def main() -> int:
    """Prints and keeps the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_sizes(parser, "resnet50", 128, 256)
    parser.add_argument("--images", type=int, default=8192, help="in the store (8192)")
    parser.add_argument("--cut", nargs="+", default=["conv3"], help="cut points (conv3)")
    parser.add_argument("--precision", nargs="+", default=["bf16"], choices=list(DTYPES))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5, help="per repetition")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    device = torch.device(options.device)
    if MISSING:
        print(f"stand-ins for {', '.join(MISSING)}")
    rows = []
    for precision in options.precision:
        limit = measure_limits(device, DTYPES[precision])
        for cut in options.cut:
            work, resident, _ = make_round(cut, precision, options, device)
            counted = operations(work)
            times = seconds_in_turns({"": work}, options.repetitions, options.rounds, device)[""]
            idle = idle_share(work, options.rounds, device)
            speed = counted / statistics.median(times)
            drawn = 2 * options.batch_size
            rows.append(
                [
                    precision,
                    cut,
                    f"{drawn / statistics.median(times):,.0f} "
                    f"({drawn / max(times):,.0f} to {drawn / min(times):,.0f})",
                    f"{counted / 1e9:,.0f}",
                    f"{speed / 1e12:.2f}",
                    f"{speed / limit.matrix:.0%}",
                    f"{speed / limit.convolution:.0%}",
                    "" if idle is None else f"{idle:.1%}",
                    "yes" if resident else "no",
                ]
            )
            print(" | ".join(rows[-1]), flush=True)
    heads = ["precision", "cut", "images/s", "Gflop per round", "Tflop/s", "of the matrix rate",
             "of the convolution rate", "GPU idle", "images on the GPU"]  # fmt: skip
    text = markdown(heads, rows)
    name = f"gpu-step-{device.type}-{options.backbone}-{options.image_size}"
    show_and_keep(name, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
