"""From settings to a frozen Φ, and what can be checked before anything starts."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trainables.data.dataset import Dataset
from trainables.identity.config import IdentityConfig
from trainables.identity.mobilefacenet import (
    NUM_FEATURES,
    check_mobilefacenet,
    fold,
    load_mobilefacenet,
)
from trainables.identity.model import WHOLE, IdentityModel, View, make_view
from trainables.identity.programs import load_program
from trainables.identity.public import NUM_FEATURES as NUM_PUBLIC_FEATURES
from trainables.identity.public import identity_rows, public_face_net
from trainables.seeding import state_hash


def check_identity(config: IdentityConfig) -> None:
    """Refuses settings whose file cannot serve, before anything starts; reads no image.

    Weights are compared by names and shapes; a program is loaded and shown one grey image.

    Raises:
        ValueError: Naming the file and what is wrong with it.
    """
    if config.identity_weights is None:
        return
    if config.identity_model == "mobilefacenet":
        check_mobilefacenet(config.identity_weights)
    else:
        load_program(config.identity_model, config.identity_weights, config.identity_size)


def build_identity(
    config: IdentityConfig, dataset: Dataset, cache_dir: Path, device: torch.device | str = "cpu"
) -> IdentityModel | None:
    """Returns Φ, frozen and in evaluation mode, training and caching it first if it is `public`.

    Raises:
        ValueError: As `check_identity`, or `public` finds too few people (`identity_rows`).
    """
    if config.identity_model == "none":
        return None
    if config.identity_model == "public":
        return _public(config, dataset, cache_dir, device)
    assert config.identity_weights is not None, "the settings demand a file"
    view, path = make_view(config, dataset.config), config.identity_weights
    if config.identity_model == "mobilefacenet":
        net = load_mobilefacenet(path)
        weights_hash = state_hash(net.state_dict())
        placed = _placed(fold(net), device)
        return IdentityModel(
            config.identity_model, placed, view, weights_hash, NUM_FEATURES, device
        )
    program = load_program(config.identity_model, path, config.identity_size, device)
    return IdentityModel(
        config.identity_model,
        program.net,
        view,
        program.hash,
        program.num_features,
        device,
        program.batch_size,
    )


def _public(
    config: IdentityConfig, dataset: Dataset, cache_dir: Path, device: torch.device | str
) -> IdentityModel:
    net = public_face_net(dataset, cache_dir)
    weights_hash = state_hash(net.state_dict())
    placed, view = _placed(net, device), View(WHOLE, None, -1.0, 1.0)
    return IdentityModel("public", placed, view, weights_hash, NUM_PUBLIC_FEATURES, device)


def _placed(net: nn.Module, device: torch.device | str) -> nn.Module:
    return net.to(device).to(memory_format=torch.channels_last)


def attacker_rows(config: IdentityConfig, dataset: Dataset) -> NDArray[np.int64]:
    """Rows of the public split that attackers may use, sorted: all but those kept for Φ.

    Raises:
        ValueError: As `identity_rows`.
    """
    rows = dataset.rows("public")
    if config.identity_model != "public":
        return rows
    return np.setdiff1d(rows, identity_rows(dataset))
