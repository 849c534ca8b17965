"""The codes of a frozen encoder as an attacker gets them: standardised, flipped, encoded once.

Codes are standardised per channel with the public split's statistics, taken with the encoder in
evaluation mode; otherwise an encoder would look private merely because its outputs are huge, tiny
or have drifted between training and evaluation mode. The flipped image is encoded, not the code
flipped: the attacker may query the encoder with any image it likes. A stochastic encoder is asked
anew for every batch, as often as the attacker likes too.
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.augment import random_views
from trainables.data.batches import Batch, gather, sequential
from trainables.data.dataset import Dataset
from trainables.frozen import FrozenEncoder

ENCODE_BATCH = 256
DEFAULT_BUDGET_BYTES = 1 << 30
"""Codes of all splits above this are encoded anew for every batch instead of kept in memory."""


class CodeBatch(NamedTuple):
    """Codes with the images and labels they came from.

    Attributes:
        codes: Standardised z, float32 [B, *spec.shape].
        images: float32 [B, 3, H, W] in [0, 1], flipped where the encoded image was.
        labels: float32 [B, A].
    """

    codes: Tensor
    images: Tensor
    labels: Tensor


class Encodings:
    """Standardised codes of the public, selection and test splits of one frozen encoder.

    Attributes:
        encoder: The frozen encoder.
        dataset: Images, labels and splits.
        mean: Per-channel mean over the public split, shaped to broadcast.
        scale: Per-channel standard deviation, 1 where a channel does not vary.
    """

    def __init__(
        self,
        encoder: FrozenEncoder,
        dataset: Dataset,
        device: torch.device,
        budget_bytes: int = DEFAULT_BUDGET_BYTES,
    ) -> None:
        self.encoder = encoder.to(device)
        self.dataset = dataset
        self.device = device
        self._splits = {name: dataset.rows(name) for name in ("public", "selection", "test")}
        self._cache: dict[tuple[str, bool], Tensor] = {}
        self.mean, self.scale = self._statistics()
        num_codes = sum(len(rows) for rows in self._splits.values()) + len(self._splits["public"])
        fits = num_codes * encoder.spec.num_values * 4 <= budget_bytes
        if fits and not encoder.stochastic:
            for split in self._splits:
                self._cache[split, False] = self._encode_split(split, flip=False)
            self._cache["public", True] = self._encode_split("public", flip=True)

    def _batches(self, split: str) -> Iterator[Batch]:
        store = self.dataset.store
        return sequential(
            store.images, store.labels, self._splits[split], ENCODE_BATCH, self.device
        )

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Per-channel mean and deviation over the public split, summed in double precision."""
        total = torch.zeros(self.encoder.spec.shape[0], dtype=torch.float64, device=self.device)
        squares, count = torch.zeros_like(total), 0
        shift: Tensor | None = None
        for index, batch in enumerate(self._batches("public")):
            seed = _seed("public", index)
            codes = self.encoder.encode(batch.images, batch.labels, seed).double()
            flat = codes.flatten(2) if codes.dim() > 2 else codes.unsqueeze(2)
            if shift is None:
                # Sums of squares around the first batch's mean lose no digits to a large offset.
                shift = flat.mean(dim=(0, 2))
            flat = flat - shift.view(1, -1, 1)
            total += flat.sum(dim=(0, 2))
            squares += flat.square().sum(dim=(0, 2))
            count += flat.shape[0] * flat.shape[2]
        assert shift is not None, "no split is empty"
        if not bool(squares.isfinite().all()):
            raise ValueError("the encoder's codes of the public split are not all finite")
        offset = total / count
        deviation = (squares / count - offset.square()).clamp_min(0).sqrt()
        mean = shift + offset
        # A channel that varies by less than float32 can tell from its mean is constant.
        varies = deviation > 1e-6 * mean.abs()
        deviation = torch.where(varies, deviation, torch.ones_like(deviation))
        shape = [1, -1] + [1] * (len(self.encoder.spec.shape) - 1)
        return mean.float().view(shape), deviation.float().view(shape)

    def standardise(self, codes: Tensor) -> Tensor:
        """Returns codes with mean 0 and variance 1 per channel over the public split."""
        return (codes - self.mean) / self.scale

    def _encode(self, images: Tensor, labels: Tensor, flip: bool, seed: int) -> Tensor:
        images = images.flip(3) if flip else images
        return self.standardise(self.encoder.encode(images, labels, seed))

    def _encode_split(self, split: str, flip: bool) -> Tensor:
        parts = (
            self._encode(batch.images, batch.labels, flip, _seed(split, index))
            for index, batch in enumerate(self._batches(split))
        )
        return torch.cat(list(parts))

    def public_batch(
        self, rows: NDArray[np.int64], flip: NDArray[np.bool_], views: int | None = None
    ) -> CodeBatch:
        """Returns codes of public images, those marked in `flip` mirrored before encoding.

        Args:
            rows: [B], rows of the store, all in the public split.
            flip: [B].
            views: Seed of the random views that are encoded in the images' place; None for the
                images themselves. Views mirror of their own accord: `flip` has no say then.
        """
        store = self.dataset.store
        batch = gather(store.images, store.labels, rows, self.device)
        mirrored = torch.from_numpy(flip).to(self.device)
        images = torch.where(mirrored.view(-1, 1, 1, 1), batch.images.flip(3), batch.images)
        if views is not None:
            images = random_views(batch.images, torch.Generator().manual_seed(views))
        if views is not None or ("public", True) not in self._cache:
            # Another batch with the same image has another seed; the same batch has the same one,
            # so that a resumed attack goes on with the same numbers.
            seed = zlib.crc32(rows.tobytes() + flip.tobytes())
            codes = self._encode(images, batch.labels, False, seed)
            return CodeBatch(codes, images, batch.labels)
        place = torch.from_numpy(np.searchsorted(self._splits["public"], rows)).to(self.device)
        plain, flipped = self._cache["public", False][place], self._cache["public", True][place]
        codes = torch.where(mirrored.view([-1] + [1] * (plain.dim() - 1)), flipped, plain)
        return CodeBatch(codes, images, batch.labels)

    def split_batches(self, split: str) -> Iterator[CodeBatch]:
        """Goes once over `selection` or `test` in order, as `CodeBatch`es without flips."""
        start = 0
        cached = self._cache.get((split, False))
        for index, batch in enumerate(self._batches(split)):
            if cached is None:
                codes = self._encode(batch.images, batch.labels, False, _seed(split, index))
            else:
                codes = cached[start : start + len(batch.images)]
            start += len(batch.images)
            yield CodeBatch(codes, batch.images, batch.labels)


def _seed(split: str, index: int) -> int:
    """Seed of the noise on one batch of a split: every evaluation sees the same codes."""
    return zlib.crc32(f"{split} {index}".encode())
