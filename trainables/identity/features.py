"""Φ of every image an attacker learns from or is measured on, computed once and kept on disk."""

from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from trainables.checkpoint import load_state, save_state
from trainables.data.batches import gather
from trainables.data.dataset import Dataset
from trainables.data.store import ImageStore
from trainables.identity.model import IdentityModel
from trainables.seeding import config_hash

_IMAGES_AT_ONCE = 256


class FaceFeatures:
    """Φ(x) and Φ of the mirrored x for some rows of a store.

    Attributes:
        rows: int64 [N], ascending.
        plain: Φ(x), float32 [N, D].
        mirrored: Φ(mirrored x), float32 [N, D].
    """

    def __init__(self, rows: NDArray[np.int64], plain: Tensor, mirrored: Tensor) -> None:
        self.rows, self.plain, self.mirrored = rows, plain, mirrored

    def lookup(self, rows: NDArray[np.int64], flip: NDArray[np.bool_] | None = None) -> Tensor:
        """Returns features [B, D] of images, those marked in `flip` mirrored before Φ saw them.

        Args:
            rows: [B], rows of the store.
            flip: [B]; None for no mirroring.

        Raises:
            ValueError: If the features of a row were not computed.
        """
        place = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        missing = rows[self.rows[place] != rows]
        if len(missing):
            raise ValueError(f"row {int(missing[0])} has no features: it is in no attacked split")
        index = torch.from_numpy(place).to(self.plain.device)
        if flip is None:
            return self.plain[index]
        mirrored = torch.from_numpy(np.asarray(flip)).to(self.plain.device).unsqueeze(1)
        return torch.where(mirrored, self.mirrored[index], self.plain[index])


def face_features(model: IdentityModel, dataset: Dataset, cache_dir: Path) -> FaceFeatures:
    """Returns Φ of the public, selection and test splits; see `store_features`."""
    splits = [dataset.rows(name) for name in ("public", "selection", "test")]
    return store_features(model, dataset.store, np.unique(np.concatenate(splits)), cache_dir)


def store_features(
    model: IdentityModel, store: ImageStore, rows: NDArray[np.int64], cache_dir: Path
) -> FaceFeatures:
    """Computes Φ of a store's images once per (store, rows, Φ) and reads it from the cache after.

    Processes that ask for the same features at once wait for the one that computes them.

    Args:
        model: Φ.
        store: The images.
        rows: int64 [N], ascending.
        cache_dir: Folder of the cache; made if missing.

    Raises:
        ValueError: If a feature is not finite.
    """
    wanted = np.ascontiguousarray(rows, dtype=np.int64)
    settings = {"data": store.content_hash, "rows": wanted.tolist(), "model": model.hash}
    path = cache_dir / f"faces-{config_hash(settings)}.pt"
    cache_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            plain, mirrored = (_compute(model, store, wanted, flip) for flip in (False, True))
            save_state({"plain": plain, "mirrored": mirrored}, path)
    state = load_state(path)
    return FaceFeatures(wanted, state["plain"], state["mirrored"])


@torch.no_grad()
def _compute(
    model: IdentityModel, store: ImageStore, rows: NDArray[np.int64], flip: bool
) -> Tensor:
    parts = [torch.empty(0, model.num_features)]
    for start in range(0, len(rows), _IMAGES_AT_ONCE):
        parts.append(image_features(model, store, rows[start : start + _IMAGES_AT_ONCE], flip))
    features = torch.cat(parts)
    if not bool(features.isfinite().all()):
        bad = rows[int((~features.isfinite()).any(dim=1).nonzero()[0])]
        raise ValueError(f"identity model {model.name!r}: features of row {bad} are not finite")
    return features


@torch.no_grad()
def image_features(
    model: IdentityModel, store: ImageStore, rows: NDArray[np.int64], flip: bool = False
) -> Tensor:
    """Returns Φ of stored images, float32 [B, D] on the CPU, uncached.

    Args:
        model: Φ.
        store: The images.
        rows: [B].
        flip: Whether to mirror them first.
    """
    batch = gather(store.images, store.labels, rows, model.device)
    features = model.features(batch.images.flip(3) if flip else batch.images)
    return features.cpu()
