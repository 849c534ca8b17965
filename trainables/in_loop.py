"""How the adversaries in the loop do on unseen images, the encoder standing still.

On an adversary's own training batches its score would measure memory.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from trainables import metrics
from trainables.data.batches import Batch
from trainables.data.dataset import Dataset
from trainables.scores import NotFiniteError, attribute_scores


@torch.no_grad()
def in_loop_ssim(encoder: nn.Module, decoder: nn.Module, images: Iterable[Tensor]) -> float:
    """Mean SSIM of `Dec(Enc(x))`, both nets in evaluation mode, modes restored afterwards."""
    modes = encoder.training, decoder.training
    encoder.eval()
    decoder.eval()
    values = torch.cat([metrics.ssim(decoder(encoder(batch)), batch) for batch in images])
    encoder.train(modes[0])
    decoder.train(modes[1])
    if not bool(values.isfinite().all()):
        raise NotFiniteError("the in-loop decoder's score was not finite")
    return float(values.double().mean())


@torch.no_grad()
def in_loop_accuracy(
    encoder: nn.Module, classifier: nn.Module, batches: Iterable[Batch], dataset: Dataset
) -> float:
    """Mean balanced accuracy of a classifier of codes, as `in_loop_ssim`."""
    modes = encoder.training, classifier.training
    encoder.eval()
    classifier.eval()
    pairs = [(classifier(encoder(batch.images)), batch.labels) for batch in batches]
    encoder.train(modes[0])
    classifier.train(modes[1])
    columns, names = dataset.private_columns, dataset.private_names
    return attribute_scores("in_loop", pairs, columns, names, dataset.categorical).score
