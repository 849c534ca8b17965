"""Attackers' own nets: they fit every cut, are deaf to scale, and can draw the mean image."""

from typing import get_args

import pytest
import torch

from trainables.nets.backbones import code_spec
from trainables.nets.config import CUT_POINTS, ModelConfig
from trainables.nets.entry import entry_norm
from trainables.nets.layers import CodeSpec
from trainables.nets.probes import Architecture as ProbeArchitecture
from trainables.nets.probes import build_probe
from trainables.nets.reconstructors import Architecture, build_reconstructor

EVERY_CUT = [(backbone, cut) for backbone, cuts in CUT_POINTS.items() for cut in cuts]
RECONSTRUCTORS = get_args(Architecture)
PROBES = get_args(ProbeArchitecture)


def codes_of(backbone, cut_point, height, width):
    model = ModelConfig(backbone=backbone, width=0.125, cut_point=cut_point, code_width=7)
    spec = code_spec(model, height, width)
    torch.manual_seed(0)
    return model, spec, torch.randn(4, *spec.shape)


@pytest.mark.parametrize("size", [(32, 32), (96, 64)])
@pytest.mark.parametrize("architecture", RECONSTRUCTORS)
@pytest.mark.parametrize(("backbone", "cut_point"), EVERY_CUT)
def test_every_decoder_fits_every_cut(backbone, cut_point, architecture, size):
    _, spec, codes = codes_of(backbone, cut_point, *size)
    decoder = build_reconstructor(architecture, spec, *size, 16)
    rebuilt = decoder(codes)
    assert rebuilt.shape == (4, 3, *size)
    assert rebuilt.min() >= 0
    assert rebuilt.max() <= 1
    (rebuilt - 0.3).square().mean().backward()
    for name, weight in decoder.named_parameters():
        assert weight.grad is not None, name


@pytest.mark.parametrize("architecture", PROBES)
@pytest.mark.parametrize(("backbone", "cut_point"), EVERY_CUT)
def test_every_classifier_fits_every_cut(backbone, cut_point, architecture):
    model, spec, codes = codes_of(backbone, cut_point, 64, 32)
    probe = build_probe(architecture, model, spec, 5)
    logits = probe(codes)
    assert logits.shape == (4, 5)
    logits.sum().backward()
    for name, weight in probe.named_parameters():
        assert weight.grad is not None, name


@pytest.mark.parametrize("factor", [1e-4, 1e4])
@pytest.mark.parametrize("architecture", PROBES)
def test_classifiers_are_deaf_to_scale(architecture, factor):
    model, spec, _ = codes_of("resnet18", "conv2", 64, 64)
    codes = torch.randn(64, *spec.shape, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    probe = build_probe(architecture, model, spec, 2)
    for module in probe.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.weight, std=0.1)
    # A variance of 1e-8 is 100 times what the entry adds to it.
    torch.testing.assert_close(probe(factor * codes), probe(codes), rtol=0.02, atol=0.02)


def test_entry_makes_a_channel_that_does_not_vary_silent():
    codes = torch.randn(8, 3, 4, 4)
    codes[:, 1] = 5.0
    entered = entry_norm((3, 4, 4))(codes)
    assert entered[:, 1].abs().max() < 1e-3
    assert entered[:, 0].std() == pytest.approx(1, abs=0.05)


def test_entry_in_evaluation_is_the_mean_over_all_batches():
    norm = entry_norm((1,))
    for value in (0.0, 2.0, 4.0):
        norm(torch.tensor([[value - 1], [value + 1]]))
    assert norm.running_mean.item() == pytest.approx(2)


@pytest.mark.parametrize("architecture", RECONSTRUCTORS)
@pytest.mark.parametrize("spec", [CodeSpec("fc", (1,)), CodeSpec("conv3", (1, 4, 4))])
def test_a_decoder_of_nothing_draws_the_mean_image(architecture, spec):
    torch.manual_seed(0)
    mean = torch.rand(1, 3, 32, 32)
    decoder = build_reconstructor(architecture, spec, 32, 32, 16)
    optimiser = torch.optim.Adam(decoder.parameters(), lr=1e-2)
    for _ in range(200):
        loss = (decoder(torch.zeros(8, *spec.shape)) - mean).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    decoder.eval()
    with torch.no_grad():
        left = (decoder(torch.zeros(2, *spec.shape)) - mean).square().mean()
    # White noise has a variance of 1/12 about its mean: nothing but a template can draw it.
    assert left < 0.01


def test_unknown_architectures_are_named():
    spec = CodeSpec("conv3", (4, 4, 4))
    with pytest.raises(ValueError, match="unknown 'resnet'. Known: mirror, unet_deep"):
        build_reconstructor("resnet", spec, 32, 32, 16)
    with pytest.raises(ValueError, match="unknown 'deep'. Known: same, other"):
        build_probe("deep", ModelConfig(), spec, 1)
