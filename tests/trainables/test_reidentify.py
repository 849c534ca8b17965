"""Re-identification: losses and ranks by hand, planted and empty codes, splits without pairs."""

import math

import pytest
import torch
import torch.nn.functional as F

from trainables.attackers.base import Target
from trainables.attackers.reidentify import (
    ReidentifyAttacker,
    ReidentifyConfig,
    contrastive_loss,
    own_image_rank,
)
from trainables.encodings import CodeBatch
from trainables.nets.config import ModelConfig
from trainables.nets.layers import CodeSpec
from trainables.people import reidentify

CONFIG = ReidentifyConfig(name="reidentify", channels=8, hidden=32)
D = 8
SPEC = CodeSpec("fc", (D,))
KEYS = {"rank1", "rank5", "tpr_at_1_fmr", "chance_rank1", "num_probes"}


def phi(images):
    """The first D values of the image's top row, around 0."""
    return images[:, 0, 0, :D] - 0.5


def make_target(features=phi):
    return Target(SPEC, ModelConfig(width=0.125), 16, 16, (), (), (), torch.device("cpu"),
                  features=features)  # fmt: skip


def make_batch(num_people=20, per_person=3, seed=0, noise=0.03, codes=None):
    """Every person has features of its own, every image a little noise on them."""
    generator = torch.Generator().manual_seed(seed)
    people = torch.arange(num_people).repeat(per_person)
    images = torch.zeros(len(people), 3, 16, 16)
    own = torch.rand(num_people, D, generator=generator)
    images[:, 0, 0, :D] = own[people] + noise * torch.randn(len(people), D, generator=generator)
    known = phi(images)
    codes = known if codes is None else codes(generator, len(people))
    return CodeBatch(codes, images, torch.zeros(len(people), 1), people, known)


def test_contrastive_loss_by_hand():
    predicted = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    features = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    # Cosines are 1 on the diagonal and 0 beside it; over 0.5 they are 2 and 0.
    expected = math.log(1 + math.exp(-2))
    assert contrastive_loss(predicted, features, None, 0.5).item() == pytest.approx(expected)


def test_an_answer_of_nothing_has_a_moderate_gradient():
    predicted = torch.zeros(2, 2, requires_grad=True)
    loss = contrastive_loss(predicted, torch.eye(2), None, 0.5)
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    # Half of the batch's mean each: (1/2 − 1)/2 over temperature and shortest length, 1/2 · 1/10.
    torch.testing.assert_close(predicted.grad, torch.tensor([[-5.0, 5.0], [5.0, -5.0]]))


def test_images_of_one_person_are_no_wrong_answers():
    predicted = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    people = torch.tensor([4, 4, 9])
    # Rows 1 and 2: 1, 1, 0; half of the weight on either 1. Row 3: 0, 0, 1.
    both = math.log(2 * math.e + 1) - 1
    alone = math.log(2 + math.e) - 1
    loss = contrastive_loss(predicted, predicted, people, 1.0).item()
    assert loss == pytest.approx((2 * both + alone) / 3)
    strangers = contrastive_loss(predicted, predicted, torch.arange(3), 1.0).item()
    assert strangers == pytest.approx(loss)  # the cosines are the same: nothing to tell apart
    moved = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    # Row 1 of `moved` against itself: cosines 1, .6, 0.
    row = math.log(math.e + math.exp(0.6) + 1) - (1 + 0.6) / 2
    known = torch.nn.functional.cross_entropy(
        (F.normalize(moved) @ moved.T)[:1], torch.tensor([[0.5, 0.5, 0.0]])
    )
    assert known.item() == pytest.approx(row)


def test_loss_is_the_sum_of_both_terms():
    attacker = ReidentifyAttacker(CONFIG, make_target())
    batch = make_batch(num_people=3, per_person=2)
    predicted = torch.randn(6, D)
    distance = (predicted - F.normalize(batch.features)).square().sum(1).mean()
    contrast = contrastive_loss(predicted, batch.features, batch.people, CONFIG.temperature)
    total = attacker.loss(predicted, batch.features, batch)
    assert total.item() == pytest.approx((distance + CONFIG.contrast * contrast).item(), rel=1e-5)


