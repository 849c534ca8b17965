"""Figures over people, against cases worked by hand."""

import math

import numpy as np
import pytest
import torch

from trainables.people import (
    chance_lda_score,
    first_with_company,
    gallery_and_probes,
    rank_scores,
    tpr_at_fmr,
    variances,
    worst_decile,
    worst_decile_people,
)


def test_variances_by_hand():
    # Person 7: 0 and 2 (mean 1); person 3: 5, 5 and 8 (mean 6); all: mean 4.
    codes = torch.tensor([[0.0], [5.0], [2.0], [5.0], [8.0]])
    people = torch.tensor([7, 3, 7, 3, 3])
    within, between, score = variances(codes, people)
    assert within == pytest.approx((1 + 1 + 1 + 1 + 4) / 5)
    assert between == pytest.approx((2 * 9 + 3 * 4) / 5)
    assert score == pytest.approx(30 / 8)
    assert within + between == pytest.approx(float(codes.var(correction=0)))


def test_variances_leave_single_images_out_and_average_over_the_values_of_z():
    codes = torch.tensor([[0.0], [5.0], [2.0], [5.0], [8.0], [1000.0]])
    people = np.array([7, 3, 7, 3, 3, 9])
    # A second value that never varies halves both variances and leaves the score alone.
    wide = torch.cat([codes, torch.full_like(codes, 3)], dim=1).view(6, 1, 2, 1)
    assert variances(wide, people) == pytest.approx((0.8, 3.0, 3.75))


def test_lda_score_does_not_care_about_scale_or_offset():
    generator = torch.Generator().manual_seed(0)
    people = torch.arange(20) % 5
    codes = torch.randn(20, 5000, generator=generator) + 0.3 * people.unsqueeze(1)
    plain = variances(codes, people)
    moved = variances(codes.double() * 1e-4 + 1e4, people)
    assert moved.lda_score == pytest.approx(plain.lda_score, rel=1e-4)
    assert moved.within == pytest.approx(1e-8 * plain.within, rel=1e-4)


def test_lda_score_of_degenerate_codes():
    people = np.array([0, 0, 1, 1])
    assert variances(torch.zeros(4, 3), people) == (0, 0, 0)
    labels = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    assert variances(labels, people).lda_score == math.inf


def test_noise_scores_what_chance_says():
    people = torch.arange(300) % 100
    codes = torch.randn(300, 4000, generator=torch.Generator().manual_seed(0))
    assert chance_lda_score(people) == 99 / 200
    assert variances(codes, people).lda_score == pytest.approx(99 / 200, rel=0.01)


@pytest.mark.parametrize("people", [[1, 2, 3, 4], [1, 1, 2, 3]])
def test_variances_need_two_people(people):
    with pytest.raises(ValueError, match=r"two people with two images or more, got [01] of"):
        variances(torch.rand(4, 2), np.array(people))


def test_gallery_is_the_first_image_and_single_images_are_left_out():
    gallery, probes = gallery_and_probes(np.array([5, 9, 2, 5, 2, 5, -1]))
    assert gallery.tolist() == [0, 2]
    assert probes.tolist() == [3, 4, 5]
    assert [len(part) for part in gallery_and_probes(np.array([1, 2, 3]))] == [0, 0]


def _angles(*degrees: float) -> torch.Tensor:
    radians = torch.tensor(degrees).deg2rad()
    return torch.stack([radians.cos(), radians.sin()], dim=1)


def test_rank_scores_by_hand():
    # Gallery at 0, 30, 60 … 150 degrees; the nearer, the higher the cosine.
    gallery, people = _angles(0, 30, 60, 90, 120, 150), torch.tensor([10, 11, 12, 13, 14, 15])
    # 1: nearest is 0 degrees, right. 2: at 25 person 10 is second. 3: at 0 person 15 is sixth.
    probe, who = _angles(5, 25, 0), np.array([10, 10, 15])
    # Length must not matter.
    scores = rank_scores(probe * torch.tensor([[1.0], [7.0], [0.1]]), who, gallery * 3, people)
    assert scores["rank1"] == pytest.approx(1 / 3)
    assert scores["rank5"] == pytest.approx(2 / 3)
    assert scores["chance_rank1"] == pytest.approx(1 / 6)
    # 15 impostor pairs allow none: the highest is the third probe on 0 degrees, cosine 1.
    assert scores["tpr_at_1_fmr"] == 0


