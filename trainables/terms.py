"""Loss terms of several rounds, read from the device in one go."""

import torch
from torch import Tensor


def read_terms(
    terms: list[dict[str, Tensor]],
) -> tuple[dict[str, float], tuple[int, str] | None]:
    """Reads the loss terms of several rounds at once; the only wait for the device.

    Returns:
        The mean of each term, and (round offset, term) of the first one that is not finite.
    """
    broken: tuple[int, str] | None = None
    means: dict[str, float] = {}
    # In the order of computation: what breaks first breaks whatever is computed from it in the same
    # round. What is measured beside the losses comes last.
    names = dict.fromkeys(name for round_terms in terms for name in round_terms)
    for name in sorted(names, key=lambda name: "/" in name):
        present = [index for index, round_terms in enumerate(terms) if name in round_terms]
        values = torch.stack([terms[index][name] for index in present]).double().cpu()
        means[name] = float(values.mean())
        wrong = torch.nonzero(~torch.isfinite(values))
        if len(wrong) and (broken is None or present[int(wrong[0])] < broken[0]):
            broken = (present[int(wrong[0])], name)
    return means, broken
