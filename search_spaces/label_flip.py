"""The search space of Pittaluga's protector, `label_flip` (methods section 2.2)."""

from search_spaces.ranges import Choice, Float, Integer
from search_spaces.space import CUT_POINT, CUT_POINTS, SearchSpace

SPACE = SearchSpace(
    domains={
        # The paper has one network with one cut, `code`; other backbones are this project's.
        CUT_POINT: CUT_POINTS,
        "model.code_width": Choice((32, 64, 128, 256)),
        # Section 3.2 proposes `flip` and compares it with `gan`; a user lists more than one.
        "protector.privacy_loss": Choice(("flip",)),
        # Section 4.2: all others than `per_location` without bias collapse; listed for that study.
        "protector.normalisation": Choice(("per_location",)),
        # Section 4 has α = 2^-4 throughout, over 860,000 rounds; in a thousand rounds on avatars a
        # desirable attribute was only learned from about 1/2 on, hence the default. 1 weighs
        # privacy and use alike; without a desirable attribute (α = 0) the objective is another
        # one, which a recipe fixes.
        "protector.alpha": Float(2**-7, 1.0, log=True),
        # Section 4: 1e-4 over 860,000 rounds; runs of a thousand rounds need larger steps.
        "protector.encoder_lr": Float(1e-4, 3e-3, log=True),
        # Section 4: 0.1^(1/4) at each of four steps, 0.1 in all, with "a significant effect".
        "protector.encoder_lr_decay": Float(0.003, 1.0, log=True),
        # Section 4: 1e-4, constant, at first the encoder's; from there upwards as that one.
        "protector.adversary_lr": Float(1e-4, 1e-2, log=True),
        # Section 3.3 alternates single updates; more keep the classifiers ahead of the encoder.
        "protector.adversary_steps": Integer(1, 3),
        # Section 4 warms the classifiers up before the encoder moves; how long it does not say.
        "protector.warmup": Choice((0, 50, 200)),
    },
    default={
        CUT_POINT: "conv4",
        "model.code_width": 128,
        "protector.privacy_loss": "flip",
        "protector.normalisation": "per_location",
        "protector.alpha": 0.5,
        "protector.encoder_lr": 3e-3,
        "protector.encoder_lr_decay": 0.1,
        "protector.adversary_lr": 3e-3,
        "protector.adversary_steps": 1,
        "protector.warmup": 50,
    },
    only_at={"model.code_width": "fc"},
)
