"""Figures over people: how far codes tell them apart, who is found in a gallery, who leaks most.

Plain functions of tensors and of who is on each image; they know neither encoders nor Φ.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

FALSE_MATCH_RATE = 0.01
"""Share of impostors that are let in where a true positive rate is quoted."""

_COLUMNS_AT_ONCE = 4096
_PROBES_AT_ONCE = 512

People = Tensor | NDArray[np.int64]


class Variances(NamedTuple):
    """How codes spread around their people and how people spread around each other.

    Attributes:
        within: Mean squared distance of a code from its person's mean code, per value of z.
        between: Mean squared distance of a person's mean code from the mean of all, per value of z.
        lda_score: between / within; 0 where neither varies, infinite where only `within` is 0.
    """

    within: float
    between: float
    lda_score: float


def variances(codes: Tensor, people: People) -> Variances:
    """Within- and between-person variance of codes and their LDA score (Xiao, Table 3).

    The paper names the three ("within-class variance, between-class variance and the LDA score")
    and tabulates them; how the sums are normalised cannot be told from its text. Here every image
    counts the same, and means are taken over images and over the values of z: the two add up to the
    variance of the codes, about 1 for standardised ones, at any cut. The score does not depend on
    the unit. It is between / within throughout; the paper's last column has it upside down
    (methods, section 5).

    Few images per person bias the score upwards: see `chance_lda_score`. Compare encoders on the
    same images.

    Args:
        codes: [N, ...]; what follows the first axis is flattened.
        people: [N], who is on each image. People with a single image are left out.

    Raises:
        ValueError: If there are not two people with two images or more.
    """
    person, kept = _with_two_images(people)
    flat = codes.flatten(1)[kept.to(codes.device)]
    person = person.to(codes.device)
    counts = torch.bincount(person).double().unsqueeze(1)
    within = between = 0.0
    # In columns: codes of early layers are long, and double precision doubles them.
    for columns in flat.split(_COLUMNS_AT_ONCE, dim=1):
        # Around the overall mean, so that a large offset costs no digits.
        values = columns.double()
        values = values - values.mean(dim=0)
        means = torch.zeros(len(counts), values.shape[1], dtype=torch.float64, device=codes.device)
        means.index_add_(0, person, values)
        means /= counts
        within += float((values - means[person]).square().sum())
        between += float((means.square() * counts).sum())
    within, between = within / flat.numel(), between / flat.numel()
    if within > 0:
        return Variances(within, between, between / within)
    return Variances(within, between, math.inf if between > 0 else 0.0)


def chance_lda_score(people: People) -> float:
    """The LDA score to expect of codes that hold nothing of who is on the image.

    The mean of n images of pure noise still varies by 1/n of the noise: with P people on N images
    `between` is expected to be (P − 1)/(N − P) times `within`, which is about 1 where everybody has
    two images.

    Args:
        people: [N]; people with a single image are left out, as `variances` does.

    Raises:
        ValueError: As `variances`.
    """
    person, _ = _with_two_images(people)
    num_people = int(person.max()) + 1
    return (num_people - 1) / (len(person) - num_people)


def _with_two_images(people: People) -> tuple[Tensor, Tensor]:
    """Numbers the people with two images or more: (person [K] in 0 … P−1, positions [K])."""
    _, person, counts = torch.unique(
        torch.as_tensor(people).cpu(), return_inverse=True, return_counts=True
    )
    kept = (counts[person] >= 2).nonzero().squeeze(1)
    numbers = torch.unique(person[kept], return_inverse=True)[1]
    if len(kept) == 0 or int(numbers.max()) == 0:
        raise ValueError(
            "variances over people need two people with two images or more, got "
            f"{int((counts >= 2).sum())} of {len(counts)} people"
        )
    return numbers, kept


def first_with_company(people: People, at_most: int) -> NDArray[np.int64]:
    """Positions of the images of people with two or more, whole people only, ascending.

    Args:
        people: [N], who is on each image.
        at_most: Images to return at most; people come in the order of their first image.
    """
    everybody = np.asarray(people, dtype=np.int64)
    _, first, person, counts = np.unique(
        everybody, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    order = order[counts[order] >= 2]
    chosen = order[np.cumsum(counts[order]) <= at_most]
    return np.flatnonzero(np.isin(person, chosen)).astype(np.int64)


def gallery_and_probes(people: People) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Who is enrolled and who is looked for: a closed set.

    The first image of everybody with two images or more is the gallery, their other images are the
    probes. People with a single image are left out rather than enrolled as distractors: among fewer
    candidates everybody is found more easily, so the figure errs against the protector.

    Args:
        people: [N], who is on each image.

    Returns:
        Positions of the gallery [G] and of the probes [P], both ascending and maybe empty.
    """
    everybody = np.asarray(people, dtype=np.int64)
    _, first, person, counts = np.unique(
        everybody, return_index=True, return_inverse=True, return_counts=True
    )
    gallery = np.sort(first[counts >= 2]).astype(np.int64)
    probes = np.setdiff1d(np.flatnonzero(counts[person] >= 2), gallery).astype(np.int64)
    return gallery, probes


def tpr_at_fmr(genuine: Tensor, impostor: Tensor, rate: float = FALSE_MATCH_RATE) -> float:
    """Share of genuine similarities above the threshold that at most `rate` of impostors exceed.

    A similarity has to exceed the threshold: where all are the same nobody is let in. With fewer
    than 1 / `rate` impostors the threshold is the highest of them.

    Args:
        genuine: [N], at least one.
        impostor: [M], at least one.
        rate: In [0, 1).
    """
    allowed = math.floor(rate * len(impostor) + 1e-9)
    threshold = impostor.topk(allowed + 1).values[-1]
    return float((genuine > threshold).double().mean())


