"""Four faces, one of them right: shares by hand and over all triples, who is asked about."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trainables import quiz
from trainables.quiz import another_image, quiz_scores, share_right


def share(level, below, num_others):
    return float(share_right(*map(torch.tensor, (level, below, num_others))))


def over_all_triples(mine, others):
    """The share of right answers, triple by triple."""
    points = [
        0 if max(triple) > mine else 1 / (1 + triple.count(mine))
        for triple in combinations(others, 3)
    ]
    return sum(points) / len(points)


def test_shares_by_hand():
    assert share(0, 3, 3) == 1
    assert share(0, 0, 3) == 0
    assert share(3, 0, 3) == 1 / 4, "all four alike: a guess"
    # Of four triples one is without the face that is more similar.
    assert share(0, 3, 4) == 1 / 4
    # One above, one level, three below; ten triples: one of the three, three with the level one.
    assert share(1, 3, 5) == pytest.approx((1 + 3 / 2) / 10)


def test_shares_are_those_of_all_triples():
    generator = np.random.default_rng(0)
    for _ in range(50):
        num_others = int(generator.integers(3, 10))
        others = generator.integers(0, 5, num_others).tolist()
        mine = int(generator.integers(0, 5))
        level, below = others.count(mine), sum(other < mine for other in others)
        assert share(level, below, num_others) == pytest.approx(over_all_triples(mine, others))


def test_shares_of_large_splits_lose_no_digits():
    assert share(0, 20_000, 20_000) == 1
    assert share(20_000, 0, 20_000) == 1 / 4
    expected = math.comb(19_999, 3) / math.comb(20_000, 3)
    assert share(0, 19_999, 20_000) == pytest.approx(expected, rel=1e-12)


def angles(*degrees):
    radians = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], dim=1).float()


def test_the_image_itself_where_everybody_has_one():
    # Five people: each has four others to be taken for, of which a question shows three.
    features = angles(0, 40, 80, 120, 160)
    answers = angles(0, 65, 150, 100, 160) * torch.tensor([[1.0], [7.0], [0.1], [1.0], [1.0]])
    found = quiz_scores(answers, features, np.array([9, 4, 2, 8, 5]))
    # 65 is nearer to 80 than to its own 40: right in the triple without that one. 150 is nearer to
    # two others than to 80: never right. 100 is as near to 80 as to its own 120: right in the
    # triple without it, in the other three as often as not.
    each = torch.tensor([1, 1 / 4, 0, (1 + 3 / 2) / 4, 1], dtype=torch.float64)
    assert found["quiz_accuracy"] == pytest.approx(float(each.mean()))
    assert found["quiz_accuracy_error"] == pytest.approx(float(each.std()) / 5**0.5)
    assert found["num_quiz_images"] == 5
    assert found["quiz_other_image"] == 0


def test_another_image_of_the_person_where_there_is_one():
    # Person 0 at 0 and 10, person 1 at 60 and 90, others alone at 120, 150 and 180 degrees.
    features = angles(0, 60, 10, 90, 120, 150, 180)
    people = np.array([0, 1, 0, 1, 2, 3, 4])
    found = quiz_scores(angles(0, 95, 0, 95, 120, 150, 180), features, people)
    # Nothing is nearer to 0 than 10, nor to 95 than 90. The other image of the one at 90 is at 60,
    # and 120 is nearer to 95 than that: C(4, 3) of C(5, 3) triples are without it.
    assert found["quiz_accuracy"] == pytest.approx((1 + 1 + 1 + 4 / 10) / 4)
    assert found["num_quiz_images"] == 4, "those alone are not asked about, but shown"
    assert found["quiz_other_image"] == 1


def brute_force(answers, features, people):
    """As the module says it, question by question."""
    cosines = F.normalize(answers.double()) @ F.normalize(features.double()).T
    cosines = (cosines * 2**20).round()
    shares = []
    for row in range(len(answers)):
        others = [float(cosines[row, j]) for j in range(len(people)) if people[j] != people[row]]
        mine = [
            float(cosines[row, j])
            for j in range(len(people))
            if people[j] == people[row] and j != row
        ]
        if mine:
            shares.append(np.mean([over_all_triples(value, others) for value in mine]))
    return float(np.mean(shares)), float(np.std(shares, ddof=1) / len(shares) ** 0.5)


@pytest.mark.parametrize("num_answers", [15, 9])
def test_accuracy_is_that_of_all_questions(num_answers, monkeypatch):
    generator = torch.Generator().manual_seed(num_answers)
    people = np.array([3, 1, 1, 4, 3, 5, 3, 9, 7, 7, 7, 7, 8, 1, 2])
    # Whole numbers: the same face comes twice, and answers are as far from two.
    features = torch.randint(-1, 2, (15, 3), generator=generator).float()
    answers = torch.randint(-1, 2, (num_answers, 3), generator=generator).float()
    monkeypatch.setattr(quiz, "_ROWS_AT_ONCE", 4)
    found = quiz_scores(answers, features, people)
    accuracy, error = brute_force(answers, features, people)
    assert found["quiz_accuracy"] == pytest.approx(accuracy)
    assert found["quiz_accuracy_error"] == pytest.approx(error)


@pytest.mark.parametrize("people", [torch.arange(40), torch.arange(40) % 20])
def test_who_learned_nothing_guesses(people):
    features = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    for same in (torch.zeros(8), torch.ones(8)):
        # Φ that sees no difference between faces.
        found = quiz_scores(features, same.expand(40, 8), people)
        assert found["quiz_accuracy"] == 0.25
        assert found["quiz_accuracy_error"] == 0
    # An attacker that always answers the same: right for those that look like it.
    found = quiz_scores(torch.ones(40, 8), features, torch.arange(40))
    assert found["quiz_accuracy"] == pytest.approx(0.25)
    assert found["quiz_accuracy_error"] > 0


def test_one_person_with_two_images_is_not_enough_to_ask_for_others():
    features = torch.eye(6)
    found = quiz_scores(features, features, np.array([0, 0, 1, 2, 3, 4]))
    assert (found["quiz_other_image"], found["num_quiz_images"]) == (0, 6)
    assert found["quiz_accuracy"] == 1


def test_nobody_is_asked_about_where_a_question_cannot_be_made():
    features = torch.eye(6)
    assert quiz_scores(features[:3], features[:3], np.arange(3)) == {}
    assert quiz_scores(features, features, np.array([0, 0, 0, 0, 1, 1])) != {}, "of person 1"
    # The answers are for those alone, and the two pairs come after.
    assert quiz_scores(features[:1], features, np.array([4, 0, 0, 1, 1, 2])) == {}


def test_only_so_many_are_asked_about(monkeypatch):
    monkeypatch.setattr(quiz, "MAX_QUESTIONS", 3)
    features = torch.eye(10)
    answers = features.clone()
    answers[3:] = 0
    found = quiz_scores(answers, features, np.arange(10))
    assert (found["num_quiz_images"], found["quiz_accuracy"]) == (3, 1)


def test_a_number_that_is_none_is_no_right_answer():
    with pytest.raises(ValueError, match="finite"):
        quiz_scores(torch.full((5, 2), math.nan), torch.rand(5, 2), np.arange(5))


def test_another_image_is_the_first_other_one():
    people = np.array([7, 3, 7, 5, 3, 7])
    assert another_image(people, 6).tolist() == [2, 4, 0, -1, 1, 0]
    assert another_image(people, 2).tolist() == [2, 4]
    assert another_image(people, 99).tolist() == [2, 4, 0, -1, 1, 0]
    assert another_image(np.arange(3), 2).tolist() == [-1, -1]
    assert another_image(people, 0).tolist() == []
