"""The search spaces of the encoders without an adversary."""

from search_spaces.ranges import Choice, Float
from search_spaces.space import CUT_POINT, CUT_POINTS, SearchSpace

UNDEFENDED = SearchSpace(
    domains={
        CUT_POINT: CUT_POINTS,
        "model.code_width": Choice((32, 64, 128, 256)),
        "protector.encoder_lr": Float(3e-4, 3e-3, log=True),
        "protector.encoder_lr_decay": Float(0.003, 1.0, log=True),
    },
    default={
        CUT_POINT: "conv4",
        "model.code_width": 128,
        "protector.encoder_lr": 1e-3,
        "protector.encoder_lr_decay": 0.01,
    },
    only_at={"model.code_width": "fc"},
)
"""Of `none` where it is a protector of its own: Adam's usual 1e-3 and a factor of three around it,
with no adversary to keep up with. As a baseline it is trained at the other protector's default."""

LABELS = SearchSpace(
    domains={CUT_POINT: CUT_POINTS},
    default={CUT_POINT: "fc"},
)
"""Of `labels`, which trains nothing: only where the attackers take it to be cut."""
