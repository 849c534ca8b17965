"""Whom an encoder fails, person by person: of its codes, and of what an attacker made of them."""

import math

import numpy as np
import torch

from trainables import people
from trainables.encodings import Encodings
from trainables.quiz import quiz_scores
from trainables.scores import Scores

MAX_VALUES = 1 << 26
"""Values of codes that are kept at once: 256 MiB."""


def code_figures(encodings: Encodings) -> dict[str, float]:
    """Variances of codes within and between people and their LDA score (Xiao, Table 3).

    Codes are standardised. Where those of all images are too large to be kept at once, those of the
    first people are taken.

    Returns:
        `within`, `between`, `lda_score` and `chance_lda_score`, those that are finite: the score is
        not where people differ and their images do not. Empty where there are not two people with
        two images.
    """
    who = encodings.people("test")
    kept = people.first_with_company(who, MAX_VALUES // encodings.encoder.spec.num_values)
    if len(np.unique(who[kept])) < 2:
        return {}
    wanted, start, parts = np.zeros(len(who), dtype=bool), 0, []
    wanted[kept] = True
    for batch in encodings.split_batches("test"):
        own = torch.from_numpy(wanted[start : start + len(batch.codes)])
        parts.append(batch.codes[own.to(batch.codes.device)])
        start += len(batch.codes)
    codes, who = torch.cat(parts), who[kept]
    figures = {
        **people.variances(codes, who)._asdict(),
        "chance_lda_score": people.chance_lda_score(who),
    }
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def answer_figures(scores: Scores, encodings: Encodings) -> dict[str, float]:
    """Whom an attacker's answers for the test split give away.

    Returns:
        `worst_decile` and `worst_decile_people`, the score of the tenth of images and of people
        that leak most, where an image has a score; and where the answers are features of Φ, what
        `quiz_scores` gives and, with two people with two images, `rank1` and what else
        `people.reidentify` gives.
    """
    return {
        **_worst(scores, encodings),
        **_found_again(scores, encodings),
        **_quizzed(scores, encodings),
    }


def _worst(scores: Scores, encodings: Encodings) -> dict[str, float]:
    if scores.per_image is None:
        return {}
    who = encodings.people("test")[: len(scores.per_image)]
    return {
        "worst_decile": people.worst_decile(scores.per_image),
        "worst_decile_people": people.worst_decile_people(scores.per_image, who),
    }


def _found_again(scores: Scores, encodings: Encodings) -> dict[str, float]:
    known = encodings.features("test")
    if scores.features is None or known is None:
        return {}
    count = len(scores.features)  # some attackers answer for the first images only
    who = encodings.people("test")[:count]
    if len(people.gallery_and_probes(who)[0]) < 2:
        return {}
    return people.reidentify(scores.features, known[:count].cpu(), who)


def _quizzed(scores: Scores, encodings: Encodings) -> dict[str, float]:
    known = encodings.features("test")
    if scores.features is None or known is None:
        return {}
    return quiz_scores(scores.features, known.cpu(), encodings.people("test"))
