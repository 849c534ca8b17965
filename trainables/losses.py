"""The loss terms of the methods, one function each, named as in methods section 2.

Reconstruction and image arguments are float tensors [B, 3, H, W] in [0, 1]; classifiers and
discriminators hand over logits (never probabilities: no sigmoid is applied twice).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.ms_ssim import ms_ssim


def pixel_loss(reconstruction: Tensor, image: Tensor) -> Tensor:
    """`L_p = |Dec(z) - x|^2`, mean over batch, channels and pixels (Xiao, eq. 1 and 7)."""
    return F.mse_loss(reconstruction, image)


def perceptual_loss(reconstructed: Sequence[Tensor], original: Sequence[Tensor]) -> Tensor:
    """`L_perc = |g(Dec(z)) - g(x)|^2`: mean per layer of g, averaged over layers (Xiao, eq. 4)."""
    pairs = zip(reconstructed, original, strict=True)
    layers = [F.mse_loss(_keeping_layout(a), b) for a, b in pairs]
    return torch.stack(layers).mean()


def _keeping_layout(maps: Tensor) -> Tensor:
    """`maps`, whose gradient comes back channels-last if they are so themselves.

    That of `F.mse_loss` comes back in the default layout, and every layer of g behind it would mix
    two layouts, its ReLUs ten times as slow.
    """
    if not (maps.requires_grad and maps.is_contiguous(memory_format=torch.channels_last)):
        return maps
    # A view of its own: this gradient is changed before those of the next layer are added to it.
    seen = maps.view_as(maps)
    seen.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
    return seen


def adversarial_loss(fake_logits: Tensor, saturating: bool = True) -> Tensor:
    """`L_adv = log(1 - D(Dec(z)))`, which the decoder minimises (Xiao, eq. 2).

    Args:
        fake_logits: D's logits of reconstructions, [B].
        saturating: False gives the non-saturating `-log D(Dec(z))` instead.
    """
    # log(1 - sigmoid(s)) = -softplus(s); -log sigmoid(s) = softplus(-s).
    return -F.softplus(fake_logits).mean() if saturating else F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Minus `log D(x) + log(1 - D(Dec(z)))`, which D minimises (Xiao, eq. 3)."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def utility_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """`L_u`: binary cross-entropy of the logits, averaged over attributes (Xiao, eq. 6)."""
    return F.binary_cross_entropy_with_logits(logits, labels)


def balanced_attribute_loss(logits: Tensor, labels: Tensor, positive_rate: Tensor) -> Tensor:
    """Cross-entropy with both classes of each attribute weighted to count the same.

    Attribute attackers are scored by balanced accuracy, so they train for it: without the weights
    an attacker of a rare attribute would answer "no" to everyone and look harmless.

    Args:
        logits: [B, A].
        labels: [B, A] in {0, 1}.
        positive_rate: [A], each attribute's rate in the public split, in (0, 1).
    """
    weight = torch.where(labels > 0.5, 0.5 / positive_rate, 0.5 / (1 - positive_rate))
    return F.binary_cross_entropy_with_logits(logits, labels, weight=weight)


def flip_loss(logits: Tensor) -> Tensor:
    """Cross-entropy against the opposite of what the classifier now predicts.

    Pittaluga, section 3.2: whoever is right, the encoder takes the confidence out of it; the true
    label has no part in it.

    Args:
        logits: [B, P] of the private classifier; above 0 it predicts 1.
    """
    return F.binary_cross_entropy_with_logits(logits, (logits <= 0).to(logits.dtype))


def exclusive_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of N+1 classes: the N attributes, of which an image has one at most, and none.

    Args:
        logits: [B, N + 1], the last for "none of them".
        labels: [B, N] in {0, 1}.
    """
    none = 1 - labels.amax(dim=1, keepdim=True)
    return F.cross_entropy(logits, torch.cat([labels, none], dim=1).argmax(dim=1))


def exclusive_logits(logits: Tensor) -> Tensor:
    """Turns N+1 class scores [B, N + 1] into one logit per attribute, [B, N].

    Above 0 where the attribute is likelier than all other classes together.
    """
    others = logits.unsqueeze(1).expand(-1, logits.shape[1] - 1, -1).clone()
    own = torch.arange(logits.shape[1] - 1, device=logits.device)
    others[:, own, own] = -torch.inf
    return logits[:, :-1] - others.logsumexp(dim=2)


def ms_ssim_loss(reconstruction: Tensor, target: Tensor) -> Tensor:
    """`1 - MS-SSIM`, mean over the batch (DeepObfuscator, eq. 6 and 8).

    Args:
        reconstruction: [B, 3, H, W] in [0, 1].
        target: Likewise, or [1, 3, H, W] for one target of all.
    """
    # One scale at 0 would take the others' gradient with it: MS_SSIM_LOSS_FLOOR keeps off it.
    return 1 - ms_ssim(reconstruction, target, floor=MS_SSIM_LOSS_FLOOR).mean()


MS_SSIM_LOSS_FLOOR = 1e-4
"""What a scale's term counts at least in the loss; in the metric it is 0."""
