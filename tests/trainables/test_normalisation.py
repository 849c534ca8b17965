"""Per-location statistics against a plain reimplementation, and what a style replaces."""

import pytest
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock

from trainables.nets.backbones import build_encoder
from trainables.nets.config import EncoderStyle, ModelConfig
from trainables.nets.modes import frozen
from trainables.nets.normalisation import ChannelBias, PerLocationNorm, restyle

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def plain(x, mean, variance):
    return (x - mean) / (variance + 1e-5).sqrt()


def maps(seed, batch, layout):
    torch.manual_seed(seed)
    # Each location has its own mean and scale, so that statistics over positions would differ.
    x = torch.randn(batch, 3, 4, 5) * (1 + torch.rand(3, 4, 5)) + torch.randn(3, 4, 5)
    return x.contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [2, 7])
def test_training_normalises_each_location_over_the_batch(batch, layout):
    x = maps(0, batch, layout)
    out = PerLocationNorm(3, 4, 5).train()(x)
    torch.testing.assert_close(out, plain(x, x.mean(0), x.var(0, correction=0)))
    assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_evaluation_uses_the_running_statistics(layout):
    norm = PerLocationNorm(3, 4, 5).train()
    mean, variance = torch.zeros(3, 4, 5), torch.ones(3, 4, 5)
    for seed in range(3):
        x = maps(seed, 6, layout)
        norm(x)
        # As batch normalisation does it: momentum 0.1, unbiased variance.
        mean = 0.9 * mean + 0.1 * x.mean(0)
        variance = 0.9 * variance + 0.1 * x.var(0, correction=1)
    x = maps(9, 1, layout)
    torch.testing.assert_close(norm.eval()(x), plain(x, mean, variance))


def test_the_bias_is_one_value_per_location_and_learns():
    norm = PerLocationNorm(3, 4, 5, bias=True)
    assert [tuple(weight.shape) for weight in norm.parameters()] == [(3, 4, 5)]
    x = maps(0, 4, torch.channels_last)
    without = norm(x)
    nn.init.normal_(norm.bias)
    out = norm(x)
    torch.testing.assert_close(out, without + norm.bias)
    assert out.is_contiguous(memory_format=torch.channels_last)
    out.sum().backward()
    torch.testing.assert_close(norm.bias.grad, torch.full((3, 4, 5), 4.0))
    assert not list(PerLocationNorm(3, 4, 5).parameters())


def test_a_code_the_same_for_all_images_becomes_zero():
    # What batch normalisation lets through: it differs from place to place only.
    same = torch.randn(1, 3, 4, 5).expand(6, -1, -1, -1)
    torch.testing.assert_close(
        PerLocationNorm(3, 4, 5)(same), torch.zeros(6, 3, 4, 5), atol=1e-3, rtol=0
    )
    assert nn.BatchNorm2d(3, affine=False)(same).abs().mean() > 0.5


