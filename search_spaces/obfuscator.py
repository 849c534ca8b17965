"""The search space of DeepObfuscator's protector, `obfuscator` (methods section 2.3)."""

from search_spaces.ranges import Choice, Float, Integer
from search_spaces.space import CUT_POINT, CUT_POINTS, SearchSpace

SPACE = SearchSpace(
    domains={
        # Table 1: the obfuscator is a VGG-16 up to `pool2`; the other cuts are this project's.
        CUT_POINT: CUT_POINTS,
        "model.code_width": Choice((32, 64, 128, 256)),
        # Section 4.2 defends one attack alone; both unless a user lists [true, false].
        "protector.defend_reconstruction": Choice((True,)),
        "protector.defend_attributes": Choice((True,)),
        # Section 4: λ1 = λ2 = 1, with losses of the same order; ten times less and more.
        "protector.lambda1": Float(0.1, 10.0, log=True),
        "protector.lambda2": Float(0.1, 10.0, log=True),
        # The paper says "adaptive", no figure: around Adam's usual 1e-3.
        "protector.encoder_lr": Float(1e-4, 3e-3, log=True),
        # No schedule in the paper; Pittaluga's argument for one holds for every adversary.
        "protector.encoder_lr_decay": Float(0.003, 1.0, log=True),
        "protector.adversary_lr": Float(3e-4, 1e-2, log=True),
        # Algorithm 1 gives the adversaries one batch of four. On avatars that looked private in the
        # loop and was not; with three steps it was.
        "protector.adversary_steps": Integer(1, 3),
        # Section 3.2 trains both adversaries before the first cycle; how long it does not say.
        "protector.adversary_rounds": Choice((0, 100, 300)),
    },
    default={
        CUT_POINT: "pool2",
        "model.code_width": 128,
        "protector.lambda1": 1.0,
        "protector.lambda2": 1.0,
        "protector.defend_reconstruction": True,
        "protector.defend_attributes": True,
        "protector.encoder_lr": 1e-3,
        "protector.encoder_lr_decay": 0.1,
        "protector.adversary_lr": 3e-3,
        "protector.adversary_steps": 3,
        "protector.adversary_rounds": 100,
    },
    only_at={"model.code_width": "fc"},
    only_with={
        "protector.lambda1": "protector.defend_attributes",
        "protector.lambda2": "protector.defend_reconstruction",
    },
)
