"""Each metric against a value worked out by hand, edge cases included."""

import math

import pytest
import torch

from trainables import metrics


def _logits(bits):
    return torch.tensor(bits).float() * 2 - 1


def test_mcc_by_hand():
    # TP 3, FN 1, FP 2, TN 4: (12 - 2) / sqrt(5 * 4 * 6 * 5).
    labels = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0, 0, 0]).unsqueeze(1)
    predicted = _logits([1, 1, 1, 0, 1, 1, 0, 0, 0, 0]).unsqueeze(1)
    assert metrics.mcc(predicted, labels).item() == pytest.approx(10 / math.sqrt(600))


@pytest.mark.parametrize(
    ("predicted", "labels"),
    [([1, 1, 1], [1, 1, 1]), ([1, 1, 1], [0, 1, 1]), ([0, 0], [1, 1]), ([1, 0], [0, 0])],
)
def test_mcc_is_zero_where_a_factor_is_zero(predicted, labels):
    value = metrics.mcc(_logits(predicted).unsqueeze(1), torch.tensor(labels).unsqueeze(1))
    assert value.item() == 0


def test_mcc_extremes_per_attribute():
    labels = torch.tensor([[1, 1], [0, 0], [1, 1], [0, 0]])
    predicted = torch.stack([_logits([1, 0, 1, 0]), _logits([0, 1, 0, 1])], dim=1)
    assert metrics.mcc(predicted, labels).tolist() == pytest.approx([1.0, -1.0])


def test_balanced_accuracy_and_majority_rate():
    labels = torch.tensor([1, 1, 0, 0, 0, 0, 0, 0]).unsqueeze(1)
    predicted = _logits([1, 0, 0, 0, 0, 0, 0, 1]).unsqueeze(1)
    assert metrics.balanced_accuracy(predicted, labels).item() == pytest.approx((0.5 + 5 / 6) / 2)
    assert metrics.accuracy(predicted, labels).item() == pytest.approx(6 / 8)
    assert metrics.majority_rate(labels).item() == pytest.approx(6 / 8)


def test_balanced_accuracy_of_a_constant_answer_is_a_half():
    labels = torch.tensor([1, 0, 0, 0]).unsqueeze(1)
    assert metrics.balanced_accuracy(-torch.ones(4, 1), labels).item() == 0.5
    assert metrics.balanced_accuracy(-torch.ones(4, 1), torch.zeros(4, 1)).item() == 0.75


def test_auc_by_hand_with_ties():
    labels = torch.tensor([1, 1, 0, 0]).unsqueeze(1)
    scores = torch.tensor([3.0, 1.0, 1.0, 0.0]).unsqueeze(1)
    # Pairs: (3,1) won, (3,0) won, (1,1) tied, (1,0) won.
    assert metrics.auc(scores, labels).item() == pytest.approx(3.5 / 4)
    # Logits so large that a float32 sigmoid would make them all 1 keep their order.
    assert metrics.auc(scores * 100 + 500, labels).item() == pytest.approx(3.5 / 4)
    assert metrics.auc(scores, torch.ones(4, 1)).item() == 0.5


def test_mse_and_psnr_are_per_image_with_data_range_one():
    image = torch.zeros(2, 3, 16, 16)
    rebuilt = image.clone()
    rebuilt[0], rebuilt[1] = 0.1, 0.01
    assert metrics.mse(rebuilt, image).tolist() == pytest.approx([0.01, 0.0001])
    assert metrics.psnr(rebuilt, image).tolist() == pytest.approx([20.0, 40.0], rel=1e-4)


def test_ssim_of_equal_constant_and_opposite_images():
    torch.manual_seed(0)
    image = torch.rand(2, 3, 32, 32)
    assert metrics.ssim(image, image).tolist() == pytest.approx([1.0, 1.0])
    assert (metrics.ssim(1 - image, image) < 0).all()
    # Two constant images: only the luminance term is left, (2ab + C1) / (a² + b² + C1).
    a, b, c1 = 0.25, 0.75, 0.01**2
    flat = metrics.ssim(torch.full((1, 3, 32, 32), a), torch.full((1, 3, 32, 32), b))
    assert flat.item() == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1), rel=1e-3)


@pytest.mark.parametrize(
    ("score", "expected"), [(0.2, 0.0), (0.5, 0.5), (0.8, 1.0), (0.1, 0.0), (0.9, 1.0)]
)
def test_leakage_between_floor_and_ceiling(score, expected):
    assert metrics.leakage(score, 0.2, 0.8) == pytest.approx(expected)


@pytest.mark.parametrize("ceiling", [0.5, 0.51, 0.4, float("nan")])
def test_leakage_refuses_a_range_that_means_nothing(ceiling):
    with pytest.raises(ValueError, match=r"floor|finite|differ"):
        metrics.leakage(0.5, 0.5, ceiling)


# Three categories: six images, three and one.
CATEGORIES = torch.nn.functional.one_hot(torch.tensor([0] * 6 + [1] * 3 + [2]), 3)


def test_category_weights_make_all_categories_the_same():
    weights = metrics.category_weights(CATEGORIES)
    assert weights.tolist() == pytest.approx([1 / 6] * 6 + [1 / 3] * 3 + [1.0])
    # A category without images changes nothing.
    empty = torch.cat([CATEGORIES, torch.zeros(10, 1, dtype=torch.long)], dim=1)
    assert metrics.category_weights(empty).tolist() == pytest.approx(weights.tolist())


def test_weighted_figures_by_hand():
    # Of category 1 two of three are found; of the six of category 0 three are taken for it, the
    # one of category 2 is not. Recalls: 2/3, and of the others (3/6 + 1/1) / 2 = 3/4.
    labels = CATEGORIES[:, 1:2]
    logits = _logits([1, 1, 1, 0, 0, 0, 1, 1, 0, 0]).unsqueeze(1)
    weights = metrics.category_weights(CATEGORIES)
    balanced = metrics.balanced_accuracy(logits, labels, weights)
    assert balanced.item() == pytest.approx((2 / 3 + 3 / 4) / 2)
    # Of a balanced set: TP 2/3, FN 1/3, FP 1/4, TN 3/4.
    tp, fn, fp, tn = 2 / 3, 1 / 3, 1 / 4, 3 / 4
    expected = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert metrics.mcc(logits, labels, weights).item() == pytest.approx(expected)
    # Without weights the negatives count by images: 4/7; TP 2, FN 1, FP 3, TN 4.
    assert metrics.balanced_accuracy(logits, labels).item() == pytest.approx((2 / 3 + 4 / 7) / 2)
    assert metrics.mcc(logits, labels).item() == pytest.approx(5 / math.sqrt(5 * 3 * 7 * 5))


def test_weighted_figures_of_one_class_or_one_answer():
    weights = metrics.category_weights(CATEGORIES)
    always = torch.ones(10, 3)
    assert metrics.mcc(always, CATEGORIES, weights).tolist() == [0, 0, 0]
    assert metrics.balanced_accuracy(always, CATEGORIES, weights).tolist() == [0.5] * 3
    right = CATEGORIES * 2.0 - 1
    assert metrics.mcc(right, CATEGORIES, weights).tolist() == pytest.approx([1.0] * 3)
    nobody = torch.zeros(10, 3)
    assert metrics.mcc(right, nobody, weights).tolist() == [0, 0, 0]
