"""Where the images of a trial lie: mapped from the file, or whole on the GPU where they fit.

A batch out of the GPU's own copy costs the host nothing but its rows; one out of the file is
copied to the GPU every time.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Images = NDArray[np.uint8] | Tensor
"""uint8 [N, H, W, 3]: of the host, or a tensor of the device that trains."""

SHARE_OF_FREE = 0.25
"""Of the GPU's free memory that images may take: other trials of the same GPU want theirs too."""
_CHUNK_BYTES = 1 << 26


def on_device(images: NDArray[np.uint8], device: torch.device) -> Images:
    """The images as a trial on `device` should read them: moved there once if that is worth it.

    Args:
        images: [N, H, W, 3], as `ImageStore.images`.
        device: What trains.

    Returns:
        A copy on a GPU with room for it, else the images as they are.
    """
    if device.type != "cuda":
        return images
    free, _ = torch.cuda.mem_get_info(device)
    return copied_to(images, device) if images.nbytes <= SHARE_OF_FREE * free else images


def copied_to(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """A copy on the device, made in pieces: the host never holds a second one whole."""
    copy = torch.empty(images.shape, dtype=torch.uint8, device=device)
    step = max(1, _CHUNK_BYTES // max(1, images[:1].nbytes))
    for start in range(0, len(images), step):
        piece = torch.from_numpy(np.array(images[start : start + step]))
        copy[start : start + step] = piece.to(device)
    return copy


def read_rows(images: Images, rows: NDArray[np.int64], device: torch.device | str) -> Tensor:
    """uint8 [B, H, W, 3] of the given rows, on the device.

    Out of the host's memory into a GPU's through pinned memory, so that the copy runs while the
    host goes on.
    """
    if isinstance(images, Tensor):
        return images[torch.from_numpy(rows).to(images.device)].to(device)
    pixels = torch.from_numpy(images[rows])
    if torch.device(device).type == "cuda":
        pixels = pixels.pin_memory()
    return pixels.to(device, non_blocking=True)
