"""How well Φ tells people apart: without this figure no similarity of faces means anything.

The pairs' protocol, after LFW's (Huang et al. 2007): N genuine pairs, each two different images of
one person, drawn without replacement from all there are, and as many impostor pairs, each of two
different people, drawn without replacement from all images. They come from the test split; where it
has fewer genuine pairs than asked for, from test and selection together, which no attacker trains
on either. N is what there is, at most `max_pairs`. The accuracy is the mean over ten folds, each
judged at the threshold that is best on the other nine. With a split by image, people of these pairs
may have other images in the part that a `public` Φ learned from: its figures then flatter it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from trainables import metrics
from trainables.checkpoint import write_text
from trainables.data.dataset import Dataset
from trainables.identity.features import face_features, image_features
from trainables.identity.model import IdentityModel
from trainables.people import tpr_at_fmr
from trainables.seeding import config_hash

WEAK_AUC = 0.9
"""Below this area under the ROC curve Φ is too weak to judge faces."""

MAX_PAIRS = 800
NUM_FOLDS = 10
_PROTOCOL = (
    1  # raised whenever the pairs or figures change, so that old files are not taken for new
)

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Verification:
    """How well Φ tells pairs of one person from pairs of two.

    Attributes:
        auc: Area under the ROC curve.
        tpr_at_1_fmr: Share of genuine pairs accepted where 1% of the impostors are; with fewer than
            100 impostors, where none is.
        accuracy: Share of pairs told right, by folds.
        num_pairs: N genuine and as many impostor pairs.
        split: Where the images are from: `test`, or `test + selection`.
    """

    auc: float
    tpr_at_1_fmr: float
    accuracy: float
    num_pairs: int
    split: str = "test"

    @property
    def weak(self) -> bool:
        """Whether Φ is too weak to judge faces."""
        return self.auc < WEAK_AUC


@dataclass(frozen=True)
class Pairs:
    """Positions of the images of genuine and impostor pairs, each int64 [N, 2]."""

    genuine: Index
    impostor: Index


def make_pairs(people: Index, max_pairs: int = MAX_PAIRS, seed: int = 0) -> Pairs:
    """Draws pairs by the protocol above; a pure function of its arguments.

    Args:
        people: [M], who is on each image.
        max_pairs: Most pairs of each kind, N.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    genuine = genuine_pairs(people)
    num_impostors = len(people) * (len(people) - 1) // 2 - len(genuine)
    count = min(max_pairs, len(genuine), num_impostors)
    chosen = generator.permutation(len(genuine))[:count]
    found: dict[tuple[int, int], None] = {}
    while len(found) < count:
        drawn = np.sort(generator.integers(len(people), size=(4 * count, 2)), axis=1)
        drawn = drawn[people[drawn[:, 0]] != people[drawn[:, 1]]]
        found |= dict.fromkeys((int(first), int(second)) for first, second in drawn)
    impostor = np.array(list(found)[:count], dtype=np.int64).reshape(count, 2)
    return Pairs(genuine[chosen], impostor)


def genuine_pairs(people: Index) -> Index:
    """All pairs (i, j), i < j, of images of the same person, [G, 2]."""
    order = np.argsort(people, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(people[order])) + 1)
    pairs = [
        np.stack([group[i] for i in np.triu_indices(len(group), k=1)], axis=1) for group in groups
    ]
    return np.concatenate(pairs).astype(np.int64) if len(people) else np.empty((0, 2), np.int64)


def judge(genuine: Tensor, impostor: Tensor, split: str = "test") -> Verification:
    """Figures from similarities of pairs, each [N]; N at least `NUM_FOLDS`."""
    similarity = torch.cat([genuine, impostor]).double()
    same = torch.cat([torch.ones(len(genuine)), torch.zeros(len(impostor))])
    return Verification(
        auc=float(metrics.auc(similarity.unsqueeze(1), same.unsqueeze(1))),
        tpr_at_1_fmr=tpr_at_fmr(genuine.double(), impostor.double()),
        accuracy=_fold_accuracy(similarity.numpy(), same.numpy() > 0),
        num_pairs=len(genuine),
        split=split,
    )