def rank_scores(
    probe: Tensor, probe_people: People, gallery: Tensor, gallery_people: People
) -> dict[str, float]:
    """Re-identification by nearest neighbour: who of the gallery is on each probe?

    People are ranked by the cosine of their nearest gallery image; a feature vector of zeros has
    cosine 0 with everything. Of people that tie, each is as likely to come first: features that are
    the same for everybody score at chance and not by the gallery's order.

    Args:
        probe: Features [P, D] of the probes.
        probe_people: [P], each of them in the gallery.
        gallery: Features [G, D].
        gallery_people: [G].

    Returns:
        `rank1` and `rank5`, the shares of probes whose person is first or among the first five;
        `tpr_at_1_fmr`, the share that is let in as themselves at the threshold that lets in 1% of
        all (probe, other person) pairs; `chance_rank1`, one over the number of people.

    Raises:
        ValueError: If there is no probe, the gallery has fewer than two people, a probe's person is
            not in it, or a feature is not finite.
    """
    enrolled, column = torch.unique(torch.as_tensor(gallery_people).cpu(), return_inverse=True)
    who = torch.as_tensor(probe_people).cpu()
    _check(who, enrolled, probe, gallery)
    device, num_people = probe.device, len(enrolled)
    own = torch.searchsorted(enrolled, who).to(device)
    column = column.to(device)
    unit_gallery = F.normalize(gallery.double(), dim=1)
    num_allowed = math.floor(FALSE_MATCH_RATE * len(who) * (num_people - 1) + 1e-9)
    hits, genuine = {1: 0.0, 5: 0.0}, []
    impostors = torch.empty(0, dtype=torch.float64, device=device)
    for part, person in zip(probe.split(_PROBES_AT_ONCE), own.split(_PROBES_AT_ONCE), strict=True):
        cosines = F.normalize(part.double(), dim=1) @ unit_gallery.T
        best = cosines.new_full((len(part), num_people), -math.inf)
        best.scatter_reduce_(1, column.expand_as(cosines), cosines, reduce="amax")
        mine = best.gather(1, person.unsqueeze(1))
        others = torch.ones_like(best, dtype=torch.bool).scatter_(1, person.unsqueeze(1), False)
        before = ((best > mine) & others).sum(dim=1).double()
        level = ((best == mine) & others).sum(dim=1).double()
        for rank in hits:
            hits[rank] += float(((rank - before) / (level + 1)).clamp(0, 1).sum())
        genuine.append(mine.squeeze(1))
        # Only the highest decide the threshold: no need to keep all pairs.
        impostors = torch.cat([impostors, best[others]])
        impostors = impostors.topk(min(num_allowed + 1, len(impostors))).values
    accepted = torch.cat(genuine) > impostors[-1]
    return {
        "rank1": hits[1] / len(who),
        "rank5": hits[5] / len(who),
        "tpr_at_1_fmr": float(accepted.double().mean()),
        "chance_rank1": 1 / num_people,
    }


def reidentify(probe: Tensor, features: Tensor, people: People) -> dict[str, float]:
    """Looks people up: one plain image of each is the gallery, their other images are the probes.

    People of whom there is one image only have no part in it.

    Args:
        probe: What an attacker has of each image, [N, D]: M(z) or Φ(x̂).
        features: What the gallery is made of, Φ(x), [N, D].
        people: [N], who is on each image.

    Returns:
        `rank1`, `rank5`, `tpr_at_1_fmr`, `chance_rank1` (see `rank_scores`) and `num_probes`.

    Raises:
        ValueError: If there are fewer than two people with two images each.
    """
    who = torch.as_tensor(people).cpu()
    gallery, probes = (torch.from_numpy(rows) for rows in gallery_and_probes(who))
    if len(gallery) < 2:
        raise ValueError(
            "re-identification needs two people or more with two images or more each in the split; "
            f"among its {len(people)} images are {len(gallery)}. Use data with identities (avatars,"
            " celeba), more images, or data.split=identity"
        )
    scores = rank_scores(probe[probes], who[probes], features[gallery], who[gallery])
    return {**scores, "num_probes": float(len(probes))}


def _check(who: Tensor, enrolled: Tensor, probe: Tensor, gallery: Tensor) -> None:
    if len(who) == 0 or len(enrolled) < 2:
        raise ValueError(
            "re-identification needs at least one probe and two people in the gallery, got "
            f"{len(who)} and {len(enrolled)}"
        )
    unknown = who[~torch.isin(who, enrolled)]
    if len(unknown):
        raise ValueError(f"person {int(unknown[0])} is on a probe but not in the gallery")
    # A NaN is neither above nor level with anything: it would pass for a first rank.
    if not bool(probe.isfinite().all() and gallery.isfinite().all()):
        raise ValueError("features to compare must be finite")


def worst_decile(values: Tensor) -> float:
    """Mean of the highest tenth of values [N] (rounded up, so at least one).

    Raises:
        ValueError: If there is no value.
    """
    if len(values) == 0:
        raise ValueError("the worst decile of no values is not defined")
    count = -(-len(values) // 10)
    return float(values.double().topk(count).values.mean())


def worst_decile_people(values: Tensor, people: People) -> float:
    """Mean over the tenth of people that leak most, each by the mean of his or her images.

    Args:
        values: [N], the score of each image.
        people: [N], who is on it.
    """
    person = torch.unique(torch.as_tensor(people).cpu(), return_inverse=True)[1]
    values = values.detach().cpu().double()
    if len(values) == 0:
        return worst_decile(values)
    sums = torch.zeros(int(person.max()) + 1, dtype=torch.float64).index_add_(0, person, values)
    return worst_decile(sums / torch.bincount(person))
