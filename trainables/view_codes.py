"""Codes of random views that all attackers of a trial share: every view is encoded once.

Where images are views, encoding them is most of what an attribute attack does, and each attacker of
a trial would encode much the same. Views that are kept are drawn from instead, as many of each
image as it had been drawn for by then, until there are `VIEWS`: no attack encodes more than it did.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.data.augment import random_views
from trainables.data.batches import Batch

VIEWS = 64
"""Views of each image that are kept: with more of them attackers learn no more."""


@dataclass(frozen=True)
class Views:
    """Which random views take the images' place in a batch.

    Attributes:
        seed: Of the draw.
        kept: Views of each image that it draws from; None for views that nobody has seen yet.
    """

    seed: int
    kept: int | None = None


class ViewCodes:
    """Codes of the first views of all public images, encoded when one is first asked for.

    Args:
        batches: Goes once over the public images, in order.
        encode: A batch's images, views of them, to standardised codes [B, *shape].
        num_images: How many images that is.
    """

    def __init__(
        self,
        batches: Callable[[], Iterator[Batch]],
        encode: Callable[[Batch], Tensor],
        num_images: int,
    ) -> None:
        self._batches, self._encode, self._num_images = batches, encode, num_images
        self._codes: Tensor | None = None
        self._known = 0

    def draw(self, places: Tensor, views: Views) -> Tensor:
        """Codes [B, *shape] of a random view of each image.

        Args:
            places: Of the images among the public ones, int64 [B].
            views: The draw; `kept` from 1 to `VIEWS`.
        """
        assert views.kept is not None, "of views that are kept"
        generator = torch.Generator().manual_seed(views.seed)
        numbers = torch.randint(views.kept, (len(places),), generator=generator)
        while self._known < views.kept:
            self._add()
        assert self._codes is not None
        return self._codes[numbers.to(places.device), places]

    def _add(self) -> None:
        """Encodes another view of every image; which one depends on its number alone."""
        generator = torch.Generator().manual_seed(self._known)
        parts = [
            self._encode(batch._replace(images=random_views(batch.images, generator)))
            for batch in self._batches()
        ]
        codes = torch.cat(parts)
        if self._codes is None:
            self._codes = codes.new_empty(VIEWS, *codes.shape)
        self._codes[self._known] = codes
        self._known += 1

    def kept_after(self, num_drawn: int) -> int:
        """How many views of each image an attacker draws from that has drawn so many images."""
        return min(VIEWS, 1 + num_drawn // self._num_images)