def test_own_image_rank_by_hand():
    features = torch.eye(3)
    assert own_image_rank(features, features, None) == 1
    # Each is nearest to the next: one other comes before its own, the third ties with it.
    predicted = features.roll(1, dims=0)
    nearness = 1 - math.log(2.5) / math.log(3)
    assert own_image_rank(predicted, features, None) == pytest.approx(nearness)
    # The two that are mixed up are one person: no stranger comes before either.
    swapped = features[[1, 0, 2]]
    tied = 1 - math.log(1.5) / math.log(2)
    assert own_image_rank(swapped, features, torch.tensor([5, 5, 6])) == pytest.approx(
        (2 * tied + 1) / 3
    )


def test_own_image_rank_goes_through_large_splits_in_parts(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    predicted, features = torch.randn(2, 50, 4, generator=generator)
    people = torch.arange(50) // 2
    whole = own_image_rank(predicted, features, people)
    monkeypatch.setattr("trainables.attackers.reidentify._ROWS_AT_ONCE", 7)
    assert own_image_rank(predicted, features, people) == pytest.approx(whole)


def test_people_are_found_by_hand():
    people = torch.tensor([3, 8, 3, 8, 5])
    features = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]])
    # Gallery: rows 0 and 1. Probe 2 points at person 3, probe 3 at person 3 as well.
    probe = torch.tensor([[0.0, 0, 0], [0, 0, 0], [1, 0.1, 0], [1, 0.1, 0], [0, 0, 0]])
    scores = reidentify(probe, features, people)
    assert set(scores) == KEYS
    assert scores["rank1"] == 0.5
    assert scores["rank5"] == 1
    assert scores["chance_rank1"] == 0.5
    assert scores["num_probes"] == 2


def test_a_step_moves_every_weight_of_the_regressor():
    attacker = ReidentifyAttacker(CONFIG, make_target())
    before = {name: p.detach().clone() for name, p in attacker.regressor.named_parameters()}
    for _ in range(2):
        attacker.train_step(make_batch())
    assert not any(torch.equal(p, before[n]) for n, p in attacker.regressor.named_parameters())


def trained(codes=None):
    torch.manual_seed(0)
    attacker = ReidentifyAttacker(CONFIG, make_target())
    attacker.set_rate(3e-3)
    for step in range(150):
        attacker.train_step(make_batch(seed=step + 1, codes=codes))
    return attacker


def test_codes_that_are_the_features_find_everybody():
    attacker = trained()
    test = make_batch(seed=1000)
    halves = [CodeBatch(*(p[i : i + 30] for p in test)) for i in (0, 30)]
    scores = attacker.evaluate(halves)
    assert scores.score == scores.metrics["rank1"] > 0.95
    assert scores.metrics["num_probes"] == 40
    assert scores.metrics["chance_rank1"] == pytest.approx(1 / 20)
    assert scores.per_image is None
    assert attacker.monitor(halves) > 0.9


def test_noise_finds_nobody():
    def noise(generator, size):
        return torch.randn(size, D, generator=generator)

    attacker = trained(noise)
    test = make_batch(num_people=100, seed=1000, codes=noise)
    scores = attacker.evaluate([test])
    # 200 probes among 100 people: 2 are expected, and 10 do not happen by chance.
    assert scores.score < 0.05
    assert attacker.monitor([test]) == pytest.approx(1 / math.log(300), abs=0.05)


def test_a_constant_code_is_at_chance():
    def constant(generator, size):
        return torch.zeros(size, D)

    attacker = trained(constant)
    scores = attacker.evaluate([make_batch(num_people=100, seed=1000, codes=constant)])
    # The same answer for everybody is right for one person of the gallery.
    assert scores.score == pytest.approx(0.01)


def test_a_split_without_pairs_is_refused():
    attacker = ReidentifyAttacker(CONFIG, make_target())
    with pytest.raises(ValueError, match=r"two people or more with two images.*data with ident"):
        attacker.evaluate([make_batch(num_people=8, per_person=1)])
    # Saturation goes by all images: it needs no pairs.
    assert 0 <= attacker.monitor([make_batch(num_people=8, per_person=1)]) <= 1


def test_data_without_people_are_refused():
    attacker = ReidentifyAttacker(CONFIG, make_target())
    with pytest.raises(ValueError, match=r"'reidentify' needs to know who"):
        attacker.evaluate([make_batch()._replace(people=None)])


def test_a_study_without_identity_model_is_refused():
    with pytest.raises(ValueError, match="'reidentify'.*no identity model"):
        ReidentifyAttacker(CONFIG, make_target(None))


def test_kind_and_needs():
    assert CONFIG.kind == "identity"
    assert CONFIG.needs_identity
    assert ReidentifyAttacker.wants_features
