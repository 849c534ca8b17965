"""Encoders that need no training, and the one that nobody defends."""

import math

import pytest
import torch

from tests.trainables.protector_probe import (
    Drawn,
    every_weight_moved,
    forbidden,
    make_batch,
    make_setting,
    moved,
    snapshot,
)
from trainables.frozen import identity_encoder
from trainables.nets.backbones import CodeSpec
from trainables.nets.config import ModelConfig
from trainables.nets.fixed import GaussianNoise, MeanBlur
from trainables.protectors import PROTECTORS
from trainables.protectors.baselines import BlurConfig, NoiseConfig

SCENE = ModelConfig(backbone="scene", width=0.125)
VGG = ModelConfig(backbone="vgg16", width=0.125, head_width=32)


def make(name, model=None, setting=None, **values):
    torch.manual_seed(0)
    entry = PROTECTORS[name]
    config = entry.config(rounds=10, batch_size=8, **values)
    return entry.build(config, make_setting(model, **{"private": (), **(setting or {})}))


@pytest.mark.parametrize("model", [None, SCENE, VGG], ids=["resnet", "scene", "vgg"])
@pytest.mark.parametrize("name", ["identity", "blur", "noise"])
def test_a_fixed_encoder_trains_the_service_alone(name, model):
    protector, drawn = make(name, model), Drawn()
    assert not protector.needs_public
    assert not list(protector.encoder.parameters())
    before = snapshot(protector)
    terms = protector.round(drawn, forbidden, measure=True)
    assert moved(before, snapshot(protector)) == ({"head"}, {"head"})
    assert every_weight_moved(protector, before, "head")
    assert set(terms) == {"utility_loss", "gradient_norm/head"}
    assert drawn.balanced == [()]
    assert protector.utility_logits(make_batch().images).shape == (8, 2)
    assert protector.in_loop_decoder() is None
    assert protector.in_loop_classifier() is None


@pytest.mark.parametrize("name", ["identity", "blur", "noise"])
def test_the_service_learns_on_the_code_it_is_given(name):
    protector, one, seen = make(name), make_batch(), []
    protector.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    def same(balanced=()):
        return one

    first = protector.round(same, forbidden)["utility_loss"]
    for _ in range(30):
        last = protector.round(same, forbidden)["utility_loss"]
    assert last < 0.85 * first
    assert seen[0].shape[1:] == protector.code.shape
    if name == "identity":
        assert torch.equal(seen[0], one.images)
    # Noise is drawn anew for every round, and the others have none.
    assert torch.equal(seen[0], seen[1]) == (name != "noise")


def test_rounds_of_noise_repeat():
    seen = []
    for _ in range(2):
        protector, drawn = make("noise"), Drawn()
        codes = []
        protector.head.register_forward_pre_hook(lambda _, inputs, c=codes: c.append(inputs[0]))
        for _ in range(2):
            protector.round(drawn, forbidden)
        seen.append(torch.cat(codes))
    assert torch.equal(*seen)


def test_the_identity_sends_the_image_itself():
    protector, images = make("identity"), make_batch().images
    assert protector.code == CodeSpec("input", (3, 32, 32)) == identity_encoder(32, 32).spec
    assert protector.encoder(images) is images


