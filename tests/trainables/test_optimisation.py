"""The optimisation attack: its loss by hand, recovery from plain encoders, what it leaves alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainables.attackers.base import Target
from trainables.attackers.optimisation import (
    OptimisationAttacker,
    OptimisationConfig,
    Pyramid,
    optimisation_loss,
)
from trainables.encodings import CodeBatch
from trainables.nets.config import ModelConfig
from trainables.nets.layers import CodeSpec

CPU = torch.device("cpu")


def standardised(images):
    """The image as a code."""
    return (images - 0.5) / 0.25


def make_attacker(encode=standardised, size=16, features=None, **more):
    target = Target(CodeSpec("input", (3, size, size)), ModelConfig(width=0.125), size, size, (),
                    (), (), CPU, features=features, encode=encode)  # fmt: skip
    settings = {"name": "optimisation", "steps": 150, "step_size": 0.1} | more
    return OptimisationAttacker(OptimisationConfig(**settings), target)


def make_images(count=6, size=16, seed=0):
    """Smooth random images, neither black nor white."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    return 0.1 + 0.8 * F.interpolate(coarse, (size, size), mode="bilinear")


def make_batch(encode=standardised, **more):
    images = make_images(**more)
    with torch.no_grad():
        codes = encode(images)
    count = len(images)
    return CodeBatch(
        codes, images, torch.zeros(count, 2), torch.arange(count), torch.rand(count, 4)
    )


def test_loss_by_hand():
    images = torch.zeros(2, 3, 2, 2)
    images[1, 0] = torch.tensor([[0.0, 1.0], [0.0, 1.0]])  # two steps of height 1 across
    found = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    codes = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    losses = optimisation_loss(found, codes, images, 6.0)
    # Squared distances 4/2 and 1/2; total variations 0 and 2, over 12 values.
    torch.testing.assert_close(losses, torch.tensor([2.0, 0.5 + 6 * 2 / 12]))


def test_the_image_is_recovered_from_an_encoder_that_sends_it():
    scores = make_attacker().evaluate([make_batch()])
    assert scores.score > 0.99
    assert scores.metrics["mse"] < 1e-4


def test_a_random_convolution_is_inverted():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.LeakyReLU(0.1))
    net.requires_grad_(False)

    def encode(images):
        return 5 * net(images - 0.5)

    batch = make_batch(encode)
    grey = F.mse_loss(torch.full_like(batch.images, 0.5), batch.images)
    found = make_attacker(encode, steps=300, tv_weight=0.5).reconstruct(batch.codes)
    assert F.mse_loss(found, batch.images) < 0.1 * grey


def test_an_encoder_that_sends_nothing_leaves_grey():
    def encode(images):
        return 0 * images.mean(dim=(1, 2, 3)).unsqueeze(1)

    found = make_attacker(encode, steps=20).reconstruct(torch.zeros(2, 1))
    torch.testing.assert_close(found, torch.full((2, 3, 16, 16), 0.5))


def test_the_encoder_is_left_as_it_was():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4)).eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    batch = make_batch(net)
    make_attacker(net, steps=5).evaluate([batch])
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(weight.grad is None for weight in net.parameters())


def test_an_image_is_rebuilt_the_same_whatever_its_batch_and_every_time():
    batch, attacker = make_batch(), make_attacker(steps=30)
    whole = attacker.reconstruct(batch.codes)
    with torch.no_grad():  # as a caller may have it
        alone = attacker.reconstruct(batch.codes[2:3])
    torch.testing.assert_close(alone, whole[2:3], atol=1e-5, rtol=0)
    assert torch.equal(whole, attacker.reconstruct(batch.codes))
    assert not whole.requires_grad
    assert 0 <= whole.min() <= whole.max() <= 1


def test_only_the_first_images_are_tried():
    asked = []

    def batches():
        for index in range(3):
            asked.append(index)
            yield make_batch(seed=index)

    attacker = make_attacker(steps=10, num_images=8)
    scores = attacker.evaluate(batches())
    assert scores.per_image.shape == (8,)
    assert asked == [0, 1]  # the third batch was never encoded
    first = [make_batch(seed=0), CodeBatch(*(part[:2] for part in make_batch(seed=1)))]
    expected = make_attacker(steps=10, num_images=99).evaluate(first)
    torch.testing.assert_close(scores.per_image, expected.per_image, atol=1e-5, rtol=0)
    assert attacker.monitor(batches()) == pytest.approx(scores.metrics["ssim"])


def test_parts_that_nobody_asked_for_may_be_missing():
    batch = make_batch()._replace(people=None, features=None)
    assert len(make_attacker(steps=2, num_images=3).evaluate([batch]).per_image) == 3


def test_faces_are_scored_where_there_is_an_identity_model():
    def features(images):
        return images.flatten(1) - 0.5

    batch = make_batch()
    told = batch._replace(features=features(batch.images))
    scores = make_attacker(features=features).evaluate([told])
    assert scores.score == scores.metrics["face_similarity"] > 0.99


@pytest.mark.parametrize(("height", "width"), [(16, 16), (33, 17), (216, 176), (2, 2)])
def test_pyramids_of_any_size_start_grey(height, width):
    pyramid = Pyramid(2, height, width, CPU)
    torch.testing.assert_close(pyramid.images(), torch.full((2, 3, height, width), 0.5))
    assert pyramid.levels[0].shape == (2, 3, height, width)
    assert min(pyramid.levels[-1].shape[2:]) >= min(3, height, width)


def test_an_encoder_without_gradients_is_refused():
    with pytest.raises(ValueError, match="'optimisation' follows the encoder's gradients"):
        make_attacker(None)


def test_it_neither_trains_nor_counts_as_black_box():
    attacker = make_attacker()
    assert not attacker.trains
    assert attacker.config.white_box
    assert not attacker.config.counts
    assert attacker.config.kind == "reconstruction"
    assert attacker.nets() == {}
    attacker.load_state_dict(attacker.state_dict())
    attacker.set_rate(1e-3)
    with pytest.raises(RuntimeError, match="does not train"):
        attacker.train_step(make_batch())
