"""Frozen encoders: what a protector leaves behind and every attacker finds.

Besides trained networks there are encoders that need no training: `identity` sends the image (the
ceiling of every attacker), `blur` and `noise` send it spoiled, `constant` sends nothing (the
floor), `labels` sends the true utility labels (the reference point of methods, section 2.4),
`planted` sends nothing but the private attributes (a check that attackers find what is there).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainables.checkpoint import load_state, save_state
from trainables.nets.backbones import (
    CodeSpec,
    base_channels,
    build_adversary,
    build_encoder,
    code_spec,
)
from trainables.nets.config import EncoderStyle, ModelConfig
from trainables.nets.decoders import build_decoder
from trainables.nets.fixed import BLUR_STRIDE, GaussianNoise, MeanBlur
from trainables.seeding import state_hash

IDENTITY, CONSTANT, BLUR, NOISE = "identity", "constant", "blur", "noise"
PLANTED = "planted"
CONSTANT_FEATURES = 8
"""Length of the constant code. A vector, not a map: from it a decoder can draw the mean image,
which is the best anyone can do without seeing z."""


@dataclass(frozen=True)
class FixedCode:
    """A code of the image that needs no training.

    Attributes:
        kind: `identity`, `blur` or `noise`.
        strength: The blur's kernel as a share of the image's side, or the noise's deviation.
    """

    kind: str
    strength: float = 0.0

    def spec(self, height: int, width: int) -> CodeSpec:
        """The shape of the codes."""
        if self.kind == BLUR:
            return CodeSpec("image", (3, height // BLUR_STRIDE, width // BLUR_STRIDE))
        return CodeSpec("input", (3, height, width))


def build_fixed(code: FixedCode, height: int, width: int) -> nn.Module:
    """Builds the module that makes a fixed code."""
    if code.kind == BLUR:
        return MeanBlur(height, width, code.strength)
    return GaussianNoise(code.strength) if code.kind == NOISE else nn.Identity()


@dataclass(frozen=True)
class InLoop:
    """The adversaries an encoder was trained against, as they stood at the end.

    Attributes:
        decoder: Rebuilds images from codes; None if there was none.
        classifier: Tells the private attributes' logits [B, P] from codes; None if there was none.
    """

    decoder: nn.Module | None = None
    classifier: nn.Module | None = None


@dataclass(frozen=True)
class FrozenEncoder:
    """An encoder that no longer changes.

    Attributes:
        kind: `network`, `identity`, `blur`, `noise`, `constant`, `labels` or `planted`.
        spec: The shape of its codes.
        net: What computes them, in evaluation mode and without gradients; None for `constant`,
            `labels` and `planted`.
        columns: Label columns that `labels` or `planted` sends.
        in_loop: The adversaries it was trained against, likewise frozen.
        strength: As in `FixedCode`.
    """

    kind: str
    spec: CodeSpec
    net: nn.Module | None = None
    columns: tuple[int, ...] = ()
    in_loop: InLoop = InLoop()
    strength: float = 0.0

    @property
    def stochastic(self) -> bool:
        """Whether the same image has another code whenever it is sent."""
        return self.kind == NOISE

    @torch.no_grad()
    def encode(self, images: Tensor, labels: Tensor, seed: int = 0) -> Tensor:
        """Returns z for images [B, 3, H, W] with labels [B, A].

        Args:
            images: What is encoded.
            labels: All their attributes.
            seed: Decides the noise of a stochastic encoder; the others have no use for it.
        """
        if isinstance(self.net, GaussianNoise):
            return self.net.noisy(images, seed)
        if self.net is not None:
            codes: Tensor = self.net(images)
            return codes
        if self.kind == CONSTANT:
            return torch.zeros(len(images), CONSTANT_FEATURES, device=images.device)
        sent = labels[:, list(self.columns)]
        return _planted(sent, self.spec.shape) if self.kind == PLANTED else sent

    def hash(self) -> str:
        """Hash of the weights' and statistics' exact bytes; of the kind where there are none."""
        if self.kind == "network":
            assert self.net is not None, "a network has one"
            return state_hash(self.net.state_dict())
        return f"{self.kind} {self.strength:g}" if self.kind in (BLUR, NOISE) else self.kind

    def to(self, device: torch.device) -> "FrozenEncoder":
        """Moves the nets to a device, in place, and returns itself."""
        for net in (self.net, self.in_loop.decoder, self.in_loop.classifier):
            if net is not None:
                net.to(device)
        return self


def fixed_encoder(code: FixedCode, height: int, width: int) -> FrozenEncoder:
    """The encoder that makes a fixed code."""
    net = build_fixed(code, height, width).eval()
    return FrozenEncoder(code.kind, code.spec(height, width), net, strength=code.strength)


def identity_encoder(height: int, width: int) -> FrozenEncoder:
    """The encoder that sends the image itself."""
    return fixed_encoder(FixedCode(IDENTITY), height, width)


def constant_encoder() -> FrozenEncoder:
    """The encoder that sends the same for everybody."""
    return FrozenEncoder(CONSTANT, CodeSpec("vector", (CONSTANT_FEATURES,)))


def planted_encoder(spec: CodeSpec, columns: tuple[int, ...]) -> FrozenEncoder:
    """The encoder whose code is constant but for one value per private attribute.

    Args:
        spec: The shape of the codes, as of the encoders that are studied.
        columns: Label columns of the private attributes.

    Raises:
        ValueError: If a code has fewer values than there are attributes.
    """
    if len(columns) > spec.num_values:
        raise ValueError(
            f"data.private: {len(columns)} attributes cannot be planted in the {spec.num_values} "
            f"values of {spec.cut_point!r}"
        )
    return FrozenEncoder(PLANTED, spec, columns=columns)


def _planted(sent: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Codes [B, *shape] of ones; one cell in the middle of each channel holds an attribute."""
    channels, cells = shape[0], math.prod(shape[1:])
    codes = torch.ones(len(sent), channels, cells, device=sent.device)
    for index in range(sent.shape[1]):
        codes[:, index % channels, (cells // 2 + index // channels) % cells] = sent[:, index]
    return codes.view(len(sent), *shape)


def save_labels_encoder(path: Path, utility_columns: tuple[int, ...]) -> None:
    """Writes the reference point that sends the true utility labels."""
    save_state({"kind": "labels", "utility_columns": list(utility_columns)}, path)


def save_fixed_encoder(path: Path, code: FixedCode) -> None:
    """Writes an encoder that needed no training."""
    save_state({"kind": code.kind, "strength": code.strength}, path)


def save_network_encoder(
    path: Path,
    model: ModelConfig,
    height: int,
    width: int,
    encoder: nn.Module,
    in_loop: InLoop,
    style: EncoderStyle = EncoderStyle(),  # noqa: B008  frozen
    num_private: int = 0,
) -> None:
    """Writes a trained encoder with the adversaries it was trained against.

    Args:
        path: Where to.
        model: The network and its cut.
        height: Image height in pixels.
        width: Image width in pixels.
        encoder: The encoder.
        in_loop: Its adversaries.
        style: How the encoder is normalised.
        num_private: Outputs of the in-loop classifier.
    """
    state: dict[str, Any] = {
        "kind": "network",
        "model": model.model_dump(mode="json"),
        "style": style.model_dump(mode="json"),
        "height": height,
        "width": width,
        "encoder": encoder.state_dict(),
        "in_loop_decoder": in_loop.decoder and in_loop.decoder.state_dict(),
        "in_loop_classifier": in_loop.classifier and in_loop.classifier.state_dict(),
        "num_private": num_private,
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
    if state["kind"] != "network":
        return fixed_encoder(FixedCode(state["kind"], state["strength"]), height, width)
    if (state["height"], state["width"]) != (height, width):
        raise ValueError(
            f"{reference} holds an encoder of {state['height']}x{state['width']} images, "
            f"the data are {height}x{width}"
        )
    return _network(state)


def _network(state: dict[str, Any]) -> FrozenEncoder:
    model, size = ModelConfig(**state["model"]), (state["height"], state["width"])
    spec = code_spec(model, *size)
    # Encoders written before there were styles have none of their own.
    net = build_encoder(model, *size, EncoderStyle(**state.get("style", {})))
    decoder = classifier = None
    if state["in_loop_decoder"] is not None:
        decoder = build_decoder(spec, *size, base_channels(model))
    if state.get("in_loop_classifier") is not None:
        classifier = build_adversary(model, spec, state["num_private"])
    for part, name in (
        (net, "encoder"),
        (decoder, "in_loop_decoder"),
        (classifier, "in_loop_classifier"),
    ):
        if part is not None:
            part.load_state_dict(state[name])
            part.eval().requires_grad_(False)
    return FrozenEncoder("network", spec, net, in_loop=InLoop(decoder, classifier))
