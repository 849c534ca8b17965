"""Shapes of every cut, what mirrors what, and what freezing leaves alone."""

from typing import get_args

import pytest
import torch
from torch import nn
from torchvision.models import resnet18, resnet50

from trainables.costs import encoder_costs
from trainables.nets.backbones import (
    CodeSpec,
    build_adversary,
    build_classifier,
    build_encoder,
    code_spec,
    stage_channels,
)
from trainables.nets.config import (
    CUT_POINTS,
    EncoderStyle,
    ModelConfig,
    Normalisation,
    check_size_fits,
)
from trainables.nets.decoders import build_decoder, build_discriminator
from trainables.nets.modes import frozen

EVERY_CUT = [(backbone, cut) for backbone, cuts in CUT_POINTS.items() for cut in cuts]
NORMALISATIONS = get_args(Normalisation)


@pytest.mark.parametrize("constrained", [False, True])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize(("backbone", "cut_point"), EVERY_CUT)
def test_encoder_classifier_and_decoder_fit_at_every_cut(
    backbone, cut_point, normalisation, constrained
):
    config = ModelConfig(backbone=backbone, width=0.125, cut_point=cut_point, code_width=7)
    height, width = 64, 32
    style = EncoderStyle(normalisation=normalisation, constrained=constrained)
    spec = code_spec(config, height, width)
    images = torch.rand(2, 3, height, width)
    encoder = build_encoder(config, height, width, style)
    codes = encoder(images)
    assert codes.shape[1:] == spec.shape
    if constrained:
        assert codes.abs().max() <= 1
    logits = build_classifier(config, spec, 5)(codes)
    assert logits.shape == (2, 5)
    rebuilt = build_decoder(spec, height, width, 8)(codes)
    assert rebuilt.shape == images.shape
    assert rebuilt.min() >= 0
    assert rebuilt.max() <= 1
    (logits.sum() + rebuilt.sum()).backward()
    for name, weight in encoder.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
    # What was saved can be loaded: the same style gives the same names and shapes.
    build_encoder(config, height, width, style).load_state_dict(encoder.state_dict())


def test_a_cut_is_the_backbones_own_and_the_papers_by_default():
    cuts = {name: ModelConfig(backbone=name).cut_point for name in CUT_POINTS}
    assert cuts == {"resnet18": "fc", "resnet50": "fc", "vgg16": "pool2", "scene": "code"}
    with pytest.raises(ValueError, match="scene can be cut at code, got 'fc'"):
        ModelConfig(backbone="scene", cut_point="fc")


def test_papers_sizes():
    # DeepObfuscator's 216x176 fits conv3; Xiao's default cut is the fc layer.
    check_size_fits("resnet18", "conv3", 216, 176)
    with pytest.raises(ValueError, match="multiples of 16"):
        check_size_fits("resnet18", "conv4", 216, 176)
    check_size_fits("vgg16", "pool2", 216, 176)
    with pytest.raises(ValueError, match="must be 32 pixels or more, got 28x64"):
        check_size_fits("vgg16", "pool2", 28, 64)
    assert code_spec(ModelConfig(), 128, 128).shape == (128,)
    assert stage_channels(ModelConfig(backbone="resnet50"))["conv4"] == 1024


@pytest.mark.parametrize(("name", "theirs"), [("resnet18", resnet18), ("resnet50", resnet50)])
def test_at_width_one_the_backbone_is_torchvisions(name, theirs):
    ours = build_encoder(ModelConfig(backbone=name, cut_point="fc", code_width=10), 64, 64)
    reference = theirs(num_classes=10)
    shapes = [tuple(p.shape) for p in ours.parameters()]
    assert sorted(shapes) == sorted(tuple(p.shape) for p in reference.parameters())
    # Same function, not only same shapes: load their weights in order and compare.
    ours.load_state_dict(dict(zip(ours.state_dict(), reference.state_dict().values(), strict=True)))
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(ours.eval()(images), reference.eval()(images))


def test_decoders_of_plain_vectors_and_images():
    vector, image = CodeSpec("vector", (3,)), CodeSpec("input", (3, 48, 48))
    assert build_decoder(vector, 48, 48, 16)(torch.rand(2, 3)).shape == (2, 3, 48, 48)
    assert build_decoder(image, 48, 48, 16)(torch.rand(2, 3, 48, 48)).shape == (2, 3, 48, 48)
    assert build_classifier(ModelConfig(width=0.125), image, 2)(torch.rand(2, 3, 48, 48)).shape == (
        2,
        2,
    )


def test_decoder_does_not_care_about_the_scale_of_codes():
    spec = CodeSpec("conv3", (8, 4, 4))
    torch.manual_seed(0)
    decoder = build_decoder(spec, 32, 32, 16).train()
    codes = torch.randn(16, 8, 4, 4)
    plain = decoder(codes)
    torch.testing.assert_close(decoder(codes * 1e4 + 7e4), plain, atol=1e-3, rtol=1e-3)
    # An encoder could also make its outputs tiny, which no later attacker would mind.
    torch.testing.assert_close(decoder(codes * 1e-4), plain, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("shape", [(8, 4, 4), (8,)])
def test_in_loop_adversaries_see_tiny_codes_in_full(shape):
    adversary = build_adversary(ModelConfig(width=0.125), CodeSpec("conv4", shape), 2)
    codes = 1e-4 * torch.randn(64, *shape)
    entry = adversary[0].train()
    assert float(entry(codes).std()) == pytest.approx(1, abs=0.02)
    assert entry.momentum == 0.1  # the encoder moves on


@pytest.mark.parametrize("encoder", [nn.Identity(), nn.AvgPool2d(8)])
def test_encoders_without_weights_cost_only_what_they_send(encoder):
    spec = CodeSpec("image", (3, 2, 3))
    costs = encoder_costs(encoder.train(), spec, 16, 24)
    assert costs.pop("cost/latency_ms") > 0
    assert costs == {"cost/parameters": 0, "cost/multiply_adds": 0, "cost/code_bytes": 4 * 18}
    assert encoder.training


def test_costs_of_one_convolution():
    encoder = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.MaxPool2d(2))
    costs = encoder_costs(encoder, CodeSpec("conv1", (5, 8, 4)), 16, 8)
    assert costs["cost/parameters"] == 5 * 3 * 9
    assert costs["cost/multiply_adds"] == 16 * 8 * 5 * 3 * 9
    assert costs["cost/code_bytes"] == 4 * 5 * 8 * 4


def test_discriminator_gives_one_logit_per_image():
    assert build_discriminator(16)(torch.rand(4, 3, 32, 32)).shape == (4,)


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_frozen_passes_gradients_through_and_changes_nothing(batch_statistics):
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    net[0].bias.requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = torch.randn(8, 4, requires_grad=True)
    with frozen(net, batch_statistics=batch_statistics):
        assert not any(p.requires_grad for p in net.parameters())
        out = net(x)
    out.square().sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in net.parameters())
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert net.training
    assert net[0].weight.requires_grad
    assert not net[0].bias.requires_grad
    # Batch statistics: zero mean over this batch. Running ones (0, 1): the linear layer's output.
    if batch_statistics:
        torch.testing.assert_close(out.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    else:
        torch.testing.assert_close(out, net[0](x), atol=1e-4, rtol=1e-4)
