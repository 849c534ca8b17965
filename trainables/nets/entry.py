"""What every attacker's net begins with: a normalisation that makes all scales the same."""

from collections.abc import Sequence

from torch import nn

ENTRY_EPSILON = 1e-10
"""Least variance that counts. PyTorch's 1e-5 would leave a code of deviation 1e-4 at 3% of its
size, and an encoder would look private because its outputs are tiny."""


def entry_norm(shape: Sequence[int], momentum: float | None = None) -> nn.Module:
    """Returns the normalisation of codes, without affine parameters.

    Each channel of a map and each feature of a vector has mean 0 and variance 1 behind it; what
    does not vary is 0.

    Args:
        shape: Of one code, (channels, height, width) or (features,).
        momentum: Weight of the latest batch in the statistics of evaluation. None, for codes of an
            encoder that stands still, weights all batches of training alike: that tells an outlier
            from a drift better than the last few do.
    """
    norm = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
    return norm(shape[0], eps=ENTRY_EPSILON, momentum=momentum, affine=False)


def moving_entry_norm(shape: Sequence[int]) -> nn.Module:
    """Returns the same for codes of an encoder that is still learning."""
    return entry_norm(shape, momentum=0.1)