def test_gradients_are_those_of_the_plain_formula():
    norm = PerLocationNorm(2, 3, 2).double()
    x = torch.randn(4, 2, 3, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(norm, (x,))


def test_one_image_is_refused_in_training_only():
    norm = PerLocationNorm(3, 4, 5)
    with pytest.raises(ValueError, match="need at least 2 images in a training batch, got 1"):
        norm(torch.rand(1, 3, 4, 5))
    assert norm.eval()(torch.rand(1, 3, 4, 5)).shape == (1, 3, 4, 5)


def test_another_size_is_refused_naming_both():
    with pytest.raises(ValueError, match=r"maps 3x4x5, got 3x5x4"):
        PerLocationNorm(3, 4, 5)(torch.rand(2, 3, 5, 4))


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_frozen_leaves_its_statistics_alone(batch_statistics):
    norm = PerLocationNorm(3, 4, 5, bias=True).train()
    norm(maps(0, 6, torch.channels_last))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    x = maps(1, 6, torch.channels_last).requires_grad_()
    with frozen(norm, batch_statistics=batch_statistics):
        out = norm(x)
    out.square().sum().backward()
    assert x.grad is not None
    assert norm.bias.grad is None
    for name, value in norm.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert norm.training
    assert (out.mean(0).abs().max() < 1e-5) == batch_statistics
    norm(x)
    assert int(norm.norm.num_batches_tracked) == int(before["norm.num_batches_tracked"]) + 1


def kinds(encoder):
    parts = (nn.BatchNorm1d, nn.BatchNorm2d, PerLocationNorm, nn.Tanh)
    found = [part for part in encoder.modules() if isinstance(part, parts)]
    # The batch normalisation within a per-location one is no layer of its own.
    inner = {id(part.norm) for part in found if isinstance(part, PerLocationNorm)}
    return [part for part in found if id(part) not in inner]


def styled(normalisation, constrained=True, **model):
    config = ModelConfig(**{"backbone": "resnet18", "cut_point": "conv3", "width": 0.125, **model})
    style = EncoderStyle(normalisation=normalisation, constrained=constrained)
    return build_encoder(config, 32, 48, style)


def test_per_location_has_the_size_of_each_map_and_no_parameters():
    encoder = styled("per_location")
    # The stem at 16x24, pooled to 8x12 for two blocks, then two at 4x6 with a projection, the code.
    shapes = [(8, 16, 24), *[(8, 8, 12)] * 4, *[(16, 4, 6)] * 5, (16, 4, 6)]
    norms = kinds(encoder)
    assert [part.shape for part in norms[:-1]] == shapes
    assert isinstance(norms[-1], nn.Tanh)
    assert all(weight.ndim == 4 for weight in encoder.parameters())
    assert sum(isinstance(part, BasicBlock) for part in encoder.modules()) == 4


def test_only_the_inner_layers_get_biases():
    *inner, output, _ = kinds(styled("per_location_bias"))
    assert len(inner) == 10
    assert all(part.bias is not None for part in inner)
    assert isinstance(output, PerLocationNorm)
    assert output.bias is None


def test_batch_has_no_scale_and_no_bias():
    norms = kinds(styled("batch"))
    assert [type(part) for part in norms] == [nn.BatchNorm2d] * 11 + [nn.Tanh]
    assert not any(part.affine for part in norms[:-1])


def test_none_keeps_the_output_constraint_alone():
    output, tanh = kinds(styled("none"))
    assert isinstance(output, PerLocationNorm)
    assert isinstance(tanh, nn.Tanh)
    assert kinds(styled("none", constrained=False)) == []


def test_none_with_biases_has_one_per_channel_and_they_learn():
    encoder = styled("none_bias").train()
    biases = [part.bias for part in encoder.modules() if isinstance(part, ChannelBias)]
    assert [tuple(bias.shape) for bias in biases] == [(8,)] * 5 + [(16,)] * 5
    images = torch.rand(4, 3, 32, 48)
    before = encoder(images)
    with torch.no_grad():
        biases[0] += 1
    assert not torch.equal(encoder(images), before)
    encoder(images).square().sum().backward()
    assert all(bias.grad is not None and bias.grad.abs().sum() > 0 for bias in biases)


def test_standard_is_the_backbone_and_constrained_adds_two_layers():
    plain_kinds = kinds(styled("standard", constrained=False))
    assert [type(part) for part in plain_kinds] == [nn.BatchNorm2d] * 10
    assert all(part.affine for part in plain_kinds)
    norms = kinds(styled("standard"))
    assert [type(part) for part in norms] == [nn.BatchNorm2d] * 11 + [nn.Tanh]
    assert [part.affine for part in norms[:-1]] == [True] * 10 + [False]


@pytest.mark.parametrize(
    "normalisation", ["standard", "per_location", "batch", "none", "none_bias"]
)
def test_vector_codes_are_constrained_over_the_batch(normalisation):
    encoder = styled(normalisation, cut_point="fc", code_width=6).train()
    code = encoder[:-1](torch.rand(64, 3, 32, 48))
    torch.testing.assert_close(code.mean(0), torch.zeros(6), atol=1e-4, rtol=0)
    assert isinstance(encoder[-2], nn.BatchNorm1d)
    assert not encoder[-2].affine
    biases = [name for name, _ in encoder.named_parameters() if name.endswith("bias")]
    assert bool(biases) == (normalisation in ("standard", "none_bias"))


def test_restyling_draws_no_random_numbers_and_keeps_mode_and_weights():
    encoder = styled("standard", constrained=False).train()
    weights = [w.clone() for w in encoder.parameters() if w.ndim == 4]
    state = torch.get_rng_state()
    restyle(encoder, EncoderStyle(normalisation="per_location_bias", constrained=True), 32, 48)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(part.training for part in encoder.modules())
    kept = [w for w in encoder.parameters() if w.ndim == 4]
    assert all(torch.equal(a, b) for a, b in zip(weights, kept, strict=True))
    fresh = [norm.norm.running_mean for norm in kinds(encoder)[:-1]]
    assert all(not mean.any() for mean in fresh)
