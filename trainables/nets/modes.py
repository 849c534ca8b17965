"""Freezing, said precisely: which weights get gradients and which statistics normalise.

A net frozen for another net's update still passes gradients through, but its weights get none and
its running statistics do not move. Whether it normalises by the batch or by its running statistics
is part of the method, so it is always stated by the caller.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def frozen(module: nn.Module, *, batch_statistics: bool) -> Iterator[None]:
    """Holds a net still while gradients pass through it.

    Args:
        module: The net; its weights, running statistics and mode are the same afterwards.
        batch_statistics: True normalises by the batch at hand (and leaves the running statistics
            alone), False by the running statistics, as in evaluation.
    """
    was_training = {part: part.training for part in module.modules()}
    was_required = {weight: weight.requires_grad for weight in module.parameters()}
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    try:
        module.train(batch_statistics)
        module.requires_grad_(False)
        for norm in norms:
            # In training mode without tracking a norm uses the batch and touches no buffer.
            norm.track_running_stats = not batch_statistics
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
        for part, training in was_training.items():
            part.training = training
        for weight, required in was_required.items():
            weight.requires_grad_(required)
