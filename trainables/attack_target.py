"""What an attack trial is aimed at: the frozen encoder, and what attackers may know of it."""

from collections.abc import Callable

import numpy as np
from torch import Tensor, nn

from trainables.attackers.base import Target
from trainables.data.dataset import Dataset
from trainables.encodings import Encodings
from trainables.frozen import PLANTED, FrozenEncoder, load_encoder, planted_encoder
from trainables.identity import IdentityModel
from trainables.nets.backbones import code_spec
from trainables.nets.config import ModelConfig


def attacked_encoder(reference: str, model: ModelConfig, dataset: Dataset) -> FrozenEncoder:
    """Returns the encoder that a trial names: a file, `identity`, `constant` or `planted`."""
    height, width = dataset.config.height, dataset.config.width
    if reference == PLANTED:
        spec = code_spec(model, height, width)
        return planted_encoder(spec, tuple(dataset.private_columns))
    return load_encoder(reference, height, width)


def make_target(
    model: ModelConfig,
    encodings: Encodings,
    perceptual: nn.Module | None,
    identity: IdentityModel | None,
) -> Target:
    """Returns what attackers of an encoder must know about it.

    Args:
        model: The network the encoder is a part of.
        encodings: Its codes, and the images behind them.
        perceptual: The frozen network `g`, or None where no attacker needs it.
        identity: The identity model; None if the study has none.
    """
    dataset, encoder = encodings.dataset, encodings.encoder
    public = dataset.store.labels[encodings.public_rows][:, dataset.private_columns]
    return Target(
        spec=encoder.spec,
        model=model,
        height=dataset.config.height,
        width=dataset.config.width,
        private_columns=tuple(dataset.private_columns),
        private_names=dataset.private_names,
        positive_rates=tuple(float(rate) for rate in public.astype(np.float64).mean(axis=0)),
        device=encodings.device,
        perceptual=perceptual,
        num_categories=dataset.num_categories,
        features=None if identity is None else identity.features,
        encode=_differentiable(encodings),
    )


def _differentiable(encodings: Encodings) -> Callable[[Tensor], Tensor] | None:
    """The encoder with its gradients, for a white-box attacker."""
    net = encodings.encoder.net
    if net is None or encodings.encoder.stochastic:
        return None
    return lambda images: encodings.standardise(net(images))
