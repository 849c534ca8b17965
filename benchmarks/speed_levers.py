"""What each means to be fast brings by itself: the same step with it and without it, in turns.

    python benchmarks/speed_levers.py                     ResNet-18 at the full width, 64 pixels
    python benchmarks/speed_levers.py --width 0.25 --image-size 48 --batch-size 32

A ratio of 1.2 says that the step takes a fifth longer without it. Those that are not in use here
are measured too: below 1 they did not pay.
"""

import argparse
import copy
import functools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.machine import show_and_keep, synchronise
from benchmarks.plain import plain_ms_ssim_loss, plainly
from benchmarks.protector_step import Round, add_sizes, build, seconds_in_turns
from benchmarks.tables import markdown
from trainables.data.tasks import TaskBatches
from trainables.losses import discriminator_loss, ms_ssim_loss, pixel_loss
from trainables.nets.backbones import base_channels, build_encoder, code_spec
from trainables.nets.config import ModelConfig
from trainables.nets.decoders import build_decoder, build_discriminator
from trainables.nets.modes import frozen
from trainables.precision import computed_in
from trainables.protectors import reconstruction
from trainables.protectors.reconstruction import Reconstruction

NUM_IMAGES = 512
Pair = tuple[Round, Round]
"""A step without the lever, and with it."""


class Bench:
    """The step that levers are tried on, always from the same start.

    Args:
        options: Sizes.
        device: What computes.
    """

    def __init__(self, options: argparse.Namespace, device: torch.device) -> None:
        self.side, self.batch, self.device = options.image_size, options.batch_size, device
        self.model = ModelConfig(
            backbone=options.backbone, width=options.width, cut_point=options.cut
        )
        rng = np.random.default_rng(0)
        shape = (NUM_IMAGES, self.side, self.side, 3)
        self.pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        self.labels = rng.integers(0, 2, (NUM_IMAGES, 6), dtype=np.uint8)

    def protector(self) -> Reconstruction:
        """A fresh one of Xiao's, with his weak adversary."""
        built = build("reconstruction", self.model, self.side, self.batch, self.device)
        assert isinstance(built, Reconstruction)
        return built

    def batches(self, seed: int) -> TaskBatches:
        """Batches of the images."""
        rows = np.arange(NUM_IMAGES, dtype=np.int64)
        return TaskBatches(self.pixels, self.labels, rows, self.batch, seed, self.device)

    def round(self, protector: Reconstruction) -> Round:
        """One round of a protector."""
        private, public = self.batches(0), self.batches(1)
        return lambda: protector.round(private, public)

    def decoder(self) -> nn.Module:
        """An attacker's, in training."""
        base = base_channels(self.model)
        spec = code_spec(self.model, self.side, self.side)
        return build_decoder(spec, self.side, self.side, base).to(self.device).train()

    def codes(self) -> tuple[Tensor, Tensor]:
        """Codes of one batch, and its images."""
        torch.manual_seed(0)
        images = self.batches(0)().images
        with torch.no_grad():
            return self.encoder()(images), images

    def encoder(self) -> nn.Module:
        """A frozen one."""
        net = build_encoder(self.model, self.side, self.side).to(self.device).eval()
        return net.requires_grad_(False)


@contextmanager
def _standing_still_with_gradients(module: nn.Module, *, batch_statistics: bool) -> Iterator[None]:
    with frozen(module, batch_statistics=batch_statistics):
        module.requires_grad_(True)
        yield


def no_weight_gradients(bench: Bench) -> Pair:
    """Nets that stand still get no gradients for their weights."""
    run = bench.round(bench.protector())

    def without() -> None:
        with mock.patch.object(reconstruction, "frozen", _standing_still_with_gradients):
            run()

    return without, bench.round(bench.protector())


def only_to_the_cut(bench: Bench) -> Pair:
    """For the adversary the network is run up to the cut and no further."""
    further = bench.protector()

    def whole(encoder: nn.Module, _: Any, codes: Tensor) -> None:
        if not encoder.training:
            further.head(codes)

    further.encoder.register_forward_hook(whole)
    return bench.round(further), bench.round(bench.protector())


