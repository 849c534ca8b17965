"""Our attackers learn what a repository's would: the same batches end in the same weights."""

import copy

import pytest
import torch

from benchmarks.plain_attacks import plain_attack
from trainables.attackers.base import Target
from trainables.attackers.suite import build_attacker, named_attacker
from trainables.encodings import CodeBatch
from trainables.nets.backbones import build_classifier, build_encoder, code_spec
from trainables.nets.config import ModelConfig
from trainables.nets.perceptual import PublicFeatures

SIDE, BATCH, STEPS, RATE = 48, 8, 5, 1e-3
ATTACKERS = (
    "decoder", "decoder_strong", "decoder_unet_deep", "decoder_residual",
    "attribute", "attribute_other", "attribute_mlp", "attribute_linear",
)  # fmt: skip


def standardise(codes):
    return (codes - 0.1) / 0.5


def batches():
    """Images [B, 3, H, W] and labels [B, 3] without end."""
    generator = torch.Generator().manual_seed(0)
    while True:
        images = torch.rand(BATCH, 3, SIDE, SIDE, generator=generator).double()
        yield images, torch.randint(2, (BATCH, 3), generator=generator).double()


@pytest.mark.parametrize("name", ATTACKERS)
def test_attackers_move_their_weights_as_plain_ones_do(name):
    # In double precision: Adam's first steps are signs of gradients, which rounding would turn.
    torch.manual_seed(0)
    model = ModelConfig(width=0.125, cut_point="conv3")
    spec = code_spec(model, SIDE, SIDE)
    encoder = build_encoder(model, SIDE, SIDE).double().eval().requires_grad_(False)
    head = build_classifier(model, spec, 2).double().eval()
    perceptual = PublicFeatures(3).double().eval().requires_grad_(False)
    device = torch.device("cpu")
    target = Target(spec, model, SIDE, SIDE, (2,), ("Hat",), (0.4,), device, perceptual)
    attacker = build_attacker(named_attacker(name).model_dump(mode="json"), target)
    for net in attacker.nets().values():
        net.double()
    attacker.set_rate(RATE)
    start = {key: copy.deepcopy(net.state_dict()) for key, net in attacker.nets().items()}
    twin = copy.deepcopy(attacker)
    twin_perceptual = copy.deepcopy(perceptual).requires_grad_(True)
    if getattr(twin, "perceptual", None) is not None:
        twin.perceptual = twin_perceptual
    plain = plain_attack(twin, (copy.deepcopy(encoder), head), standardise, RATE)
    torch.manual_seed(1)  # dropout
    for (images, labels), _ in zip(batches(), range(STEPS), strict=False):
        images = images.contiguous(memory_format=torch.channels_last)
        attacker.train_step(CodeBatch(standardise(encoder(images)), images, labels))
    torch.manual_seed(1)
    for (images, labels), _ in zip(batches(), range(STEPS), strict=False):
        plain.train_step(images, labels)
    for (key, net), other in zip(attacker.nets().items(), twin.nets().values(), strict=True):
        weights = zip(net.named_parameters(), other.parameters(), strict=True)
        for (part, ours), theirs in weights:
            assert not torch.equal(ours, start[key][part]), f"{key}.{part} stood still"
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6, msg=f"{key}.{part}")
