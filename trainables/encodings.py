"""The codes of a frozen encoder as an attacker gets them: standardised, flipped, encoded once.

Codes are standardised per channel with the public split's statistics, taken with the encoder in
evaluation mode; otherwise an encoder would look private merely because its outputs are huge, tiny
or have drifted between training and evaluation mode. The flipped image is encoded, not the code
flipped: the attacker may query the encoder with any image it likes. A stochastic encoder is asked
anew for every batch, as often as the attacker likes too.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.augment import random_views
from trainables.data.batches import Batch, gather, sequential
from trainables.data.dataset import Dataset
from trainables.data.resident import on_device
from trainables.frozen import FrozenEncoder
from trainables.identity import FaceFeatures

ENCODE_BATCH = 256
SAME_NUMBER = 1e-9
"""Deviation relative to the mean of a channel that holds one and the same number: far below the
6e-8 between two numbers of float32."""
DEFAULT_BUDGET_BYTES = 1 << 30
"""Codes of all splits above this are encoded anew for every batch instead of kept in memory."""


class CodeBatch(NamedTuple):
    """Codes with the images and labels they came from.

    Attributes:
        codes: Standardised z, float32 [B, *spec.shape].
        images: float32 [B, 3, H, W] in [0, 1], flipped where the encoded image was.
        labels: float32 [B, A].
        people: int64 [B], who is on each image; None where nobody asked.
        features: Φ(images), float32 [B, D]; None where nobody asked.
    """

    codes: Tensor
    images: Tensor
    labels: Tensor
    people: Tensor | None = None
    features: Tensor | None = None


@dataclass(frozen=True)
class Knowledge:
    """What the attackers of a study have beside the encoder.

    Attributes:
        public: Rows of the public split they may use, sorted: all but those kept to train Φ.
        faces: Φ of the images of all splits they meet; None without an identity model.
    """

    public: NDArray[np.int64]
    faces: FaceFeatures | None = None


class Encodings:
    """Standardised codes of the public, selection and test splits of one frozen encoder.

    Rows of public images are rows of the store; those of the extra images follow after its last.

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
        knowledge: Knowledge | None = None,
    ) -> None:
        self.encoder = encoder.to(device)
        self.dataset = dataset
        self.device = device
        self._images = on_device(dataset.store.images, device)
        known = knowledge or Knowledge(dataset.rows("public"))
        self._faces = known.faces
        self._splits = {name: dataset.rows(name) for name in ("selection", "test")}
        self._splits["public"] = known.public
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
            self._images, store.labels, self._splits[split], ENCODE_BATCH, self.device
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
        # Only a channel of one and the same number is constant. Saturated by a tanh one may vary in
        # its last bits alone, and an attacker who looks at them learns as much as from any other.
        varies = deviation > SAME_NUMBER * mean.abs()
        deviation = torch.where(varies, deviation, torch.ones_like(deviation))
        shape = [1, -1] + [1] * (len(self.encoder.spec.shape) - 1)
        return mean.float().view(shape), deviation.float().view(shape)

    def standardise(self, codes: Tensor) -> Tensor:
        """Returns codes with mean 0 and variance 1 per channel over the public split."""
        return (codes - self.mean) / self.scale

    @property
    def public_rows(self) -> NDArray[np.int64]:
        """Rows of the public images that attackers have."""
        return self._splits["public"]

    @property
    def extra_rows(self) -> NDArray[np.int64]:
        """Rows of the extra images: they follow after the store's last."""
        extra, start = self.dataset.extra, len(self.dataset.store)
        return np.arange(start, start + (0 if extra is None else len(extra)), dtype=np.int64)

    def _encode(self, images: Tensor, labels: Tensor, seed: int) -> Tensor:
        return self.standardise(self.encoder.encode(images, labels, seed))

    def _encode_split(self, split: str, flip: bool) -> Tensor:
        parts = []
        for index, batch in enumerate(self._batches(split)):
            images = batch.images.flip(3) if flip else batch.images
            parts.append(self._encode(images, batch.labels, _seed(split, index)))
        return torch.cat(parts)

    def public_batch(
        self,
        rows: NDArray[np.int64],
        flip: NDArray[np.bool_],
        views: int | None = None,
        features: bool = False,
    ) -> CodeBatch:
        """Returns codes of public images, those marked in `flip` mirrored before encoding.

        Args:
            rows: [B], of `public_rows` and `extra_rows`. With an extra row among them, labels and
                people are none.
            flip: [B].
            views: Seed of the random views that are encoded in the images' place; None for the
                images themselves. Views mirror of their own accord: `flip` has no say then.
            features: Whether to add Φ's features, of images that are no views and not extra;
                elsewhere whoever needs them asks Φ.
        """
        if len(rows) and rows.max() >= len(self.dataset.store):
            return self._with_extra(rows, flip, views)
        store = self.dataset.store
        batch = gather(self._images, store.labels, rows, self.device)
        mirrored = torch.from_numpy(flip).to(self.device)
        images = torch.where(mirrored.view(-1, 1, 1, 1), batch.images.flip(3), batch.images)
        people = torch.from_numpy(store.identities[rows]).to(self.device)
        if views is not None:
            images = random_views(batch.images, torch.Generator().manual_seed(views))
        if views is not None or ("public", True) not in self._cache:
            codes = self._encode(images, batch.labels, _draw_seed(rows, flip))
        else:
            place = torch.from_numpy(np.searchsorted(self._splits["public"], rows)).to(self.device)
            plain, flipped = self._cache["public", False][place], self._cache["public", True][place]
            codes = torch.where(mirrored.view([-1] + [1] * (plain.dim() - 1)), flipped, plain)
        known = None
        if features and views is None and self._faces is not None:
            known = self._faces.lookup(rows, flip).to(self.device)
        return CodeBatch(codes, images, batch.labels, people, known)

    def _with_extra(
        self, rows: NDArray[np.int64], flip: NDArray[np.bool_], views: int | None
    ) -> CodeBatch:
        """A batch of images from both sources, encoded anew: the extra ones may be many."""
        store, extra = self.dataset.store, self.dataset.extra
        assert extra is not None, "only its rows lie beyond the store's"
        start = len(store)
        images = torch.empty(len(rows), 3, *store.images.shape[1:3], device=self.device)
        for pixels, source, own, shift in (
            (self._images, store, rows < start, 0),
            (extra.images, extra, rows >= start, start),
        ):
            part = gather(pixels, source.labels, rows[own] - shift, self.device)
            images[torch.from_numpy(own).to(self.device)] = part.images
        images = images.contiguous(memory_format=torch.channels_last)
        if views is not None:
            images = random_views(images, torch.Generator().manual_seed(views))
        else:
            mirrored = torch.from_numpy(flip).to(self.device).view(-1, 1, 1, 1)
            images = torch.where(mirrored, images.flip(3), images)
        labels = torch.zeros(len(rows), store.labels.shape[1], device=self.device)
        codes = self._encode(images, labels, _draw_seed(rows, flip))
        return CodeBatch(codes, images, labels)

    def split_batches(self, split: str) -> Iterator[CodeBatch]:
        """Goes once over `selection` or `test` in order, as `CodeBatch`es without flips.

        With an identity model they hold Φ's features of the images.
        """
        start, identities = 0, self.dataset.store.identities
        cached = self._cache.get((split, False))
        for index, batch in enumerate(self._batches(split)):
            if cached is None:
                codes = self._encode(batch.images, batch.labels, _seed(split, index))
            else:
                codes = cached[start : start + len(batch.images)]
            rows = self._splits[split][start : start + len(batch.images)]
            start += len(batch.images)
            people = torch.from_numpy(identities[rows]).to(self.device)
            known = None
            if self._faces is not None:
                known = self._faces.lookup(rows).to(self.device)
            yield CodeBatch(codes, batch.images, batch.labels, people, known)

    def features(self, split: str) -> Tensor | None:
        """Φ of each image of a split, [N, D]; None without an identity model."""
        return None if self._faces is None else self._faces.lookup(self._splits[split])

    def people(self, split: str) -> NDArray[np.int64]:
        """Who is on each image of a split, [N]."""
        return self.dataset.store.identities[self._splits[split]]


def _draw_seed(rows: NDArray[np.int64], flip: NDArray[np.bool_]) -> int:
    """Seed of the noise on one batch of public images.

    Another batch with the same image has another seed; the same batch has the same one, so that a
    resumed attack goes on with the same numbers.
    """
    return zlib.crc32(rows.tobytes() + flip.tobytes())


def _seed(split: str, index: int) -> int:
    """Seed of the noise on one batch of a split: every evaluation sees the same codes."""
    return zlib.crc32(f"{split} {index}".encode())