def channels_last(bench: Bench) -> Pair:
    """Maps lie in memory pixel by pixel."""
    plain = bench.protector()
    for net in plain.nets().values():
        plainly(net)

    def by_channel(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(x.contiguous() for x in inputs)

    plain.encoder.register_forward_pre_hook(by_channel)
    return bench.round(plain), bench.round(bench.protector())


def fused_adam(bench: Bench) -> Pair:
    """One kernel for a whole step of the optimiser."""
    plain = bench.protector()
    for name, optimiser in (("optimiser", plain.optimiser),
                            ("decoder_optimiser", plain.decoder_optimiser)):  # fmt: skip
        weights = [weight for group in optimiser.param_groups for weight in group["params"]]
        setattr(plain, name, torch.optim.Adam(weights, optimiser.param_groups[0]["lr"]))
    return bench.round(plain), bench.round(bench.protector())


def no_reading_back(bench: Bench) -> Pair:
    """No loss is read back while training goes on."""
    protector = bench.protector()
    private, public = bench.batches(0), bench.batches(1)

    def reading() -> None:
        for term in protector.round(private, public).values():
            term.item()

    return reading, bench.round(bench.protector())


def bfloat16(bench: Bench) -> Pair:
    """Networks compute in bfloat16 (`resources.precision`)."""
    protector = bench.protector()
    run = bench.round(protector)

    def half() -> None:
        with computed_in("bf16", protector.computed()):
            run()

    return bench.round(bench.protector()), half


def compiled(bench: Bench) -> Pair:
    """`torch.compile` of every net; compiling is not counted."""
    protector = bench.protector()
    for net in protector.nets().values():
        net.compile()
    run = bench.round(protector)
    start = time.perf_counter()
    run()
    print(f"compiling took {time.perf_counter() - start:.0f} s", flush=True)
    return bench.round(bench.protector()), run


def _attack(
    net: nn.Module,
    codes: Callable[[], Tensor],
    images: Tensor,
    device: torch.device,
    loss: Callable[[Tensor, Tensor], Tensor] = pixel_loss,
) -> Round:
    optimiser = torch.optim.Adam(net.parameters(), fused=True)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss(net(codes()), images).backward()
        optimiser.step()
        synchronise(device)

    return step


def encode_once(bench: Bench) -> Pair:
    """An attacker's codes are computed once and kept."""
    codes, images = bench.codes()
    encoder = bench.encoder()
    again = _attack(bench.decoder(), lambda: encoder(images), images, bench.device)
    return again, _attack(bench.decoder(), lambda: codes, images, bench.device)


def our_ms_ssim(bench: Bench) -> Pair:
    """MS-SSIM is matrix products with a gradient in closed form, not the library's convolutions."""
    codes, images = bench.codes()
    plain, ours = (
        _attack(bench.decoder(), lambda: codes, images, bench.device, loss)
        for loss in (plain_ms_ssim_loss, ms_ssim_loss)
    )
    return plain, ours


def one_discriminator_pass(bench: Bench) -> Pair:
    """A discriminator looks at real and rebuilt images in one pass."""
    _, images = bench.codes()
    rebuilt = images.flip(0)
    pair = []
    for together in (False, True):
        net = build_discriminator(base_channels(bench.model)).to(bench.device)
        optimiser = torch.optim.Adam(net.parameters(), fused=True)

        def step(
            net: nn.Module = net,
            optimiser: torch.optim.Optimizer = optimiser,
            together: bool = together,
        ) -> None:
            if together:
                real, fake = net(torch.cat([images, rebuilt])).chunk(2)
            else:
                real, fake = net(images), net(rebuilt)
            optimiser.zero_grad(set_to_none=True)
            discriminator_loss(real, fake).backward()
            optimiser.step()

        pair.append(step)
    return pair[0], pair[1]


def stacked(bench: Bench) -> Pair:
    """Two decoders of one shape in one pass (`torch.func`); gradients alone, no optimiser."""
    codes, images = bench.codes()
    nets = [bench.decoder(), bench.decoder()]
    weights, buffers = stack_module_state(nets)  # type: ignore[arg-type]
    shape = copy.deepcopy(nets[0]).to("meta")

    def loss(own: dict[str, Tensor], state: dict[str, Tensor]) -> Tensor:
        return pixel_loss(functional_call(shape, (own, state), (codes,)), images)

    both = vmap(grad_and_value(loss))

    def one_by_one() -> None:
        for net in nets:
            net.zero_grad(set_to_none=True)
            pixel_loss(net(codes), images).backward()

    return one_by_one, lambda: both(weights, buffers)


LEVERS: dict[str, Callable[[Bench], Pair]] = {
    "frozen nets without weight gradients": no_weight_gradients,
    "encoder run to the cut and no further": only_to_the_cut,
    "channels-last": channels_last,
    "fused Adam": fused_adam,
    "no loss read back per step": no_reading_back,
    "bfloat16": bfloat16,
    "torch.compile": compiled,
    "codes computed once (attack step)": encode_once,
    "MS-SSIM by matrix products (attack step)": our_ms_ssim,
    "discriminator: one pass for real and rebuilt": one_discriminator_pass,
    "two decoders stacked (attack step)": stacked,
}


def _steps(options: argparse.Namespace, threads: int, count: int) -> float:
    """Seconds of some attack steps in a process of its own."""
    torch.set_num_threads(threads)
    bench = Bench(options, torch.device("cpu"))
    codes, images = bench.codes()
    step = _attack(bench.decoder(), lambda: codes, images, bench.device)
    step()
    start = time.perf_counter()
    for _ in range(count):
        step()
    return time.perf_counter() - start


def one_thread_each(options: argparse.Namespace, turns: int, count: int) -> list[float]:
    """How many times as long two attacks take one after the other with all cores each."""
    cores = len(os.sched_getaffinity(0))
    ratios = []
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        alone = functools.partial(_steps, options, 1, count)
        for turn in range(turns + 1):
            after_another = cores * pool.submit(_steps, options, cores, count).result()
            beside = max(future.result() for future in [pool.submit(alone) for _ in range(cores)])
            if turn:
                ratios.append(after_another / beside)
    return ratios


def main() -> int:
    """Prints and keeps the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_sizes(parser)
    parser.add_argument("--cut", default="conv3")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="steps per turn")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = []
    if device.type == "cpu":
        ratios = one_thread_each(options, options.repetitions, options.rounds)
        rows.append(_row("one thread for each of two attacks at a time", ratios, []))
    torch.set_num_threads(1)
    for name, lever in LEVERS.items():
        without, with_it = lever(Bench(options, device))
        pair = {"without": without, "with": with_it}
        seconds = seconds_in_turns(pair, options.repetitions, options.rounds, device)
        ratios = [a / b for a, b in zip(seconds["without"], seconds["with"], strict=True)]
        rows.append(_row(name, ratios, [seconds["without"], seconds["with"]]))
    text = markdown(["", "without, ms", "with, ms", "times as long without"], rows)
    text += (
        f"\n\n{options.backbone} at width {options.width:g} cut at {options.cut}, "
        f"{options.batch_size} images of {options.image_size} pixels, one thread; a round of "
        "`reconstruction` where nothing else is said. Median, and all from the least to the most."
    )
    name = f"speed-levers-{device.type}-{options.width:g}-{options.image_size}"
    show_and_keep(name, text)
    return 0


def _row(name: str, ratios: list[float], seconds: list[list[float]]) -> list[str]:
    each = [f"{1e3 * statistics.median(values):.1f}" for values in seconds] or ["", ""]
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    row = [name, *each, spread]
    print(" | ".join(row), flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main())
