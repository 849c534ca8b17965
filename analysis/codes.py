"""How t-SNE lays out the codes of some encoders (Xiao, Figure 4).

A picture, no evidence: an attribute that no cluster shows may still be in the code. What is told
of leakage is what retrained attackers found.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.choice import Wish, choose
from analysis.kept_codes import CODES_FILE, KeptCodes, read_codes
from analysis.load import StudyTables
from analysis.methods import compares_methods
from analysis.pictures import compared_encoders, encoder_caption
from analysis.records import encoder_labels, staircase
from analysis.tables import measured

MAX_IMAGES = 200
"""Images that are laid out: t-SNE of five encoders is to take seconds."""
MAX_UNDEFENDED, MAX_PER_USE = 2, 2
"""Undefended encoders, and attributes of the utility and of the private ones, that are shown."""
PERPLEXITY = 30.0
SEED = 0


@dataclass(frozen=True)
class Attribute:
    """One attribute of the images that are laid out: `use` is `utility` or `private`."""

    name: str
    use: str
    present: NDArray[np.bool_]


@dataclass(frozen=True)
class CodesRow:
    """One encoder's layout.

    Attributes:
        label: The encoder.
        caption: What it is and does.
        places: Where t-SNE puts each image, [N, 2]; None where all codes are the same.
        attributes: Those that the marks tell.
        share: See `KeptCodes`.
        num_components: How many components were laid out.
        num_values: See `KeptCodes`.
    """

    label: str
    caption: str
    places: NDArray[np.float64] | None
    attributes: tuple[Attribute, ...]
    share: float
    num_components: int
    num_values: int


def codes_record(tables: StudyTables) -> tuple[CodesRow, ...]:
    """Lays out the codes of `shown_encoders`; an encoder without usable ones is left out.

    All rows tell of the same attributes, those of the first one's images.
    """
    labels, named = encoder_labels(tables.encoders), compares_methods(tables.encoders)
    rows: list[CodesRow] = []
    chosen: list[tuple[str, str]] = []
    for encoder_id in shown_encoders(tables.encoders):
        row = tables.encoders[tables.encoders["encoder_id"] == encoder_id].iloc[0]
        path = tables.artifact(row["run_id"], CODES_FILE)
        kept = None if path is None else read_codes(path)
        if kept is None:
            continue
        kept = _fewer(kept)
        chosen = chosen or telling_attributes(kept)
        attributes = [_attribute(kept, name, use) for name, use in chosen]
        if not chosen or None in attributes:
            continue
        rows.append(
            CodesRow(
                labels[encoder_id],
                encoder_caption(row, named),
                layout(kept.components),
                tuple(one for one in attributes if one is not None),
                kept.share,
                kept.components.shape[1],
                kept.num_values,
            )
        )
    return tuple(rows)


def shown_encoders(encoders: pd.DataFrame) -> list[str]:
    """Ids of undefended encoders and of at most three others of the frontier.

    Of the frontier its two ends, and between them its knee, or else the defended encoder of the
    answer. Of the undefended encoders at most two, those first whose cut one of these has.
    """
    best = staircase(encoders)[0]["encoder_id"]  # the most useful first
    knee = choose(encoders, Wish("knee")).row
    middle = compared_encoders(encoders)[-1:] if knee is None else [knee["encoder_id"]]
    several = list(dict.fromkeys([*best.head(1), *middle, *best.tail(1)]))
    by_id = encoders.set_index("encoder_id")
    open_ = encoders[measured(encoders) & (encoders["role"] == "undefended")]
    cuts = {by_id.loc[name, "cut_point"] for name in several}
    order = (~open_["cut_point"].isin(cuts)).sort_values(kind="stable").index
    undefended = list(open_.loc[order, "encoder_id"][:MAX_UNDEFENDED])
    return list(dict.fromkeys([*undefended, *several]))


def telling_attributes(kept: KeptCodes) -> list[tuple[str, str]]:
    """(name, use) of at most two utility and two private attributes.

    Those that come nearest to being on half of the images; of two alike the first. One that all
    images have, or none, tells nothing.
    """
    found = []
    for use, names, start in (
        ("utility", kept.utility, 0),
        ("private", kept.private, len(kept.utility)),
    ):
        rates = kept.labels[:, start : start + len(names)].mean(axis=0)
        order = np.argsort(np.abs(rates - 0.5), kind="stable")
        telling = [names[place] for place in order if 0 < rates[place] < 1]
        found += [(name, use) for name in telling[:MAX_PER_USE]]
    return found


def _attribute(kept: KeptCodes, name: str, use: str) -> Attribute | None:
    names = kept.utility if use == "utility" else kept.private
    if name not in names:
        return None
    column = names.index(name) + (0 if use == "utility" else len(kept.utility))
    return Attribute(name, use, kept.labels[:, column] == 1)


def _fewer(kept: KeptCodes) -> KeptCodes:
    """At most MAX_IMAGES of them, from all over."""
    count = min(MAX_IMAGES, len(kept.components))
    rows = np.arange(count) * len(kept.components) // count
    return KeptCodes(
        kept.components[rows], kept.labels[rows], kept.utility, kept.private, kept.share,
        kept.num_values,
    )  # fmt: skip


def layout(components: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """t-SNE in two dimensions (van der Maaten and Hinton, 2008), the same at every call.

    Args:
        components: [N, K], N ≥ 4.

    Returns:
        [N, 2], without a unit; None where all points are the same.
    """
    if not np.ptp(components, axis=0).any():
        return None
    components = components / np.abs(components).max()
    from sklearn.manifold import TSNE  # a second that a study without codes need not wait for

    if components.shape[1] == 1:  # it begins with two components
        components = np.hstack([components, np.zeros_like(components)])
    perplexity = min(PERPLEXITY, (len(components) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=SEED).fit_transform(components)
    return np.asarray(places, dtype=np.float64)
