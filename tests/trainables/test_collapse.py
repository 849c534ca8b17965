"""Variances of outputs over images, by hand."""

import math

import pytest
import torch
from torch import nn

from trainables.collapse import collapse_reason, collapse_report, is_collapsed
from trainables.nets.backbones import build_encoder
from trainables.nets.config import ModelConfig

# Three outputs over four images: always 2, one or minus one, always 0.
IMAGES = torch.tensor([[2.0, 1, 0], [2, -1, 0], [2, 1, 0], [2, -1, 0]]).view(4, 3, 1, 1)
THIRD = 1 / 3


def report(below, half, total):
    names = ("collapse/below_0.01", "collapse/below_0.5", "collapse/total_variance")
    return pytest.approx(dict(zip(names, (below, half, total), strict=True)))


def test_variances_are_shares_of_the_mean_square():
    # Variances 0, 1, 0; mean squares 4, 1, 0, so 5/3 on average: 0, 0.6, 0.
    assert collapse_report(nn.Flatten(), [IMAGES]) == report(2 / 3, 2 / 3, 0.2)
    assert collapse_report(nn.Flatten(), [IMAGES * 1e-4]) == report(2 / 3, 2 / 3, 0.2)
    # With 10 in place of 2: mean square 101/3, shares 0, 3/101, 0: above 0.01, below 0.5.
    larger = IMAGES.clone()
    larger[:, 0] = 10
    assert collapse_report(nn.Flatten(), [larger]) == report(2 / 3, 1, 1 / 101)


def test_behind_a_tanh_variances_are_absolute_and_measured_before_it():
    encoder = nn.Sequential(nn.Flatten(), nn.Tanh())
    assert collapse_report(encoder, [IMAGES]) == report(2 / 3, 2 / 3, THIRD)
    # Deviations of 0.6 and 0.05: variances 0.36 and 0.0025.
    assert collapse_report(encoder, [IMAGES * 0.6]) == report(2 / 3, 1, 0.36 * THIRD)
    assert collapse_report(encoder, [IMAGES * 0.05]) == report(1, 1, 0.0025 * THIRD)


@pytest.mark.parametrize("sizes", [[4], [1, 3], [1, 1, 1, 1], [3, 1]])
def test_batches_make_no_difference(sizes):
    assert collapse_report(nn.Flatten(), iter(IMAGES.split(sizes))) == report(2 / 3, 2 / 3, 0.2)


def test_small_variances_about_a_large_mean_are_not_lost():
    encoder = nn.Sequential(nn.Flatten(), nn.Tanh())
    far = IMAGES + 1e6
    assert collapse_report(encoder, far.split([1, 2, 1])) == report(2 / 3, 2 / 3, THIRD)


def test_a_code_of_zeros_does_not_vary():
    assert collapse_report(nn.Flatten(), [torch.zeros(4, 3, 2, 2)]) == report(1, 1, 0)


def test_codes_that_are_not_finite_have_no_figures():
    broken = IMAGES.clone()
    broken[0, 0] = float("nan")
    found = collapse_report(nn.Flatten(), [broken])
    assert len(found) == 3
    assert all(math.isnan(value) for value in found.values())
    assert not is_collapsed(found, constrained=True)
    assert not is_collapsed(found, constrained=False)


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="at least 1 image, got none"):
        collapse_report(nn.Flatten(), [])


def test_the_encoder_is_evaluated_and_left_as_it_was():
    encoder = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3), nn.Tanh()).train()
    encoder[1].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    # Running statistics 0 and 1: the images themselves. The batch's would give 0, 1, 0 as well
    # for these, so the second output is doubled.
    doubled = IMAGES * 2
    expected = 4 * THIRD / (1 + encoder[1].eps)
    assert collapse_report(encoder, [doubled]) == report(2 / 3, 2 / 3, expected)
    assert all(part.training for part in encoder.modules())
    assert [weight.requires_grad for weight in encoder.parameters()] == [False, True]
    for name, value in encoder.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_fresh_scene_encoder_varies_and_one_of_zeros_has_collapsed():
    torch.manual_seed(0)
    encoder = build_encoder(ModelConfig(backbone="scene", width=0.0625), 32, 32)
    images = torch.rand(32, 3, 32, 32)
    for _ in range(60):
        encoder.train()(images)
    alive = collapse_report(encoder, images.split(8))
    # Running variances are unbiased, 32/31 of the batch's, at each of seven layers.
    assert alive["collapse/total_variance"] == pytest.approx((31 / 32) ** 7, abs=0.05)
    assert alive["collapse/below_0.5"] < 0.1
    assert not is_collapsed(alive, constrained=True)
    nn.init.zeros_(encoder[-3].weight)
    assert collapse_report(encoder, images.split(8)) == report(1, 1, 0)
    assert is_collapsed(collapse_report(encoder, images.split(8)), constrained=True)


@pytest.mark.parametrize(
    ("below", "half", "total", "constrained", "expected"),
    [
        (0.5, 0.5, 1.0, True, True),
        (0.49, 0.74, 0.0, True, False),
        (0.0, 0.75, 0.4, True, True),  # the paper's collapse by biases
        (1.0, 1.0, 0.01, False, False),
        (0.0, 0.0, 0.0099, False, True),
    ],
)
def test_the_two_rules(below, half, total, constrained, expected):
    figures = {
        "collapse/below_0.01": below,
        "collapse/below_0.5": half,
        "collapse/total_variance": total,
    }
    assert is_collapsed(figures, constrained) is expected


@pytest.mark.parametrize(
    ("constant", "half", "total", "constrained", "told"),
    [
        (0.6, 0.9, 0.3, True, "60% of its outputs hardly vary"),
        (0.0, 0.9, 0.3, True, "90% of its outputs vary too little"),
        (1.0, 1.0, 0.004, False, "only 0.40% of its code's mean square"),
    ],
)
def test_a_collapse_is_told_by_what_shows_it(constant, half, total, constrained, told):
    report = {
        "collapse/below_0.01": constant, "collapse/below_0.5": half,
        "collapse/total_variance": total,
    }  # fmt: skip
    assert is_collapsed(report, constrained)
    assert collapse_reason(report, constrained).startswith(told)
