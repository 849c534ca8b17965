"""Our rounds do what a repository's do: the same nets on the same batches end up the same."""

import copy

import pytest
import torch

from benchmarks.plain import PlainObfuscator, PlainReconstruction
from trainables.data.batches import Batch
from trainables.nets.config import ModelConfig
from trainables.nets.perceptual import PublicFeatures
from trainables.protectors import PROTECTORS
from trainables.protectors.base import Setting

SIDE, BATCH, ROUNDS = 48, 8, 5
METHODS = {
    "weak adversary": {"name": "reconstruction", "lambda1": 3.0, "adversary_steps": 2},
    "strong adversary": {"name": "reconstruction", "lambda2": 1.0, "mu1": 1e-2, "mu2": 0.1},
    "obfuscator": {"name": "obfuscator", "joint_rounds": 0, "adversary_rounds": 0},
}
PLAIN = {"reconstruction": PlainReconstruction, "obfuscator": PlainObfuscator}


def protector_of(cut, **values):
    """In double precision: Adam's first steps are signs of gradients, which rounding would turn."""
    torch.manual_seed(0)
    entry = PROTECTORS[values["name"]]
    config = entry.config(rounds=ROUNDS, encoder_lr_decay=1.0, batch_size=BATCH, **values)
    model = ModelConfig(width=0.125, cut_point=cut)
    perceptual = PublicFeatures(5).double().eval().requires_grad_(False)
    device = torch.device("cpu")
    protector = entry.build(config, Setting(model, SIDE, SIDE, (1, 2), device, perceptual, (0,)))
    for net in protector.nets().values():
        net.double()
    return protector


def batches(seed):
    """Images [B, 3, H, W] and labels [B, 5] without end."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        images = torch.rand(BATCH, 3, SIDE, SIDE, generator=generator).double()
        yield images, torch.randint(2, (BATCH, 5), generator=generator).double()


def drawn_by(stream):
    """The same as a protector draws them: channels-last."""

    def draw(balanced=()):
        images, labels = next(stream)
        images = images.contiguous(memory_format=torch.channels_last)
        return Batch(images, labels, torch.arange(BATCH))

    return draw


@pytest.mark.parametrize("cut", ["conv1", "conv3", "fc"])
@pytest.mark.parametrize("method", METHODS)
def test_rounds_move_the_weights_as_plain_ones_do(method, cut):
    protector = protector_of(cut, **METHODS[method])
    start = {name: copy.deepcopy(net.state_dict()) for name, net in protector.nets().items()}
    twin = copy.deepcopy(protector)
    plain = PLAIN[protector.config.name](twin)
    private, public = drawn_by(batches(1)), drawn_by(batches(2))
    for _ in range(ROUNDS):
        protector.round(private, public)
    streams = batches(1), batches(2)
    for _ in range(ROUNDS):
        plain.round(*streams)
    # Weights move by some 1e-3 a round; rounding, where Adam divides by next to nothing, by 1e-7.
    for (name, net), other in zip(protector.nets().items(), twin.nets().values(), strict=True):
        weights = zip(net.named_parameters(), other.parameters(), strict=True)
        for (key, ours), theirs in weights:
            assert not torch.equal(ours, start[name][key]), f"{name}.{key} stood still"
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6, msg=f"{name}.{key}")
