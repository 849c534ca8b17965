"""Φ where nobody brings one: a small network trained on people of the public split.

Those people's images are then Φ's alone: no attacker sees them, else it would be judged by a
network that it could have trained itself on the same images. On small data this Φ is weak; its
verification figures say how weak.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.checkpoint import load_state, save_state
from trainables.data.augment import random_views
from trainables.data.batches import gather
from trainables.data.dataset import Dataset
from trainables.nets.layers import conv_norm_relu, initialise
from trainables.seeding import config_hash, derive_seed

SHARE = 0.25
"""Largest share of the public split that is kept for Φ."""

NUM_FEATURES = 128
BATCH = 64
EPOCHS = 20
STEPS = (200, 3000)
"""Fewest and most steps; between them as many as the epochs need. On 400 images four times the
fewest changed nothing."""

CHANNELS = (32, 64, 128)
SCALE, MARGIN = 16.0, 0.2
"""Of the cosine-margin softmax (CosFace, arXiv 1801.09414); its 64 and 0.35 are for large data."""

_MAP = 4
"""Cells along each side of the last map: faces are aligned, so where something is counts."""


class PublicFaceNet(nn.Module):
    """Images [B, 3, H, W] in [-1, 1], any size of 16 pixels or more, to features [B, 128]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for out_channels in CHANNELS:
            layers += [*conv_norm_relu(channels, out_channels), nn.MaxPool2d(2)]
            channels = out_channels
        self.stages = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(_MAP), nn.Flatten())
        self.embed = nn.Linear(channels * _MAP * _MAP, NUM_FEATURES)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor:
        """Returns features [B, 128], to be compared by cosine."""
        features: Tensor = self.embed(self.stages(images))
        return features


def identity_rows(dataset: Dataset) -> NDArray[np.int64]:
    """Rows of the public split that are kept for Φ, sorted; the attackers' are the others.

    All public images of the people with the most of them, a quarter of the split at most; people
    with as many images come in an order drawn from the split's hash. A pure function of the data
    and its splits.

    Raises:
        ValueError: If no two people with two images or more fit into that quarter.
    """
    rows = dataset.rows("public")
    _, person, counts = np.unique(
        dataset.store.identities[rows], return_inverse=True, return_counts=True
    )
    seed = derive_seed("identity rows", dataset.splits.hash)
    tie = np.random.default_rng(seed).permutation(len(counts))
    order = np.lexsort((tie, -counts))
    order = order[counts[order] >= 2]
    taken = order[np.cumsum(counts[order]) <= SHARE * len(rows)]
    if len(taken) < 2:
        raise ValueError(
            "attack.identity_model: 'public' learns from people with two images or more in the "
            f"public split, at least two of them within {SHARE:.0%} of its {len(rows)} images; "
            f"{int((counts >= 2).sum())} of {len(counts)} people have two images there and "
            f"{len(taken)} fit. Use more data, another identity_model, or none"
        )
    return np.sort(rows[np.isin(person, taken)])


def public_face_net(dataset: Dataset, cache_dir: Path) -> PublicFaceNet:
    """Trains Φ on `identity_rows` once per (data, split) and reads it from the cache after.

    Raises:
        ValueError: As `identity_rows`.
    """
    rows = identity_rows(dataset)
    settings = {"steps": STEPS, "epochs": EPOCHS, "batch": BATCH, "channels": CHANNELS, "map": _MAP}
    settings |= {"scale": SCALE, "margin": MARGIN, "share": SHARE, "features": NUM_FEATURES}
    key = config_hash(
        {"data": dataset.content_hash, "splits": dataset.splits.hash, "settings": settings}
    )
    path = cache_dir / f"identity-{key}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("identity", key))
        net = PublicFaceNet()
        if path.exists():
            net.load_state_dict(load_state(path))
        else:
            _train(net, dataset, rows, derive_seed("identity batches", key))
            save_state(net.state_dict(), path)
    return net.eval()


def margin_loss(features: Tensor, centres: Tensor, people: Tensor) -> Tensor:
    """Cross-entropy of scaled cosines, the right one less a margin (CosFace, eq. 4).

    Args:
        features: [B, D].
        centres: [P, D], one per person.
        people: int64 [B], in 0 … P−1.
    """
    cosines = F.normalize(features, dim=1) @ F.normalize(centres, dim=1).T
    lowered = cosines - MARGIN * F.one_hot(people, len(centres)).to(cosines.dtype)
    return F.cross_entropy(SCALE * lowered, people)


def _train(net: PublicFaceNet, dataset: Dataset, rows: NDArray[np.int64], seed: int) -> None:
    store = dataset.store
    num_steps = min(STEPS[1], max(STEPS[0], EPOCHS * len(rows) // BATCH))
    names, person = np.unique(store.identities[rows], return_inverse=True)
    centres = nn.Parameter(torch.randn(len(names), NUM_FEATURES))
    optimiser = torch.optim.AdamW([*net.parameters(), centres], lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-3, total_steps=num_steps)
    draw, views = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    net.train()
    for _ in range(num_steps):
        # With replacement: the reserved part may hold fewer images than a batch.
        place = draw.integers(len(rows), size=BATCH)
        images = gather(store.images, store.labels, rows[place]).images
        features = net(2 * random_views(images, views) - 1)
        loss = margin_loss(features, centres, torch.from_numpy(person[place]))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
