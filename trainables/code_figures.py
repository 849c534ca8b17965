"""How far the codes of the test split tell people apart (Xiao, Table 3)."""

import math

import numpy as np
import torch

from trainables import people
from trainables.encodings import Encodings

MAX_VALUES = 1 << 26
"""Values of codes that are kept at once: 256 MiB."""


def people_figures(encodings: Encodings) -> dict[str, float]:
    """Variances of standardised codes within and between people, and their LDA score.

    Where the codes of all images are too large to be kept at once, those of the first people are
    taken.

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
