"""Normalisation of encoders that must not collapse (Pittaluga, section 3.2).

Batch normalisation averages over positions too, and so allows a code that differs from place to
place but is the same for every image. Statistics for each location over the batch do not.
"""

import torch
from torch import Tensor, nn

from trainables.nets.config import EncoderStyle, Normalisation

_PER_LOCATION: tuple[Normalisation, ...] = ("per_location", "per_location_bias")


class PerLocationNorm(nn.Module):
    """Zero mean and unit variance over the batch for each channel, row and column.

    In evaluation the running statistics take the batch's place, as in batch normalisation.

    Args:
        channels: Channels of the map.
        height: Rows of the map.
        width: Columns of the map.
        bias: Whether a learned value is added at each location.
    """

    def __init__(self, channels: int, height: int, width: int, bias: bool = False) -> None:
        super().__init__()
        self.shape = (channels, height, width)
        # The map as one large vector, which is how the paper explains it. A batch normalisation
        # within, so that `modes.frozen` treats its statistics like all others.
        self.norm = nn.BatchNorm1d(channels * height * width, affine=False)
        self.bias = nn.Parameter(torch.zeros(self.shape)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Returns [B, C, H, W], laid out channels-last.

        Raises:
            ValueError: For maps of another size, or a single image in training.
        """
        if tuple(x.shape[1:]) != self.shape:
            raise ValueError(
                f"per-location statistics are of maps {_dimensions(self.shape)}, "
                f"got {_dimensions(tuple(x.shape[1:]))}"
            )
        if self.training and len(x) < 2:
            raise ValueError(
                f"per-location statistics need at least 2 images in a training batch, got {len(x)}"
            )
        channels, height, width = self.shape
        # In the order of a channels-last map: for these the flattening copies nothing.
        flat: Tensor = self.norm(x.permute(0, 2, 3, 1).flatten(1))
        out: Tensor = flat.unflatten(1, (height, width, channels)).permute(0, 3, 1, 2)
        return out if self.bias is None else out + self.bias

    def extra_repr(self) -> str:
        """Shows the size in a printed net."""
        return f"{_dimensions(self.shape)}, bias={self.bias is not None}"


class ChannelBias(nn.Module):
    """A learned value per channel, as a plain convolution or fully connected layer has it.

    Args:
        channels: Channels of the map, or values of a vector.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Returns [B, C, H, W], or [B, C]."""
        return x + self.bias.reshape(-1, *[1] * (x.ndim - 2))


def _dimensions(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)


def _norm(kind: Normalisation, shape: tuple[int, ...]) -> nn.Module:
    """A normalisation of one kind for values of that shape (without the batch)."""
    if kind == "none":
        return nn.Identity()
    if kind == "none_bias":
        return ChannelBias(shape[0])
    if len(shape) == 1:
        return nn.BatchNorm1d(shape[0], affine=False)
    channels, height, width = shape
    if kind in _PER_LOCATION:
        return PerLocationNorm(channels, height, width, bias=kind == "per_location_bias")
    return nn.BatchNorm2d(channels, affine=False)


def restyle(encoder: nn.Sequential, style: EncoderStyle, height: int, width: int) -> None:
    """Replaces every batch normalisation of an encoder, in place, and adds the code's constraint.

    The constraint is a normalisation without parameters and a tanh. It is per location unless the
    layers are normalised by `batch` (or `standard`): in the paper's comparison only what happens
    within the encoder differs (section 4.2).

    Args:
        encoder: Built with batch normalisation after its convolutions, which have no biases.
        style: What is wanted.
        height: Image height in pixels.
        width: Image width in pixels.
    """
    replaced = style.normalisation != "standard"
    if not (replaced or style.constrained):
        return
    shapes, code_shape = _output_shapes(encoder, height, width)
    if replaced:
        for name, shape in shapes.items():
            encoder.set_submodule(name, _norm(style.normalisation, shape))
        _adapt(encoder)
    if style.constrained:
        by_batch = style.normalisation in ("standard", "batch")
        encoder.append(_norm("batch" if by_batch else "per_location", code_shape))
        encoder.append(nn.Tanh())


def _output_shapes(
    encoder: nn.Module, height: int, width: int
) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
    """Returns the shape of what leaves each batch normalisation, by name, and of the code."""
    shapes: dict[str, tuple[int, ...]] = {}
    hooks = []
    for name, part in encoder.named_modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):

            def note(_: nn.Module, __: object, output: Tensor, name: str = name) -> None:
                shapes[name] = tuple(output.shape[1:])

            hooks.append(part.register_forward_hook(note))
    training = encoder.training
    encoder.eval()
    with torch.no_grad():
        code = encoder(torch.zeros(1, 3, height, width))
    encoder.train(training)
    for hook in hooks:
        hook.remove()
    return shapes, tuple(code.shape[1:])


def _adapt(encoder: nn.Module) -> None:
    """Fits the other layers to replaced normalisations.

    The fully connected layers lose their biases: no layer is left a constant to fall back on. The
    ReLUs no longer work in place: what `PerLocationNorm` returns is a view, and the backward pass
    of an in-place operation on a view doubled the time of the layer.
    """
    for part in encoder.modules():
        if isinstance(part, nn.Linear):
            part.register_parameter("bias", None)
        elif isinstance(part, nn.ReLU):
            part.inplace = False
