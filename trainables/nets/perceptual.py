"""The network `g` of the perceptual terms (Xiao, eq. 4 and 8), frozen and pluggable.

Xiao uses conv1 to conv5 of an ImageNet VGG-16; `Vgg16Features` reads those weights from a file.
Where there is none, `public_features` trains a small convolutional network to predict attributes on
the public split, which the attacker holds anyway. Which one was used is a logged parameter.
"""

from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor, nn

from trainables.checkpoint import load_state, save_state
from trainables.data.batches import RandomBatches
from trainables.data.dataset import Dataset
from trainables.losses import utility_loss
from trainables.nets.backbones import head, initialise
from trainables.nets.config import ModelConfig
from trainables.seeding import config_hash, derive_seed

PUBLIC_STEPS = 300
PUBLIC_BATCH = 64
PUBLIC_CHANNELS = (16, 32, 64, 128)
_VGG_TAPS = (3, 8, 15, 22, 29)
"""Indices, in torchvision's `features`, of the last ReLU of conv1 to conv5."""


class PublicFeatures(nn.Module):
    """Maps after each of four convolutions of stride 2, images [B, 3, H, W] to a list.

    Every step of a strong attacker runs it forwards twice and backwards once, so it is small.
    """

    def __init__(self, num_attributes: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        channels = 3
        for out_channels in PUBLIC_CHANNELS:
            self.stages.append(
                nn.Sequential(
                    nn.Conv2d(channels, out_channels, 3, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(out_channels),
                    nn.ReLU(),
                )
            )
            channels = out_channels
        self.head = nn.Sequential(*head(channels, 64, num_attributes))
        initialise(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Returns the maps at strides 2, 4, 8 and 16."""
        features = []
        x = images
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def logits(self, images: Tensor) -> Tensor:
        """Attribute logits, [B, A]; used to train the features."""
        out: Tensor = self.head(self(images)[-1].mean(dim=(2, 3)))
        return out


class Vgg16Features(nn.Module):
    """conv1 to conv5 of VGG-16 with ImageNet weights in torchvision's layout."""

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Path) -> None:
        super().__init__()
        state = _vgg16_state(weights)
        self.features = _vgg16_features()
        self.features.load_state_dict(state)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Returns the maps of conv1 to conv5 for images in [0, 1]."""
        features = []
        x = (images - self.mean) / self.std
        for index, layer in enumerate(self.features[: _VGG_TAPS[-1] + 1]):
            x = layer(x)
            if index in _VGG_TAPS:
                # The next ReLU in torchvision's list works in place; keep our own copy.
                features.append(x.clone())
        return features


def check_vgg16_weights(weights: Path) -> None:
    """Refuses a file that is no VGG-16 in torchvision's layout, building no network.

    Raises:
        ValueError: Naming the file and what is wrong with it.
    """
    state = _vgg16_state(weights)
    with torch.device("meta"):
        wanted = _vgg16_features().state_dict()
    for name, value in wanted.items():
        found = getattr(state.get(name), "shape", None)
        if found != value.shape:
            raise ValueError(
                f"model.perceptual_weights: {weights} is no VGG-16 in torchvision's layout: "
                f"'features.{name}' must have shape {list(value.shape)}, "
                f"got {'nothing' if found is None else list(found)}"
            )


def _vgg16_features() -> nn.Sequential:
    from torchvision.models import vgg16  # as `blocks.py` does: no sooner than a net is built

    features: nn.Sequential = vgg16(weights=None).features
    return features


def _vgg16_state(weights: Path) -> dict[str, Tensor]:
    """The entries of `features` in a state-dict file."""
    if not weights.is_file():
        raise ValueError(f"model.perceptual_weights: no file at {weights}")
    try:
        state = load_state(weights)
        return {
            name.removeprefix("features."): value
            for name, value in state.items()
            if name.startswith("features.")
        }
    except Exception as error:  # torch raises half a dozen kinds for files that are none of its own
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"model.perceptual_weights: {weights} is not readable as a state dict: {text}"
        ) from error


def _freeze(module: nn.Module, device: torch.device) -> nn.Module:
    module = module.to(device).to(memory_format=torch.channels_last)
    return module.eval().requires_grad_(False)


def build_perceptual(
    config: ModelConfig, dataset: Dataset, cache_dir: Path, device: torch.device
) -> nn.Module:
    """Returns `g`, frozen and in evaluation mode, training and caching it first if needed."""
    if config.perceptual == "vgg16" and config.perceptual_weights is not None:
        return _freeze(Vgg16Features(config.perceptual_weights), device)
    return _freeze(public_features(dataset, cache_dir), device)


def public_features(dataset: Dataset, cache_dir: Path) -> PublicFeatures:
    """Trains `g` on the public split once per (data, split) and reads it from the cache after."""
    key = config_hash(
        {
            "data": dataset.content_hash,
            "splits": dataset.splits.hash,
            "steps": PUBLIC_STEPS,
            "channels": PUBLIC_CHANNELS,
        }
    )
    path = cache_dir / f"perceptual-{key}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed("perceptual", key))
            features = PublicFeatures(len(dataset.attribute_names))
            if path.exists():
                features.load_state_dict(load_state(path))
                return features
            _train(features, dataset, derive_seed("perceptual batches", key))
        save_state(features.state_dict(), path)
    return features


def _train(features: PublicFeatures, dataset: Dataset, seed: int) -> None:
    rows = dataset.rows("public")
    store = dataset.store
    batches = RandomBatches(store.images, store.labels, rows, min(PUBLIC_BATCH, len(rows)), seed)
    optimiser = torch.optim.Adam(features.parameters(), lr=1e-3, fused=True)
    features.train()
    for _ in range(PUBLIC_STEPS):
        batch = batches.next()
        optimiser.zero_grad(set_to_none=True)
        utility_loss(features.logits(batch.images), batch.labels).backward()
        optimiser.step()
