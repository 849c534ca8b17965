"""Face models brought as programs: TorchScript, or what `torch.export` writes.

Such a program can compute whatever torch can, which includes writing files; it cannot bring Python
along. Load none that you do not trust.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass

from trainables.environment import environment
from trainables.seeding import HASH_LENGTH, file_hash


class Program(NamedTuple):
    """A program that was loaded and has answered once.

    Attributes:
        net: Input [B, 3, h, w] to features [B, D] or [B, D, 1, 1].
        num_features: D.
        batch_size: The only B it takes; None for any.
        hash: Identity of its file.
    """

    net: Callable[[Tensor], Tensor]
    num_features: int
    batch_size: int | None
    hash: str


def load_program(
    name: str, path: Path, size: tuple[int, int], device: torch.device | str = "cpu"
) -> Program:
    """Loads a program and shows it a grey image.

    Args:
        name: `torchscript` or `exported`.
        path: The file.
        size: Height and width of its input.
        device: Where it is to run.

    Raises:
        ValueError: Naming the file and what is wrong: it is missing, is no such program, or does
            not turn images of that size into a feature vector each.
    """
    if not path.is_file():
        raise ValueError(f"attack.identity_weights: no file at {path}")
    try:
        with _quiet():
            load = _torchscript if name == "torchscript" else _exported
            net, batch_size = load(path, torch.device(device))
    except Exception as error:  # torch raises half a dozen kinds for files that are none of its own
        raise ValueError(
            f"attack.identity_weights: {path} is no program that identity_model={name!r} can "
            f"load: {_first_line(error)}"
        ) from error
    images = torch.full((batch_size or 2, 3, *size), 0.5, device=device)
    try:
        with torch.no_grad():
            features = net(images)
    except Exception as error:
        raise ValueError(
            f"attack.identity_size: the program {path} takes no images of "
            f"{size[0]}x{size[1]}: {_first_line(error)}"
        ) from error
    shape = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
    if not isinstance(features, Tensor) or len(features) != len(images) or features.dim() < 2:
        raise ValueError(
            f"attack.identity_weights: the program {path} must turn images "
            f"{list(images.shape)} into features [{len(images)}, D], got {shape}"
        )
    num_features = features.flatten(1).shape[1]
    return Program(net, num_features, batch_size, file_hash(path)[:HASH_LENGTH])


def _torchscript(path: Path, device: torch.device) -> tuple[Callable[[Tensor], Tensor], int | None]:
    module = torch.jit.load(str(path), map_location=device)
    return module.eval(), None


def _exported(path: Path, device: torch.device) -> tuple[Callable[[Tensor], Tensor], int | None]:
    # It would fall back to unpickling anything, code included, where a file is no plain data.
    with environment(TORCH_FORCE_WEIGHTS_ONLY_LOAD="1"):
        program = torch.export.load(path)
    # Weights, constants and devices inside the graph all move.
    program = move_to_device_pass(program, device)
    inputs = program.graph_signature.user_inputs
    shapes = [
        tuple(node.meta["val"].shape)
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in inputs
    ]
    if len(shapes) != 1:
        raise ValueError(f"it has {len(shapes)} inputs, a face model has one")
    # A symbol where any number of images is allowed, a plain number where it was fixed.
    batch_size = shapes[0][0] if isinstance(shapes[0][0], int) else None
    return program.module(), batch_size


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps torch from reporting on its own what becomes an error of ours."""
    logger = logging.getLogger("torch.export")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
