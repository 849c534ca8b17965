"""DeepObfuscator's human study with Φ in the place of people: whose reconstruction is it?

One reconstruction, four faces, one of them of the person it was made from (section 4.2, "Human
Perceptual Study"). Plain functions of features and of who is on each image.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.people import People, gallery_and_probes
from trainables.scores import error_of_mean

WRONG = 3
"""Faces of other people per question."""
MAX_QUESTIONS = 4096
"""Images that are asked about, the first of the split; their share of right answers is then known
to within 0.008. All images of the split can be the other faces."""

_ROWS_AT_ONCE = 256
_STEPS = 2.0**20
"""Two cosines less than a millionth apart are level: the same two faces need not have the same
cosine to the last bit."""


class _People(NamedTuple):
    """Which images are of the same person, as `argsort` has it.

    Attributes:
        order: Positions of the images, person by person, ascending within each, [N].
        start: Where an image's person begins in `order`, [N].
        num_images: Of an image's person, [N].
    """

    order: Tensor
    start: Tensor
    num_images: Tensor

    @classmethod
    def of(cls, people: People) -> "_People":
        _, person, counts = torch.unique(
            torch.as_tensor(people).cpu(), return_inverse=True, return_counts=True
        )
        start = counts.cumsum(0) - counts
        return cls(torch.argsort(person, stable=True), start[person], counts[person])

    def images(self, rows: Tensor) -> Tensor:
        """Positions of all images of the persons on some, [B, most]; the image's own in the rest.

        Args:
            rows: Positions of images, [B].
        """
        count = self.num_images[rows].unsqueeze(1)
        step = torch.arange(int(count.max()))
        place = self.start[rows].unsqueeze(1) + torch.minimum(step, count - 1)
        return torch.where(step < count, self.order[place], rows.unsqueeze(1))


def another_image(people: People, num_images: int) -> Tensor:
    """Another image of the same person for each of the first images, -1 where there is none.

    Of several it is the first.

    Args:
        people: [N], who is on each image of a split.
        num_images: How many images to find another one for.

    Returns:
        Positions in the split, int64 [num_images].
    """
    rows = torch.arange(min(num_images, len(people)))
    if not len(rows):
        return rows
    images = _People.of(people).images(rows)
    other = images != rows.unsqueeze(1)
    first = other.byte().argmax(dim=1, keepdim=True)
    return torch.where(other.any(dim=1), images.gather(1, first).squeeze(1), -1)


def share_right(level: Tensor, below: Tensor, num_others: Tensor) -> Tensor:
    """Expected share of right answers over all triples of other faces, each as likely.

    Right is the most similar face; of faces that tie, each is as likely to be taken. Of the C(m, 3)
    triples C(t, k) C(w, 3 - k) have k that tie with the right face and none above it.

    Args:
        level: Other faces as similar as the right one, t.
        below: Other faces less similar, w.
        num_others: All other faces, m, at least 3.

    Returns:
        In [0, 1], float64, of the shape of `level`.
    """
    right = sum(
        _choose(level, tied) * _choose(below, WRONG - tied) / (tied + 1)
        for tied in range(WRONG + 1)
    )
    return torch.as_tensor(right) / _choose(num_others, WRONG)


def _choose(number: Tensor, of: int) -> Tensor:
    """Binomial coefficients of whole numbers, float64: exact below 2^53, 0 where too few."""
    product = torch.ones_like(number, dtype=torch.float64)
    for factor in range(of):
        product = product * (number.double() - factor) / (factor + 1)
    return product


@torch.no_grad()
def quiz_scores(answers: Tensor, features: Tensor, people: People) -> dict[str, float]:
    """How often Φ picks the right one of four faces, over all triples of wrong ones; by chance 1/4.

    The right face is another image of the same person, each of them in turn if there are several;
    people of whom there is one image only are not asked about. Where there are not two people with
    two images, it is the very image that the answer was made from, which is easier. The others are
    images of other people.

    Args:
        answers: What an attacker has of the first images of a split, [K, D]: Φ(x̂), or M(z).
        features: Φ(x) of all its images, [N, D].
        people: [N], who is on each.

    Returns:
        `quiz_accuracy`; `quiz_accuracy_error`, its standard error over the images asked about;
        `num_quiz_images`, how many these are; `quiz_other_image`, 1 where the right face is another
        image and 0 where it is the same. Empty where there is nobody to ask about, or fewer than
        three images of other people.

    Raises:
        ValueError: If a feature is not finite.
    """
    # A NaN is neither above nor level with anything: it would pass for a right answer.
    if not bool(answers.isfinite().all() and features.isfinite().all()):
        raise ValueError("features to compare must be finite")
    known, total = _People.of(people), len(features)
    another = len(gallery_and_probes(people)[0]) >= 2
    fit = total - known.num_images >= WRONG
    fit = fit & (known.num_images >= 2) if another else fit
    asked = fit[: len(answers)].nonzero().squeeze(1)[:MAX_QUESTIONS]
    if not len(asked):
        return {}
    unit, probe = F.normalize(features.float()), F.normalize(answers[asked].float())
    shares = []
    for rows, part in zip(asked.split(_ROWS_AT_ONCE), probe.split(_ROWS_AT_ONCE), strict=True):
        own = rows.unsqueeze(1)
        same = known.images(rows)
        cosines = (part @ unit.T).mul_(_STEPS).round_()
        right = same if another else own
        mine = cosines.gather(1, right)
        cosines.scatter_(1, same, torch.inf)  # behind all others, where no search ends
        cosines.numpy().sort(axis=1)
        below = torch.searchsorted(cosines, mine)
        level = torch.searchsorted(cosines, mine, right=True) - below
        share = share_right(level, below, (total - known.num_images[rows]).unsqueeze(1))
        counts = (right != own) if another else torch.ones_like(right, dtype=torch.bool)
        shares.append((share * counts).sum(dim=1) / counts.sum(dim=1))
    each = torch.cat(shares)
    return {
        "quiz_accuracy": float(each.mean()),
        "quiz_accuracy_error": error_of_mean(each),
        "quiz_other_image": float(another),
        "num_quiz_images": float(len(asked)),
    }