def _fold_accuracy(similarity: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """Mean accuracy over folds, each at the threshold that is best on the others."""
    # Half of all are genuine, in front: every fold gets its part of both kinds.
    fold = np.arange(len(same)) % (len(same) // 2) % NUM_FOLDS
    right = []
    for index in range(NUM_FOLDS):
        others = fold != index
        threshold = best_threshold(similarity[others], same[others])
        mine = fold == index
        right.append(((similarity[mine] > threshold) == same[mine]).mean())
    return float(np.mean(right))


def best_threshold(similarity: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The threshold above which "same" is right most often, midway between two similarities."""
    values, place = np.unique(similarity, return_inverse=True)
    # Right answers if the threshold lies below value k: genuine from k on, impostors before it.
    genuine = np.bincount(place, weights=same, minlength=len(values))
    impostor = np.bincount(place, weights=~same, minlength=len(values))
    right = genuine[::-1].cumsum()[::-1] + impostor.cumsum() - impostor
    best = int(np.append(right, impostor.sum()).argmax())
    edges = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    return float(edges[best])


def verify(
    model: IdentityModel,
    dataset: Dataset,
    split: str = "test",
    max_pairs: int = MAX_PAIRS,
    seed: int = 0,
) -> Verification | None:
    """Verifies Φ on held-out pairs, by the protocol above.

    Args:
        model: Φ.
        dataset: Images and who is on them.
        split: Where pairs are drawn from first.
        max_pairs: Most pairs of each kind.
        seed: Of the draws.

    Returns:
        The figures; None where there are not even ten genuine pairs: nothing can be said then.
    """
    drawn = _draw(dataset, split, max_pairs, seed)
    if drawn is None:
        return None
    rows, pairs, source = drawn
    used = np.unique(np.concatenate([pairs.genuine, pairs.impostor]))
    features = torch.zeros(len(rows), model.num_features)
    for part in np.array_split(used, -(-len(used) // 256)):
        features[torch.from_numpy(part)] = image_features(model, dataset.store, rows[part])
    return _judge_features(features, pairs, source)


def load_or_verify(model: IdentityModel, dataset: Dataset, cache_dir: Path) -> Verification | None:
    """As `verify`, once per (data, splits, Φ), and read from the cache after.

    It takes Φ of the images from `face_features`, which every attack needs anyway.
    """
    key = config_hash(
        {
            "protocol": _PROTOCOL,
            "data": dataset.content_hash,
            "splits": dataset.splits.hash,
            "model": model.hash,
            "pairs": MAX_PAIRS,
        }
    )
    path = cache_dir / f"verification-{key}.json"
    cache_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            return None if found is None else Verification(**found)
        result = None
        drawn = _draw(dataset, "test", MAX_PAIRS, seed=0)
        if drawn is not None:
            rows, pairs, source = drawn
            features = face_features(model, dataset, cache_dir).lookup(rows)
            result = _judge_features(features, pairs, source)
        write_text(json.dumps(None if result is None else asdict(result)), path)
    return result


def _draw(
    dataset: Dataset, split: str, max_pairs: int, seed: int
) -> tuple[Index, Pairs, str] | None:
    """Rows of the split, topped up where needed, pairs among them, and the name of their source."""
    rows, source, identities = dataset.rows(split), split, dataset.store.identities
    if len(genuine_pairs(identities[rows])) < max_pairs and split == "test":
        rows = np.sort(np.concatenate([rows, dataset.rows("selection")]))
        source = "test + selection"
    pairs = make_pairs(identities[rows], max_pairs, seed)
    return None if len(pairs.genuine) < NUM_FOLDS else (rows, pairs, source)


def _judge_features(features: Tensor, pairs: Pairs, source: str) -> Verification:
    def cosines(index: Index) -> Tensor:
        first, second = torch.from_numpy(index).unbind(1)
        return F.cosine_similarity(features[first].double(), features[second].double())

    return judge(cosines(pairs.genuine), cosines(pairs.impostor), source)
