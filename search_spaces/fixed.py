"""The search spaces of the encoders that are not trained: the image as it is, blurred, or noisy.

What is sent is no part of a backbone, so there is nothing to cut.
"""

from search_spaces.ranges import Choice, Float
from search_spaces.space import SearchSpace

IDENTITY = SearchSpace(domains={}, default={})
"""Of `identity`: the image is sent as it is, there is one such encoder."""

BLUR = SearchSpace(
    # Pittaluga, section 4.3: a mean filter of 120 of 224 pixels. Only this one unless others are
    # listed.
    domains={"protector.kernel": Choice((120 / 224,))},
    default={"protector.kernel": 120 / 224},
)
"""Of `blur`: the width of the filter."""

NOISE = SearchSpace(
    # DeepObfuscator, section 4.1, adds noise "until it becomes just unrecognizable" and gives no
    # deviation: from hardly visible, through a third of the image's range, to nothing but noise.
    domains={"protector.sigma": Float(0.03, 3.0, log=True)},
    default={"protector.sigma": 0.3},
)
"""Of `noise`: its deviation."""
