"""Which images an attacker learns from, batch by batch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.data.batches import RandomBatches
from trainables.data.store import ImageStore
from trainables.data.tasks import TaskBatches
from trainables.seeding import derive_seed

Rows = NDArray[np.int64]


class AttackBatches:
    """Batches of public images and, for an attacker that has them, of another source's.

    The other source may have many times the images, and they are of other people, taken and cropped
    otherwise. Drawn as they come they would be nearly all that an attacker sees, and it would do
    worse than without them: to a code that tells nothing it would answer with their mean image. So
    they are half of each batch while the rate is high, and no part of it once the rate has fallen:
    what was learned of images at large is fitted to those that the service sees.

    Args:
        store: The images of the study.
        public: Rows of its public images that the attacker has, [N].
        extra: Rows of the other source's, [M], which follow after the store's last; may be none.
        batch_size: Images per batch; all public ones, where they are fewer.
        seed: Seed of the draws, not negative.
    """

    def __init__(
        self, store: ImageStore, public: Rows, extra: Rows, batch_size: int, seed: int
    ) -> None:
        size = min(batch_size, len(public))
        self.num_images = len(public) + len(extra)
        self._public = TaskBatches(store.images, store.labels, public, size, seed)
        self._mixed: dict[str, RandomBatches] = {}
        if len(extra) and size > 1:
            half = min(size // 2, len(extra))
            for name, rows, count in (("own", public, size - half), ("extra", extra, half)):
                own_seed = derive_seed(seed, name)
                batches = RandomBatches(store.images, store.labels, rows, count, own_seed)
                self._mixed[name] = batches

    def next_rows(self, task: tuple[int, ...], settling: bool) -> Rows:
        """Draws the rows of the next batch, [B].

        Args:
            task: Label columns by which a batch of public images is balanced; none for a plain one.
            settling: Whether the rate has fallen.
        """
        if not self._mixed or settling:
            return self._public.next_rows(task)
        return np.concatenate([batches.next_rows() for batches in self._mixed.values()])

    def state_dict(self) -> dict[str, Any]:
        """How many batches of each kind were handed out."""
        mixed = {name: batches.state_dict() for name, batches in self._mixed.items()}
        return {"public": self._public.state_dict(), **mixed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a saved state: the batches that follow are those that would have."""
        self._public.load_state_dict(state["public"])
        for name, batches in self._mixed.items():
            batches.load_state_dict(state[name])