def plain_blur(images, radius):
    """The mean of what lies within the radius, at every eighth pixel, one by one."""
    height, width = images.shape[2:]
    out = torch.zeros(*images.shape[:2], height // 8, width // 8)
    for i in range(height // 8):
        for j in range(width // 8):
            rows = slice(max(0, 8 * i - radius), 8 * i + radius + 1)
            columns = slice(max(0, 8 * j - radius), 8 * j + radius + 1)
            out[:, :, i, j] = images[:, :, rows, columns].mean(dim=(2, 3))
    return out


@pytest.mark.parametrize(
    ("kernel", "radius"), [(0.05, 0), (0.32, 2), (0.5, 4), (120 / 224, 4), (1.0, 8)]
)
def test_blur_is_a_mean_filter_at_every_eighth_pixel(kernel, radius):
    images = torch.rand(2, 3, 16, 24)
    blur = MeanBlur(16, 24, kernel)
    assert blur.radius == radius
    torch.testing.assert_close(blur(images), plain_blur(images, radius))
    assert blur(images).shape == (2, 3, 2, 3)


def test_blur_of_a_constant_is_that_constant_up_to_the_border():
    constant = torch.full((1, 3, 32, 32), 0.7)
    torch.testing.assert_close(MeanBlur(32, 32, 0.6)(constant), torch.full((1, 3, 4, 4), 0.7))


def test_the_papers_blur():
    blur = MeanBlur(224, 224, BlurConfig().kernel)
    assert 2 * blur.radius + 1 == 121
    image = torch.zeros(1, 3, 224, 224)
    image[:, :, 112, 112] = 1
    out = blur(image)
    assert out.shape == (1, 3, 28, 28)
    # One pixel in 121 x 121, seen from all places less than 61 pixels away: 7 steps to each side.
    assert out[0, 0, 14, 14].item() == pytest.approx(1 / 121**2)
    assert (out[0, 0] > 0).sum() == 15 * 15
    assert make("blur").code == CodeSpec("image", (3, 4, 4))


@pytest.mark.parametrize(("height", "width"), [(36, 32), (32, 36)])
def test_blur_needs_eighths(height, width):
    with pytest.raises(ValueError, match=f"multiples of 8 pixels, got {height}x{width}"):
        MeanBlur(height, width, 0.5)
    with pytest.raises(ValueError, match=f"multiples of 8 pixels, got {height}x{width}"):
        BlurConfig().check_fits(ModelConfig(), height, width, 0)
    BlurConfig().check_fits(ModelConfig(), 32, 40, 0)


def test_noise_is_decided_by_its_seed_and_as_strong_as_sigma():
    images = make_batch(size=16).images
    noise = GaussianNoise(0.4)
    once = noise.noisy(images, 1)
    torch.manual_seed(99)  # nothing else decides
    assert torch.equal(noise.noisy(images, 1), once)
    other = noise.noisy(images, 2)
    added, more = (once - images).flatten(), (other - images).flatten()
    for values in (added, more):
        assert values.mean().item() == pytest.approx(0, abs=0.01)
        assert values.std().item() == pytest.approx(0.4, rel=0.02)
    assert torch.corrcoef(torch.stack([added, more]))[0, 1].abs() < 0.02
    assert once.min() < 0  # not clipped
    assert once.max() > 1
    assert torch.equal(noise(images), noise.noisy(images, 0))


def test_sigma_reaches_the_code():
    assert make("noise", sigma=0.7).encoder.sigma == 0.7
    assert make("blur", kernel=0.25).encoder.radius == 4
    for config, wrong in ((NoiseConfig, {"sigma": 0}), (BlurConfig, {"kernel": 1.1})):
        with pytest.raises(ValueError):  # noqa: PT011  pydantic's words
            config(**wrong)


def test_nobody_defends_the_undefended():
    protector, drawn = make("none"), Drawn()
    before = snapshot(protector)
    terms = protector.round(drawn, forbidden, measure=True)
    both = {"encoder", "head"}
    assert moved(before, snapshot(protector)) == (both, both)
    assert set(terms) == {"utility_loss", "gradient_norm/encoder", "gradient_norm/head"}


@pytest.mark.parametrize(
    ("utility", "num_categories", "asked"),
    [((0, 2), 0, ()), ((0, 2), 4, (0, 2)), ((0,), 4, (0,)), ((0, 1, 2), 4, (0, 1, 2)),
     ((0, 1, 2, 3), 4, ())],
)  # fmt: skip
@pytest.mark.parametrize("name", ["none", "identity"])
def test_categories_are_balanced_and_the_rest_is_a_part(name, utility, num_categories, asked):
    setting = {"utility": utility, "num_categories": num_categories}
    protector, drawn = make(name, setting=setting), Drawn(attributes=4)
    protector.round(drawn, forbidden)
    assert drawn.balanced == [asked]


def test_utility_loss_of_categories_counts_yes_and_no_the_same():
    # Two of four categories are predicted: a third of each batch has the first. Weights
    # 0.5 / (1/3) = 1.5 and 0.5 / (2/3) = 0.75; log 3 says yes with 3/4.
    logits = torch.tensor([[math.log(3)]] * 3).expand(-1, 2)
    labels = torch.eye(3)[:, :2]
    protector = make("none", setting={"num_categories": 4})
    expected = (1.5 * math.log(4 / 3) + 2 * 0.75 * math.log(4)) / 3
    assert protector.utility_loss(logits, labels).item() == pytest.approx(expected)
    # All of four: a quarter each, there is no rest. Weights 2 and 2/3.
    whole = make("none", setting={"utility": (0, 1, 2, 3), "num_categories": 4})
    loss = whole.utility_loss(torch.full((4, 4), math.log(3)), torch.eye(4)).item()
    assert loss == pytest.approx((2 * math.log(4 / 3) + 3 * (2 / 3) * math.log(4)) / 4)
    # Attributes that are no categories are not weighted.
    loss = make("none").utility_loss(logits, labels).item()
    assert loss == pytest.approx((math.log(4 / 3) + 2 * math.log(4)) / 3)
