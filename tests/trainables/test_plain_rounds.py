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

SIDE, BATCH, ROUNDS = 48, 8, 20
METHODS = {
    "weak adversary": {"name": "reconstruction", "lambda1": 3.0, "adversary_steps": 2},
    "strong adversary": {"name": "reconstruction", "lambda2": 1.0, "mu1": 1e-2, "mu2": 0.1},
    "obfuscator": {"name": "obfuscator", "joint_rounds": 0, "adversary_rounds": 0},
}
PLAIN = {"reconstruction": PlainReconstruction, "obfuscator": PlainObfuscator}


REPORTED = {
    "reconstruction": ("utility_loss", "protector_pixel_loss"),
    "obfuscator": (
        "utility_loss_step0", "noise_loss", "reconstruction_loss", "utility_loss_step1",
        "inference_loss", "reconstructor_loss", "attribute_classifier_loss", "classifier_loss",
    ),
}  # fmt: skip
"""Our names of what a plain round returns last."""


def protector_of(cut, dtype=torch.float64, **values):
    """A small one, always the same."""
    torch.manual_seed(0)
    entry = PROTECTORS[values["name"]]
    config = entry.config(rounds=ROUNDS, encoder_lr_decay=1.0, batch_size=BATCH, **values)
    model = ModelConfig(width=0.125, cut_point=cut)
    perceptual = PublicFeatures(5).to(dtype).eval().requires_grad_(False)
    device = torch.device("cpu")
    protector = entry.build(config, Setting(model, SIDE, SIDE, (1, 2), device, perceptual, (0,)))
    for net in protector.nets().values():
        net.to(dtype)
    return protector


def batches(seed, dtype=torch.float64):
    """Images [B, 3, H, W] and labels [B, 5] without end."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        images = torch.rand(BATCH, 3, SIDE, SIDE, generator=generator).to(dtype)
        yield images, torch.randint(2, (BATCH, 5), generator=generator).to(dtype)


def drawn_by(stream):
    """The same as a protector draws them: channels-last."""

    def draw(balanced=()):
        images, labels = next(stream)
        images = images.contiguous(memory_format=torch.channels_last)
        return Batch(images, labels, torch.arange(BATCH))

    return draw


# At the deep cut a round multiplies rounding tenfold: 20 of them would leave nothing to compare.
@pytest.mark.parametrize(("cut", "rounds"), [("conv1", 5), ("conv3", ROUNDS), ("fc", 5)])
@pytest.mark.parametrize("method", METHODS)
def test_rounds_move_the_weights_as_plain_ones_do(method, cut, rounds):
    # In double precision: Adam's first steps are signs of gradients, which rounding would turn.
    protector = protector_of(cut, **METHODS[method])
    start = {name: copy.deepcopy(net.state_dict()) for name, net in protector.nets().items()}
    twin = copy.deepcopy(protector)
    plain = PLAIN[protector.config.name](twin)
    private, public = drawn_by(batches(1)), drawn_by(batches(2))
    for _ in range(rounds):
        protector.round(private, public)
    streams = batches(1), batches(2)
    for _ in range(rounds):
        plain.round(*streams)
    # Weights move by some 1e-3 a round; rounding, where Adam divides by next to nothing, by 1e-7.
    for (name, net), other in zip(protector.nets().items(), twin.nets().values(), strict=True):
        weights = zip(net.named_parameters(), other.parameters(), strict=True)
        for (key, ours), theirs in weights:
            assert not torch.equal(ours, start[name][key]), f"{name}.{key} stood still"
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6, msg=f"{name}.{key}")


def losses(method, cut, dtype):
    """What 20 rounds of ours and 20 plain ones report, [rounds, terms] each."""
    protector = protector_of(cut, dtype, **METHODS[method])
    name = protector.config.name
    plain = PLAIN[name](copy.deepcopy(protector))
    private, public = drawn_by(batches(1, dtype)), drawn_by(batches(2, dtype))
    reported = [protector.round(private, public) for _ in range(ROUNDS)]
    ours = [[float(terms[key]) for key in REPORTED[name]] for terms in reported]
    streams = batches(1, dtype), batches(2, dtype)
    theirs = [plain.round(*streams)[-len(REPORTED[name]) :] for _ in range(ROUNDS)]
    return torch.tensor(ours, dtype=torch.float64), torch.tensor(theirs, dtype=torch.float64)


@pytest.mark.parametrize("method", METHODS)
def test_in_single_precision_losses_differ_by_rounding_alone(method):
    exact = losses(method, "conv3", torch.float64)[1]
    ours, plain = losses(method, "conv3", torch.float32)
    # Of all terms the one that it reached first: which that is differs from processor to processor.
    rounding = ((plain - exact).abs() / exact.abs()).cummax(dim=0).values.amax(dim=1)
    apart = ((ours - exact).abs() / exact.abs()).amax(dim=1)
    # Rounding grows from 1e-6 in the first round to 1e-2 in the last; bfloat16 begins at 1e-3.
    assert rounding[0] < 1e-5, "rounding alone would hide a mistake"
    assert (apart <= 10 * rounding + 1e-5).all(), f"{apart.tolist()} beside {rounding.tolist()}"
