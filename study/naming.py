"""How an encoder is called: protector, cut, and what tells it from the others."""

from collections.abc import Mapping
from typing import Any

from search_spaces import SPACES

SYMBOLS = (
    ("lambda1", "λ1"), ("lambda2", "λ2"), ("mu1", "μ1"), ("mu2", "μ2"), ("alpha", "α"),
    ("sigma", "σ"), ("kernel", "kernel"),
)  # fmt: skip
"""Numbers that tell one encoder of a protector from another, and how they are written."""
USUAL = {"privacy_loss": "flip", "normalisation": "per_location"}
"""Choices that are only said where they are not the method's own."""


def is_cut(protector: str) -> bool:
    """Whether a protector's encoder is a part of the backbone, up to the cut point."""
    return SPACES[protector].has_cut


def run_name(model: Mapping[str, Any], protector: Mapping[str, Any]) -> str:
    """A short name: protector, cut point, unusual choices, and the weights that are not 0."""
    words = [str(protector["name"])]
    if protector["name"] != "labels" and is_cut(words[0]):
        words.append(str(model["cut_point"]))
    words += [str(protector[n]) for n, usual in USUAL.items() if protector.get(n, usual) != usual]
    for name, symbol in SYMBOLS:
        if protector.get(name):
            words.append(f"{symbol}={protector[name]:.2g}")
    return " ".join(words)
