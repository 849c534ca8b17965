"""Where a classifier of private attributes says yes: by hand, and of one that says no to all."""

import math

import pytest
import torch
from torch import nn

from trainables.attackers.attribute import AttributeAttacker, AttributeConfig
from trainables.attackers.base import Target
from trainables.calibration import balanced_weights, calibrated
from trainables.encodings import CodeBatch
from trainables.nets.config import ModelConfig
from trainables.nets.layers import CodeSpec
from trainables.scores import NotFiniteError


def doubles(*values):
    return torch.tensor(values, dtype=torch.float64)


def fitted(at, known, labels):
    return calibrated(doubles(*at), known, labels, balanced_weights(labels))


def test_both_values_weigh_one_half():
    weights = balanced_weights(doubles(1, 0, 0, 0))
    assert weights.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])
    # Of categories with 1, 1 and 2 images each of the last counts half.
    weights = balanced_weights(doubles(1, 0, 0, 0), torch.tensor([1.0, 1.0, 0.5, 0.5]))
    assert weights.tolist() == pytest.approx([1 / 2, 1 / 4, 1 / 8, 1 / 8])


@pytest.mark.parametrize("factor", [1.0, -1.0, 1e-4, 1e4])
def test_the_threshold_lies_halfway_between_two_like_clouds(factor):
    # One with the attribute at 8 and at 10, three times as many without at 4 and at 6.
    known = factor * doubles(8, 10, 4, 6, 4, 6, 4, 6)
    labels = doubles(1, 1, 0, 0, 0, 0, 0, 0)
    below, at, above = fitted([6.9 * factor, 7 * factor, 7.1 * factor], known, labels).tolist()
    assert at == pytest.approx(0, abs=1e-3)
    assert below < at < above


def test_the_same_answer_to_all_stays_the_same():
    labels = doubles(1, 0, 0, 1, 0)
    # Another batch size changes the last bits, which must not be taken for a difference.
    known = doubles(3, 3, 3, 3, 3) + 1e-7 * labels
    assert fitted([3, 3.0000001], known, labels).tolist() == pytest.approx([0, 0])
    assert fitted([5], doubles(0, 0, 0, 0, 0), labels).tolist() == pytest.approx([0])


class Shy(nn.Module):
    """Answers with the code's values, less ten: no to everybody."""

    def forward(self, codes):
        return codes - 10


def attacker():
    columns, names, rates = (0, 1), ("Hat", "Smiling"), (0.5, 0.5)
    made = AttributeAttacker(
        AttributeConfig(name="attribute"),
        Target(CodeSpec("fc", (2,)), ModelConfig(width=0.125), 16, 16, columns, names, rates,
               torch.device("cpu")),
    )  # fmt: skip
    made.classifier = Shy()
    return made


def batch(codes, labels):
    codes = torch.tensor(codes)
    return CodeBatch(codes, torch.zeros(len(codes), 3, 16, 16), torch.tensor(labels))


SELECTION = batch(
    [[2.0, 0.0], [3.0, 1.0], [0.0, 2.0], [1.0, 3.0]], [[1.0, 0.0], [1, 0], [0, 1], [0, 1]]
)
TEST = batch([[1.6, 1.4], [1.4, 1.6], [9.0, 1.6]], [[1.0, 0.0], [0, 1], [0, 0]])


def test_who_says_no_to_all_though_it_knows_is_found_out():
    shy = attacker()
    assert shy.evaluate([TEST]).score == 0.5
    shy.settle([SELECTION])
    assert shy.evaluate([SELECTION]).score == 1.0
    # Thresholds at 1.5: one of two without a hat is taken for one with, and of those who do not
    # smile one for one who does.
    scores = shy.evaluate([TEST])
    assert scores.score == pytest.approx(0.75)
    assert scores.metrics["accuracy/Hat"] == pytest.approx(2 / 3)
    assert scores.metrics["auc/Hat"] == 0.5


def test_a_threshold_that_is_right_stays():
    # One image far off draws a fitted threshold up; its own, at ten, makes no mistake.
    values, labels = doubles(9.4, 9.5, 10.5, 30), doubles(0, 0, 1, 1)
    assert fitted([10.1], values, labels).item() < 0
    own = attacker()
    own.settle([batch([[float(v)] * 2 for v in values], [[float(v)] * 2 for v in labels])])
    found = own.evaluate([batch([[10.1, 9.9], [9.9, 10.1]], [[1.0, 0.0], [0.0, 1.0]])])
    assert found.score == 1.0


def test_thresholds_are_those_of_the_selection_split():
    shy = attacker()
    shy.settle([SELECTION])
    before = shy.evaluate([TEST]).metrics
    turned = TEST._replace(labels=1 - TEST.labels)
    assert shy.evaluate([turned]).score == pytest.approx(0.25)  # fitted to it, they would be right
    assert shy.evaluate([TEST]).metrics == before


def test_a_split_with_one_value_alone_leaves_the_threshold():
    shy = attacker()
    shy.settle([SELECTION._replace(labels=torch.ones(4, 2))])
    assert shy.evaluate([TEST]).metrics == attacker().evaluate([TEST]).metrics


def test_answers_that_are_no_numbers_are_refused():
    shy = attacker()
    bad = SELECTION._replace(codes=torch.full((4, 2), math.nan))
    with pytest.raises(NotFiniteError, match="'attribute' answered with numbers not finite"):
        shy.evaluate([bad])
    shy.settle([bad])
    with pytest.raises(NotFiniteError, match="'attribute' answered"):
        shy.evaluate([TEST])
