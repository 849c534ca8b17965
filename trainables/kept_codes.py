"""What is kept of an encoder's codes to be looked at: some codes in brief, and a picture.

Nothing is measured on them. Leakage is what retrained attackers find.
"""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from trainables.checkpoint import write_bytes
from trainables.code_pictures import code_pictures, has_picture
from trainables.components import principal_components, standardised
from trainables.data.batches import sequential
from trainables.data.dataset import Dataset
from trainables.data.resident import Images
from trainables.frozen import FrozenEncoder
from trainables.pictures import save_strip

CODES_FILE, PICTURE_FILE = "codes.npz", "code.png"
NUM_CODES, NUM_COMPONENTS = 500, 50
"""Test images whose codes are kept, and principal components of each: what t-SNE begins with."""
MAX_VALUES = 1 << 25
"""Values of codes that are held at once: 128 MiB, and twice that to work on them. Of larger codes
fewer are kept."""
BATCH = 64


def keep_codes(
    encoder: FrozenEncoder,
    dataset: Dataset,
    images: Images,
    device: torch.device,
    folder: Path,
    num_pictures: int,
) -> None:
    """Writes `codes.npz` and, where codes are maps, `code.png` beside the encoder.

    `codes.npz` opens without pickles: `codes` float16 [N, K], principal components of standardised
    codes of test images from all over the split, in units of the largest coordinate; `labels` uint8
    [N, U + P] of the attributes named in `utility` [U] and `private` [P]; `share`, of the variance
    that the components keep; `num_values`, of a code. `code.png` shows the codes of the images
    that reconstructions are shown of.

    A picture is no reason to lose an encoder: of codes that are not finite nothing is kept, and
    what finds no memory or no room on the disk is left out.

    Args:
        encoder: The frozen encoder; a stochastic one is asked once.
        dataset: Its images.
        images: Those of its store, as the trial reads them.
        device: Where to encode; the rest is done on the CPU.
        folder: The encoder's.
        num_pictures: Images that are shown. 0 keeps no codes either: they are of the same people.
    """
    if not num_pictures:
        return
    encoder.to(device)
    rows = dataset.rows("test")
    few = max(1, MAX_VALUES // encoder.spec.num_values)
    unsolved = torch.linalg.LinAlgError  # type: ignore[attr-defined]
    with suppress(OSError, MemoryError, torch.OutOfMemoryError, unsolved):
        chosen = evenly(rows, min(NUM_CODES, few))
        codes = _encode(encoder, dataset, images, chosen, device)
        if codes is not None:
            _write_codes(codes, dataset, chosen, folder / CODES_FILE)
        del codes  # before the next ones are made
        shown = _encode(encoder, dataset, images, rows[: min(num_pictures, few)], device)
        if shown is not None and has_picture(shown):
            size = dataset.config.height, dataset.config.width
            pictures = F.interpolate(code_pictures(shown), size=size, mode="nearest-exact")
            save_strip(pictures, folder / PICTURE_FILE)


def evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of the rows, from all over them: sources may be in some order."""
    count = min(most, len(rows))
    return rows[np.arange(count) * len(rows) // count]


def _encode(
    encoder: FrozenEncoder,
    dataset: Dataset,
    images: Images,
    rows: NDArray[np.int64],
    device: torch.device,
) -> Tensor | None:
    """Codes float32 [N, ...] on the CPU; None if one is not finite."""
    batches = sequential(images, dataset.store.labels, rows, BATCH, device)
    parts = [
        encoder.encode(batch.images, batch.labels, seed=index).float().cpu().contiguous()
        for index, batch in enumerate(batches)
    ]
    codes = torch.cat(parts)
    return codes if bool(codes.isfinite().all()) else None


def _write_codes(codes: Tensor, dataset: Dataset, rows: NDArray[np.int64], path: Path) -> None:
    num_values = codes[0].numel()
    scores, share = principal_components(standardised(codes).flatten(1), NUM_COMPONENTS)
    # t-SNE has no use for a scale, and float16 has little room for small ones.
    scores = scores / scores.abs().max().clamp_min(torch.finfo(scores.dtype).tiny)
    if not bool(scores.isfinite().all()):
        return
    columns = [*dataset.utility_columns, *dataset.private_columns]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        codes=scores.numpy().astype(np.float16, order="C"),
        labels=np.ascontiguousarray(dataset.store.labels[rows][:, columns]),
        utility=np.array(dataset.utility_names, dtype=np.str_),
        private=np.array(dataset.private_names, dtype=np.str_),
        share=np.float64(share),
        num_values=np.int64(num_values),
    )
    write_bytes(buffer.getvalue(), path)
