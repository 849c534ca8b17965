"""What each protector is searched over: an explicit table, one entry per protector."""

from search_spaces.baselines import LABELS, UNDEFENDED
from search_spaces.fixed import BLUR, IDENTITY, NOISE
from search_spaces.joint import PROTECTOR_NAME, JointSpace
from search_spaces.label_flip import SPACE as LABEL_FLIP
from search_spaces.obfuscator import SPACE as OBFUSCATOR
from search_spaces.ranges import Choice, Domain, Float, Integer, Value, read_domain
from search_spaces.reconstruction import SPACE as RECONSTRUCTION
from search_spaces.space import (
    CUT_POINT,
    CUT_POINTS,
    PREFERRED_CUTS,
    ResolvedSpace,
    SearchSpace,
    default_cut,
)

SPACES: dict[str, SearchSpace] = {
    "none": UNDEFENDED,
    "labels": LABELS,
    "reconstruction": RECONSTRUCTION,
    "label_flip": LABEL_FLIP,
    "obfuscator": OBFUSCATOR,
    "identity": IDENTITY,
    "blur": BLUR,
    "noise": NOISE,
}

__all__ = [
    "CUT_POINT",
    "CUT_POINTS",
    "PREFERRED_CUTS",
    "PROTECTOR_NAME",
    "SPACES",
    "Choice",
    "Domain",
    "Float",
    "Integer",
    "JointSpace",
    "ResolvedSpace",
    "SearchSpace",
    "Value",
    "default_cut",
    "read_domain",
]
