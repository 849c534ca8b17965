"""Each loss term against a value worked out by hand."""

import math

import pytest
import torch
from pytorch_msssim import ms_ssim as library_ms_ssim

from trainables.losses import (
    MS_SSIM_LOSS_FLOOR,
    adversarial_loss,
    balanced_attribute_loss,
    discriminator_loss,
    exclusive_logits,
    exclusive_loss,
    flip_loss,
    ms_ssim_loss,
    perceptual_loss,
    pixel_loss,
    utility_loss,
)
from trainables.ms_ssim import MS_SSIM_WEIGHTS, ms_ssim


def test_pixel_loss_is_the_mean_over_pixels_and_images():
    image = torch.zeros(2, 3, 2, 2)
    rebuilt = image.clone()
    rebuilt[0] = 0.5  # one image of the two is off by 0.5 everywhere
    assert pixel_loss(rebuilt, image).item() == pytest.approx(0.25 / 2)


def test_perceptual_loss_averages_layers_not_elements():
    small, large = torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 10, 10)
    # Layer means 4 and 1: averaged over layers 2.5, whatever the layers' sizes.
    assert perceptual_loss([small + 2, large + 1], [small, large]).item() == pytest.approx(2.5)


def test_perceptual_loss_brings_gradients_back_in_the_layout_of_its_maps():
    torch.manual_seed(0)
    original = torch.rand(2, 4, 3, 3)
    for layout in (torch.channels_last, torch.contiguous_format):
        images = torch.rand(2, 4, 3, 3).contiguous(memory_format=layout).requires_grad_()
        first = images * 2
        second = first * 3
        arrived = []
        second.register_hook(arrived.append)
        perceptual_loss([first, second], [original, original]).backward()
        assert arrived[0].is_contiguous(memory_format=layout)
        # d/dx of the mean over two layers of means over 72 values: (2 (2x-o) 2 + 2 (6x-o) 6) / 144.
        expected = (4 * (2 * images - original) + 12 * (6 * images - original)) / 144
        torch.testing.assert_close(images.grad, expected.detach())


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


LOG3 = math.log(3)
# Says yes with 0.75, no with 0.75, yes with 0.8.
PRIVATE_LOGITS = torch.tensor([[LOG3], [-LOG3], [math.log(4)]])


def test_flip_loss_is_against_the_present_prediction_right_or_wrong():
    # The opposite of each prediction has probability 0.25, 0.25 and 0.2.
    expected = -(2 * math.log(0.25) + math.log(0.2)) / 3
    assert flip_loss(PRIVATE_LOGITS).item() == pytest.approx(expected)


def test_flip_loss_of_an_undecided_classifier_has_a_target():
    undecided = torch.zeros(2, 1, requires_grad=True)
    loss = flip_loss(undecided)
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    # A logit of 0 predicts no, as everywhere: its flip is yes.
    assert undecided.grad.flatten().tolist() == pytest.approx([-0.25, -0.25])


def test_flip_losses_of_several_attributes_are_means():
    logits = torch.cat([PRIVATE_LOGITS, torch.zeros(3, 1)], dim=1)
    one = flip_loss(PRIVATE_LOGITS).item()
    assert flip_loss(logits).item() == pytest.approx((one + math.log(2)) / 2)


# Scores log 1, log 2, log 5 of "first", "second", "none": probabilities 1/8, 2/8, 5/8.
CLASS_SCORES = torch.tensor([[0.0, math.log(2), math.log(5)]])


@pytest.mark.parametrize(
    ("labels", "probability"), [((1.0, 0.0), 1 / 8), ((0.0, 1.0), 2 / 8), ((0.0, 0.0), 5 / 8)]
)
def test_exclusive_loss_has_a_class_for_none(labels, probability):
    loss = exclusive_loss(CLASS_SCORES, torch.tensor([labels]))
    assert loss.item() == pytest.approx(-math.log(probability))


def test_exclusive_loss_averages_over_images():
    both = exclusive_loss(CLASS_SCORES.expand(2, -1), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert both.item() == pytest.approx(-(math.log(1 / 8) + math.log(5 / 8)) / 2)


def test_exclusive_logits_are_those_of_each_class_against_all_others():
    # log(p / (1 - p)): log(1/7) and log(2/6); "none" gets no logit.
    logits = exclusive_logits(CLASS_SCORES)
    assert logits.tolist()[0] == pytest.approx([math.log(1 / 7), math.log(2 / 6)])
    # 0.4 is the likeliest of 0.4, 0.35, 0.25 and yet below 0.5: likelier not to be there.
    close = torch.tensor([[0.4, 0.35, 0.25]]).log()
    assert (exclusive_logits(close) < 0).all()
    assert exclusive_logits(torch.tensor([[0.6, 0.3, 0.1]]).log())[0, 0] > 0
    assert exclusive_logits(torch.zeros(4, 6)).shape == (4, 5)


def test_ms_ssim_loss_is_one_minus_the_mean():
    torch.manual_seed(0)
    image = torch.rand(2, 3, 48, 48)
    rebuilt = (image + 0.1 * torch.randn_like(image)).clamp(0, 1)
    expected = 1 - ms_ssim(rebuilt, image).mean().item()
    assert ms_ssim_loss(rebuilt, image).item() == pytest.approx(expected, abs=1e-6)
    assert ms_ssim_loss(image, image).item() == pytest.approx(0, abs=1e-5)
    # One target of all is the same as a copy for each.
    target = image[:1]
    expected = ms_ssim_loss(rebuilt, target.expand(2, -1, -1, -1)).item()
    assert ms_ssim_loss(rebuilt, target).item() == pytest.approx(expected, abs=1e-6)


def test_ms_ssim_loss_has_a_gradient_where_the_librarys_has_none():
    torch.manual_seed(0)
    coarse = torch.nn.functional.interpolate(torch.rand(2, 3, 4, 4), (48, 48), mode="bilinear")
    fine = 0.2 * torch.rand(2, 3, 48, 48) - 0.1
    # The same coarse picture, the opposite fine one: fine scales at 0, coarse ones above.
    image, rebuilt = 0.3 * coarse + fine + 0.35, (0.3 * coarse - fine + 0.35).requires_grad_(True)
    theirs = 1 - library_ms_ssim(rebuilt, image, data_range=1.0, win_size=3)
    assert theirs.item() == pytest.approx(1)
    assert torch.autograd.grad(theirs, rebuilt)[0].abs().sum() == 0
    loss = ms_ssim_loss(rebuilt, image)
    ours = torch.autograd.grad(loss, rebuilt)[0]
    assert ours.isfinite().all()
    assert ours.abs().sum() > 0.1
    closer = rebuilt.detach() - 1e-4 * ours / ours.abs().max()
    assert ms_ssim_loss(closer, image) < loss


def test_ms_ssim_loss_of_opposite_images_is_finite():
    image = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    # Anti-correlated at four scales at least, which count the floor: its power is the product.
    floor = MS_SSIM_LOSS_FLOOR ** sum(MS_SSIM_WEIGHTS[:4])
    opposite = (1 - image).requires_grad_(True)
    loss = ms_ssim_loss(opposite, image)
    assert 1 - floor <= loss.item() < 1
    assert torch.autograd.grad(loss, opposite)[0].isfinite().all()
