"""The generative attack: its terms by hand, who moves when, the fit, and an exact resume."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainables.attackers.base import Target
from trainables.attackers.decoder import DecoderAttacker, DecoderConfig
from trainables.attackers.generative import GenerativeAttacker, GenerativeConfig, Goal
from trainables.encodings import CodeBatch
from trainables.nets.config import ModelConfig
from trainables.nets.generator import (
    Blend,
    Generator,
    Inference,
    Latent,
    build_mapper,
    latent_shape,
)
from trainables.nets.layers import CodeSpec

CPU = torch.device("cpu")
IDENTITY = CodeSpec("input", (3, 16, 16))
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
SMALL = {"name": "generative", "mu2": 0.0, "latent_channels": 4, "prior_steps": 4, "fit_steps": 3}


class Edges(nn.Module):
    """A perceptual network that needs no training."""

    def forward(self, images):
        return [images.diff(dim=2), images.diff(dim=3)]


def make_attacker(spec=IDENTITY, perceptual=None, size=16, seed=0, features=None, **more):
    torch.manual_seed(seed)
    target = Target(spec, ModelConfig(width=0.125), size, size, (), (), (), CPU, perceptual,
                    features=features)  # fmt: skip
    return GenerativeAttacker(GenerativeConfig(**(SMALL | more)), target)


def make_batch(seed=0, count=8, size=16, spec=IDENTITY):
    """Blocky random images; the code is the image, or random."""
    generator = torch.Generator().manual_seed(seed)
    images = F.interpolate(torch.rand(count, 3, 4, 4, generator=generator), (size, size))
    codes = 4 * (images - 0.5)
    if spec != IDENTITY:
        codes = torch.randn(count, *spec.shape, generator=generator)
    return CodeBatch(codes, images, torch.zeros(count, 1))


def moved(before, after):
    """Names of nets of which weights moved, and of those of which running statistics did."""
    weights, statistics = set(), set()
    for name, state in after.items():
        for key, value in state.items():
            if not torch.equal(value, before[name][key]):
                (statistics if key.endswith(BUFFERS) else weights).add(name)
    return weights, statistics


def test_divergence_by_hand():
    latent = Latent(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    # Σ (μ² + σ² − 1 − log σ²)/2: (1 + 4)/2 and (e − 1 − 1)/2.
    torch.testing.assert_close(latent.divergence(), torch.tensor([2.5, (math.e - 2) / 2]))


def test_samples_have_the_latents_mean_and_deviation():
    shape = (20000, 1, 1, 1)
    latent = Latent(torch.full(shape, 3.0), torch.full(shape, math.log(0.25)))
    drawn = latent.sample(torch.Generator().manual_seed(0))
    assert drawn.mean().item() == pytest.approx(3, abs=0.02)
    assert drawn.std().item() == pytest.approx(0.5, abs=0.02)


def test_fit_loss_by_hand():
    attacker = make_attacker(perceptual=Edges(), mu2=0.5, beta=0.1)
    goal = Goal(torch.zeros(1, 3, 16, 16), attacker.perceptual)
    rebuilt = torch.full((1, 3, 16, 16), 0.5)
    rebuilt[:, :, 8:] = 0.0
    latents = torch.full((1, 4, 2, 2), 3.0)
    # Half of the pixels are 1/2 off. One of 15 rows of differences is −1/2, no column is; the
    # perceptual loss is the mean of both layers. |w|² is 16·9, there are 768 values.
    pixel, perceptual, penalty = 0.125, (0.25 / 15) / 2, 144 / (2 * 768)
    expected = pixel + 0.5 * perceptual + 0.1 * penalty
    assert attacker._fit_loss(rebuilt, latents, goal).item() == pytest.approx(expected)


def test_prior_mapper_and_blend_take_turns_until_the_prior_stands():
    attacker = make_attacker()
    learned = []
    for step in range(6):
        before = attacker.weights()
        attacker.train_step(make_batch(step))
        learned.append(moved(before, attacker.weights()))
    prior = ({"coarse", "inference", "generator"}, {"inference", "generator", "coarse"})
    # The coarse decoder of an identity code has one normalisation, at its entry.
    rest = ({"coarse", "mapper", "blend"}, {"coarse", "mapper"})
    assert learned == [prior, rest, prior, rest, rest, rest]


def test_every_weight_learns():
    attacker = make_attacker()
    before = attacker.weights()
    for step in range(6):
        attacker.train_step(make_batch(step))
    after = attacker.weights()
    for name, net in attacker.nets().items():
        still = [
            k for k, _ in net.named_parameters() if torch.equal(before[name][k], after[name][k])
        ]
        assert still == [], name


def test_the_answer_begins_as_the_mirror_decoders():
    attacker = make_attacker()
    batch = make_batch()
    attacker.train_step(batch)  # a turn of the prior: the blend has learned nothing yet
    attacker.coarse.eval()
    with torch.no_grad():
        coarse = attacker.coarse(batch.codes)
    assert torch.equal(attacker.reconstruct(batch.codes), coarse)


def test_the_coarse_decoder_learns_as_the_decoder_attack_does():
    attacker = make_attacker()
    target = Target(IDENTITY, ModelConfig(width=0.125), 16, 16, (), (), (), CPU)
    mirror = DecoderAttacker(DecoderConfig(name="decoder"), target)
    mirror.decoder.load_state_dict(attacker.coarse.state_dict())
    for step in range(3):
        attacker.train_step(make_batch(step))
        mirror.train_step(make_batch(step))
    for key, value in mirror.decoder.state_dict().items():
        torch.testing.assert_close(value, attacker.coarse.state_dict()[key])


def test_the_fit_comes_nearer_to_the_coarse_picture_and_moves_no_net():
    attacker = make_attacker(prior_steps=60, perceptual=Edges(), mu2=0.1, beta=0.0)
    attacker.set_rate(3e-3)
    for step in range(60):
        attacker.train_step(make_batch(step))
    for net in attacker.nets().values():
        net.eval()
    before = attacker.weights()
    with torch.no_grad():
        # A picture that the generator can draw, and a start away from its latent.
        latents = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(1))
        picture, start = attacker.generator(latents), torch.zeros_like(latents)
        goal = Goal(picture, attacker.perceptual)
        losses = [
            attacker._fit_loss(attacker.generator(w), w, goal).item()
            for w in (start, attacker._fit(start, picture, 60))
        ]
    assert losses[1] < 0.1 * losses[0]
    assert moved(before, attacker.weights()) == (set(), set())
    assert all(p.requires_grad for net in attacker.nets().values() for p in net.parameters())


def test_a_strong_prior_pulls_the_fit_to_its_mean():
    attacker = make_attacker(beta=1e4, fit_rate=0.1)
    start = torch.full((2, 4, 2, 2), 2.0)
    fitted = attacker._fit(start, torch.rand(2, 3, 16, 16), 100)
    assert fitted.abs().max() < 0.2


def test_reconstructions_are_repeatable_and_each_images_own():
    attacker = make_attacker()
    for step in range(6):
        attacker.train_step(make_batch(step))
    codes = make_batch(9).codes
    whole = attacker.reconstruct(codes)
    assert torch.equal(whole, attacker.reconstruct(codes))
    torch.testing.assert_close(attacker.reconstruct(codes[3:4]), whole[3:4], atol=1e-5, rtol=0)
    assert not whole.requires_grad
    assert 0 <= whole.min() <= whole.max() <= 1


@pytest.mark.parametrize("done", [3, 5], ids=["prior learns", "prior stands"])
def test_a_resumed_attack_goes_on_with_the_same_numbers(done):
    straight = make_attacker()
    for step in range(done):
        straight.train_step(make_batch(step))
    state = copy.deepcopy(straight.state_dict())  # as a file would hold it
    resumed = make_attacker(seed=77)  # other weights and another noise before it is loaded
    resumed.load_state_dict(state)
    torch.rand(13)  # nor does the common generator matter
    for step in range(done, done + 3):
        straight.train_step(make_batch(step))
        resumed.train_step(make_batch(step))
    assert moved(straight.weights(), resumed.weights()) == (set(), set())
    assert resumed.steps == straight.steps == done + 3
    batch = make_batch(99)
    assert resumed.evaluate([batch]).metrics == straight.evaluate([batch]).metrics
    assert resumed.monitor([batch]) == straight.monitor([batch])


def test_images_are_learned_from_a_code_that_holds_them():
    attacker = make_attacker(prior_steps=20)
    attacker.set_rate(3e-3)
    test = make_batch(1000, count=32)
    start = attacker.evaluate([test]).score
    for step in range(150):
        attacker.train_step(make_batch(step + 1, count=16))
    scores = attacker.evaluate([test])
    assert scores.score > max(0.8, start + 0.2)
    assert attacker.monitor([test]) == pytest.approx(scores.score, abs=0.05)


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        (CodeSpec("vector", (8,)), 16),
        (CodeSpec("input", (3, 33, 33)), 33),
        (CodeSpec("conv1", (8, 9, 9)), 36),
        (CodeSpec("conv3", (8, 6, 6)), 48),
        (CodeSpec("conv4", (16, 2, 2)), 32),
        (CodeSpec("pool2", (8, 8, 8)), 32),
    ],
    ids=str,
)
def test_any_code_and_image_size(spec, size):
    attacker = make_attacker(spec, size=size)
    for step in range(2):
        attacker.train_step(make_batch(step, 4, size, spec))
    batch = make_batch(5, 3, size, spec)
    assert attacker.reconstruct(batch.codes).shape == (3, 3, size, size)


def test_oblong_images():
    shape = latent_shape(5, 20, 12)
    assert shape == (5, 3, 2)
    latent = Inference(5, 20, 12, 4)(torch.rand(2, 3, 20, 12))
    assert latent.mean.shape == latent.log_variance.shape == (2, *shape)
    assert Generator(5, 20, 12, 4)(latent.mean).shape == (2, 3, 20, 12)
    mapper = build_mapper(CodeSpec("input", (3, 20, 12)), shape, 4)
    assert mapper(torch.rand(2, 3, 20, 12)).shape == (2, *shape)


def test_blend_starts_with_its_first_picture():
    first, second = torch.rand(2, 2, 3, 8, 8)
    assert torch.equal(Blend(4)(first, second), first)


def test_faces_are_scored_where_there_is_an_identity_model():
    attacker = make_attacker(features=lambda images: images.flatten(1))
    scores = attacker.evaluate([make_batch()])
    assert scores.score == scores.metrics["face_similarity"]
    assert attacker.monitor([make_batch()]) == pytest.approx(scores.score, abs=1e-3)


def test_a_perceptual_term_without_network_is_refused():
    with pytest.raises(ValueError, match="'generative' has mu2 > 0"):
        make_attacker(mu2=0.1)
    assert GenerativeConfig(name="generative").needs_perceptual
    assert not GenerativeConfig(**SMALL).needs_perceptual
