"""Frozen encoders: what a protector leaves behind and every attacker finds.

Besides trained networks there are three encoders that need no training: `identity` sends the image
(the ceiling of every attacker), `constant` sends nothing (the floor), `labels` sends the true
utility labels (the reference point of methods, section 2.4).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainables.checkpoint import load_state, save_state
from trainables.nets.backbones import CodeSpec, base_channels, build_encoder, code_spec
from trainables.nets.config import ModelConfig
from trainables.nets.decoders import build_decoder
from trainables.seeding import state_hash

IDENTITY, CONSTANT = "identity", "constant"
CONSTANT_FEATURES = 8
"""Length of the constant code. A vector, not a map: from it a decoder can draw the mean image,
which is the best anyone can do without seeing z."""


@dataclass(frozen=True)
class FrozenEncoder:
    """An encoder that no longer changes.

    Attributes:
        kind: `network`, `identity`, `constant` or `labels`.
        spec: The shape of its codes.
        net: The network in evaluation mode, without gradients; None for the other kinds.
        utility_columns: Label columns that `labels` sends.
        in_loop_decoder: The decoder it was trained against, likewise frozen, or None.
    """

    kind: str
    spec: CodeSpec
    net: nn.Module | None = None
    utility_columns: tuple[int, ...] = ()
    in_loop_decoder: nn.Module | None = None

    @torch.no_grad()
    def encode(self, images: Tensor, labels: Tensor) -> Tensor:
        """Returns z for images [B, 3, H, W] with labels [B, A]."""
        if self.net is not None:
            codes: Tensor = self.net(images)
            return codes
        if self.kind == IDENTITY:
            return images
        if self.kind == CONSTANT:
            return torch.zeros(len(images), CONSTANT_FEATURES, device=images.device)
        return labels[:, list(self.utility_columns)]

    def hash(self) -> str:
        """Hash of the weights' and statistics' exact bytes; of the kind where there is no net."""
        return state_hash(self.net.state_dict()) if self.net is not None else self.kind

    def to(self, device: torch.device) -> "FrozenEncoder":
        """Moves the nets to a device, in place, and returns itself."""
        for net in (self.net, self.in_loop_decoder):
            if net is not None:
                net.to(device)
        return self


def identity_encoder(height: int, width: int) -> FrozenEncoder:
    """The encoder that sends the image itself."""
    return FrozenEncoder(IDENTITY, CodeSpec("input", (3, height, width)))


def constant_encoder() -> FrozenEncoder:
    """The encoder that sends the same for everybody."""
    return FrozenEncoder(CONSTANT, CodeSpec("vector", (CONSTANT_FEATURES,)))


def save_labels_encoder(path: Path, utility_columns: tuple[int, ...]) -> None:
    """Writes the reference point that sends the true utility labels."""
    save_state({"kind": "labels", "utility_columns": list(utility_columns)}, path)


def save_network_encoder(
    path: Path,
    model: ModelConfig,
    height: int,
    width: int,
    encoder: nn.Module,
    in_loop_decoder: nn.Module | None,
) -> None:
    """Writes a trained encoder with the adversary it was trained against."""
    state: dict[str, Any] = {
        "kind": "network",
        "model": model.model_dump(mode="json"),
        "height": height,
        "width": width,
        "encoder": encoder.state_dict(),
        "in_loop_decoder": in_loop_decoder.state_dict() if in_loop_decoder is not None else None,
    }
    save_state(state, path)


def load_encoder(reference: str, height: int, width: int) -> FrozenEncoder:
    """Returns the encoder a trial was told to attack.

    Args:
        reference: `identity`, `constant`, or the path of a file written above.
        height: Image height in pixels.
        width: Image width in pixels.

    Raises:
        ValueError: If the file holds an encoder for another image size.
    """
    if reference == IDENTITY:
        return identity_encoder(height, width)
    if reference == CONSTANT:
        return constant_encoder()
    state = load_state(Path(reference))
    if state["kind"] == "labels":
        columns = tuple(state["utility_columns"])
        return FrozenEncoder("labels", CodeSpec("vector", (len(columns),)), None, columns)
    if (state["height"], state["width"]) != (height, width):
        raise ValueError(
            f"{reference} holds an encoder of {state['height']}x{state['width']} images, "
            f"the data are {height}x{width}"
        )
    return _network(state)


def _network(state: dict[str, Any]) -> FrozenEncoder:
    model = ModelConfig(**state["model"])
    spec = code_spec(model, state["height"], state["width"])
    net = build_encoder(model)
    net.load_state_dict(state["encoder"])
    decoder = None
    if state["in_loop_decoder"] is not None:
        decoder = build_decoder(spec, state["height"], state["width"], base_channels(model))
        decoder.load_state_dict(state["in_loop_decoder"])
        decoder.eval().requires_grad_(False)
    return FrozenEncoder("network", spec, net.eval().requires_grad_(False), in_loop_decoder=decoder)
