"""`resources.precision=auto`: measured once per study, where its trials run, and kept with it."""

import dataclasses

import torch
import torch.nn.functional as F
from rich.console import Console

from study.config import StudyConfig
from study.folder import StudyFolder, read_json, write_json
from study.sweep import run_on_worker
from trainables.nets.backbones import base_channels, build_encoder, code_spec
from trainables.nets.config import ModelConfig
from trainables.nets.decoders import build_decoder
from trainables.precision import Precision, computed_in, faster_precision


def settle_precision(config: StudyConfig, folder: StudyFolder, console: Console) -> StudyConfig:
    """Measures what `auto` is, with Ray connected; another precision stays as it is.

    A resumed study goes on with what its first start found: results of another precision would be
    other encoders.
    """
    if config.resources.precision != "auto":
        return config
    settled = settled_precision(config, folder)
    if settled is None:
        protectors = config.protectors.values()
        sizes = [int(getattr(one, "batch_size", 0)) for one in protectors]
        found = _ask_worker(config, max(sizes) or config.attack.batch_size)
        write_json({"precision": found}, folder.precision)
        settled = dataclasses.replace(config, measured=found)
    console.print(f"resources.precision: auto is {settled.precision} here", highlight=False)
    return settled


def settled_precision(config: StudyConfig, folder: StudyFolder) -> StudyConfig | None:
    """The configuration with the precision its first start found; None if there was none yet."""
    if config.resources.precision != "auto":
        return config
    known = read_json(folder.precision)
    return None if known is None else dataclasses.replace(config, measured=known["precision"])


def _ask_worker(config: StudyConfig, batch_size: int) -> Precision:
    """Measures with what a trial that trains an encoder will hold."""
    parts, data = config.resources, config.data
    chosen: Precision = run_on_worker(
        measure, config.model, data.height, data.width, batch_size, parts.cpus_per_protect,
        cpus=parts.cpus_per_protect, gpus=parts.gpus_per_protect,
    )  # fmt: skip
    return chosen


def measure(
    model: ModelConfig, height: int, width: int, batch_size: int, threads: int
) -> Precision:
    """Which precision trains an encoder and its mirror faster.

    Args:
        model: The network that is cut.
        height: Image height in pixels.
        width: Image width in pixels.
        batch_size: Images per step.
        threads: Of torch.
    """
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = build_encoder(model, height, width).to(device)
    spec = code_spec(model, height, width)
    decoder = build_decoder(spec, height, width, base_channels(model)).to(device)
    images = torch.rand(batch_size, 3, height, width, device=device)
    images = images.contiguous(memory_format=torch.channels_last)

    def step(precision: Precision) -> None:
        with computed_in(precision, [encoder, decoder]):
            loss = F.mse_loss(decoder(encoder(images)), images)
        encoder.zero_grad(set_to_none=True)
        decoder.zero_grad(set_to_none=True)
        loss.backward()

    return faster_precision(step, device)
