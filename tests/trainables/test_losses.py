"""Each loss term against a value worked out by hand."""

import math

import pytest
import torch

from trainables.losses import (
    adversarial_loss,
    balanced_attribute_loss,
    discriminator_loss,
    perceptual_loss,
    pixel_loss,
    utility_loss,
)


def test_pixel_loss_is_the_mean_over_pixels_and_images():
    image = torch.zeros(2, 3, 2, 2)
    rebuilt = image.clone()
    rebuilt[0] = 0.5  # one image of the two is off by 0.5 everywhere
    assert pixel_loss(rebuilt, image).item() == pytest.approx(0.25 / 2)


def test_perceptual_loss_averages_layers_not_elements():
    small, large = torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 10, 10)
    # Layer means 4 and 1: averaged over layers 2.5, whatever the layers' sizes.
    assert perceptual_loss([small + 2, large + 1], [small, large]).item() == pytest.approx(2.5)


def test_adversarial_loss_is_log_one_minus_d():
    logits = torch.tensor([0.0, math.log(3)])  # D = 0.5 and 0.75
    expected = (math.log(0.5) + math.log(0.25)) / 2
    assert adversarial_loss(logits).item() == pytest.approx(expected)
    non_saturating = -(math.log(0.5) + math.log(0.75)) / 2
    assert adversarial_loss(logits, saturating=False).item() == pytest.approx(non_saturating)


def test_discriminator_loss_takes_logits_once():
    real, fake = torch.tensor([math.log(3)]), torch.tensor([math.log(1 / 3)])
    # D(real) = 0.75, D(fake) = 0.25; a second sigmoid would give another value.
    assert discriminator_loss(real, fake).item() == pytest.approx(-2 * math.log(0.75))


def test_large_logits_give_finite_losses():
    huge = torch.tensor([1e4, -1e4])
    for value in (adversarial_loss(huge), adversarial_loss(huge, False)):
        assert torch.isfinite(value)
    assert torch.isfinite(discriminator_loss(huge, huge))


def test_utility_loss_averages_binary_cross_entropy_over_attributes():
    logits = torch.tensor([[0.0, math.log(3)]])
    labels = torch.tensor([[1.0, 0.0]])
    expected = (-math.log(0.5) - math.log(0.25)) / 2
    assert utility_loss(logits, labels).item() == pytest.approx(expected)


def test_balanced_loss_counts_both_classes_the_same():
    # One positive of four: weights 0.5 / 0.25 = 2 and 0.5 / 0.75 = 2/3.
    labels = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
    rate = torch.tensor([0.25])
    always_no = torch.full((4, 1), -math.log(3))  # p = 0.25 for everyone
    expected = (2 * -math.log(0.25) + 3 * (2 / 3) * -math.log(0.75)) / 4
    assert balanced_attribute_loss(always_no, labels, rate).item() == pytest.approx(expected)
    undecided = balanced_attribute_loss(torch.zeros(4, 1), labels, rate)
    # Leaning towards the majority must not pay.
    assert undecided < balanced_attribute_loss(always_no, labels, rate)