def test_true_positive_rate_by_hand():
    impostor = torch.arange(200) / 200
    # 1% of 200 are two: the threshold is the third highest, 197/200, to be exceeded.
    genuine = torch.tensor([0.1, 197 / 200, 0.986, 1.0])
    assert tpr_at_fmr(genuine, impostor) == 0.5
    assert tpr_at_fmr(genuine, torch.tensor([0.5, 0.2])) == 0.75
    assert tpr_at_fmr(torch.ones(4), torch.ones(4)) == 0


def test_true_positive_rate_of_the_gallery_is_that_of_all_pairs():
    generator = torch.Generator().manual_seed(1)
    gallery = torch.randn(40, 6, generator=generator)
    who = torch.arange(1200) % 40
    probe = gallery[who] + 1.5 * torch.randn(1200, 6, generator=generator)
    scores = rank_scores(probe, who, gallery, torch.arange(40))
    cosines = torch.nn.functional.cosine_similarity(
        probe.double().unsqueeze(1), gallery.double().unsqueeze(0), dim=2
    )
    own = torch.nn.functional.one_hot(who, 40).bool()
    assert scores["tpr_at_1_fmr"] == pytest.approx(tpr_at_fmr(cosines[own], cosines[~own]))
    assert 0.1 < scores["tpr_at_1_fmr"] < 0.9
    assert scores["rank1"] == pytest.approx(float((cosines.argmax(dim=1) == who).double().mean()))


@pytest.mark.parametrize("feature", [torch.zeros(3), torch.ones(3)])
def test_features_that_are_the_same_for_all_score_at_chance(feature):
    people = torch.arange(20)
    same = feature.expand(20, 3)
    scores = rank_scores(same, people, same, people)
    assert scores["rank1"] == pytest.approx(scores["chance_rank1"]) == pytest.approx(0.05)
    assert scores["rank5"] == pytest.approx(0.25)
    assert scores["tpr_at_1_fmr"] == 0


def test_person_with_two_gallery_images_counts_once_by_the_nearer():
    gallery = _angles(0, 90, 20)
    scores = rank_scores(_angles(80), [1], gallery, [1, 1, 2])
    assert scores["rank1"] == 1
    assert scores["chance_rank1"] == 0.5


def test_rank_scores_refuse_what_means_nothing():
    gallery = _angles(0, 90)
    with pytest.raises(ValueError, match="person 4 is on a probe but not in the gallery"):
        rank_scores(_angles(0), [4], gallery, [1, 2])
    with pytest.raises(ValueError, match="got 0 and 2"):
        rank_scores(_angles()[:0], [], gallery, [1, 2])
    with pytest.raises(ValueError, match="finite"):
        rank_scores(torch.full((1, 2), math.nan), [1], gallery, [1, 2])


def test_worst_decile():
    values = torch.arange(20.0)
    assert worst_decile(values[torch.randperm(20)]) == 18.5
    assert worst_decile(values[:5]) == 4
    assert worst_decile(torch.arange(25.0)) == 23
    with pytest.raises(ValueError, match="no values"):
        worst_decile(values[:0])


def test_worst_decile_of_people_ranks_people_not_images():
    # Ten people, two images each: person 3 has the single worst image, person 8 the worst mean.
    values, people = torch.zeros(20), np.arange(20) % 10
    values[3], values[13] = 1.0, 0.0
    values[8], values[18] = 0.7, 0.7
    assert worst_decile_people(values, people) == pytest.approx(0.7)
    assert worst_decile(values) == pytest.approx(0.85)


def test_whole_people_are_taken_until_there_is_no_room():
    people = np.array([7, 3, 7, 5, 3, 9, 9, 9])
    # 5 is alone; 7, 3 and 9 come in this order.
    assert first_with_company(people, 8).tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert first_with_company(people, 6).tolist() == [0, 1, 2, 4]
    assert first_with_company(people, 1).tolist() == []
