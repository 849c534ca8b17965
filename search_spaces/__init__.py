"""What each protector is searched over: an explicit table, one entry per protector."""

from search_spaces.baselines import LABELS, UNDEFENDED
from search_spaces.ranges import Choice, Domain, Float, Integer, Value, read_domain
from search_spaces.reconstruction import SPACE as RECONSTRUCTION
from search_spaces.space import CUT_POINT, ResolvedSpace, SearchSpace

SPACES: dict[str, SearchSpace] = {
    "labels": LABELS,
    "none": UNDEFENDED,
    "reconstruction": RECONSTRUCTION,
}

__all__ = [
    "CUT_POINT",
    "SPACES",
    "Choice",
    "Domain",
    "Float",
    "Integer",
    "ResolvedSpace",
    "SearchSpace",
    "Value",
    "read_domain",
]
