"""Usable information against cases whose bits are known."""

import math

import pytest
import torch

from trainables.information import usable_information
from trainables.scores import NotFiniteError


def entropy(rate):
    return -sum(p * math.log2(p) for p in (rate, 1 - rate) if p)


def channel(num, error, rate=0.5):
    """Labels and logits ±1, of which a share is wrong: a binary symmetric channel."""
    positive = round(num * rate)
    labels = torch.cat([torch.ones(positive), torch.zeros(num - positive)])
    wrong = torch.zeros(num, dtype=torch.bool)
    for start, size in ((0, positive), (positive, num - positive)):
        wrong[start : start + round(error * size)] = True
    said = torch.where(wrong, 1 - labels, labels)
    return (2 * said - 1).view(-1, 1), labels.view(-1, 1)


def bits(logits, labels, rate=0.5, **more):
    rates = torch.tensor([rate])
    return float(usable_information(logits, labels, logits, labels, rates, **more))


@pytest.mark.parametrize("error", [0.05, 0.1, 0.25])
def test_a_binary_symmetric_channel_tells_one_minus_the_entropy_of_its_error(error):
    assert bits(*channel(4000, error)) == pytest.approx(1 - entropy(error), abs=2e-3)


def test_a_perfect_answer_tells_the_attribute_s_entropy():
    assert bits(*channel(4000, 0.0, rate=0.2), rate=0.2) == pytest.approx(entropy(0.2), abs=0.01)


@pytest.mark.parametrize("factor", [1e-4, 1e4])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_scale_and_bias_of_logits_are_calibrated_away(factor, shift):
    logits, labels = channel(4000, 0.1)
    changed = factor * (logits.double() + shift)
    assert bits(changed, labels) == pytest.approx(1 - entropy(0.1), abs=2e-3)


def test_constant_answers_tell_nothing():
    _, labels = channel(1000, 0.1, rate=0.3)
    assert bits(torch.full_like(labels, 5.0), labels, rate=0.3) == 0


def test_noise_is_clipped_at_nothing():
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(20):
        test, known = torch.randn(2, 500, 1, generator=generator)
        labels, known_labels = (torch.rand(2, 500, 1, generator=generator) > 0.5).float()
        rates = torch.tensor([0.5])
        values.append(float(usable_information(test, labels, known, known_labels, rates)))
    assert min(values) == 0
    assert max(values) < 0.02


def test_a_drift_of_the_rate_between_splits_is_no_information():
    # The public split has 1 in 10, the others 1 in 2: who knows that knows no code.
    _, labels = channel(1000, 0.0)
    assert bits(torch.zeros_like(labels), labels, rate=0.1) == pytest.approx(0, abs=1e-12)


def test_a_selection_split_of_one_value_calibrates_to_nothing():
    logits, labels = channel(100, 0.0)
    ones, rates = torch.ones(50, 1), torch.tensor([0.5])
    assert float(usable_information(logits, labels, logits[:50], ones, rates)) == 0


def test_each_attribute_has_its_own_bits():
    logits, labels = channel(4000, 0.1)
    both = torch.cat([logits, torch.zeros_like(logits)], dim=1)
    rates = torch.tensor([0.5, 0.5])
    twice = torch.cat([labels, labels], dim=1)
    found = usable_information(both, twice, both, twice, rates)
    assert found.tolist() == [pytest.approx(1 - entropy(0.1), abs=2e-3), 0]


def test_with_weights_a_rare_category_is_half_of_the_world():
    # 1 in 10, never missed; 1 in 9 of the others taken for it: recall 1, specificity 8/9.
    labels = torch.cat([torch.ones(400), torch.zeros(3600)]).view(-1, 1)
    logits = torch.cat([torch.ones(800), -torch.ones(3200)]).view(-1, 1)
    weights = torch.ones(4000)
    found = bits(logits, labels, test_weights=weights, selection_weights=weights)
    # Said yes with probability (1 + 1/9)/2 = 5/9, and then right with probability 9/10.
    assert found == pytest.approx(1 - 5 / 9 * entropy(0.9), abs=0.01)


def test_weights_come_for_both_splits():
    logits, labels = channel(100, 0.1)
    with pytest.raises(ValueError, match="give both or neither"):
        bits(logits, labels, test_weights=torch.ones(100))


def test_answers_not_finite_are_refused():
    logits, labels = channel(100, 0.1)
    with pytest.raises(NotFiniteError):
        bits(torch.full_like(logits, math.nan), labels)
