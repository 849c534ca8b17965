"""The feature-level attack: its loss by hand, what a step moves, planted and empty codes."""

import math

import pytest
import torch
import torch.nn.functional as F

from trainables.attackers.base import Target
from trainables.attackers.feature import (
    FeatureAttacker,
    FeatureConfig,
    build_regressor,
    feature_loss,
)
from trainables.encodings import CodeBatch
from trainables.nets.config import ModelConfig
from trainables.nets.layers import CodeSpec
from trainables.scores import NotFiniteError

CONFIG = FeatureConfig(name="feature", channels=8, hidden=32)
NUM_FEATURES = 12
_PROJECTION = torch.randn(3 * 4 * 4, NUM_FEATURES, generator=torch.Generator().manual_seed(7))


def phi(images):
    """A Φ that needs no training: a random projection of the thumbnail, of no particular length."""
    return 3 * (F.adaptive_avg_pool2d(images, 4).flatten(1) - 0.5) @ _PROJECTION


def make_target(spec, features=phi):
    return Target(spec, ModelConfig(width=0.125), 16, 16, (), (), (), torch.device("cpu"),
                  features=features)  # fmt: skip


def make_batch(codes=None, size=32, seed=0, features=True):
    """Blocky random images; the code is Φ(x) unless given."""
    generator = torch.Generator().manual_seed(seed)
    images = F.interpolate(torch.rand(size, 3, 4, 4, generator=generator), scale_factor=4)
    known = phi(images)
    codes = known if codes is None else codes(generator, size)
    return CodeBatch(codes, images, torch.zeros(size, 1), features=known if features else None)


def trained(spec, steps, codes=None):
    torch.manual_seed(0)
    attacker = FeatureAttacker(CONFIG, make_target(spec))
    attacker.set_rate(3e-3)
    for step in range(steps):
        attacker.train_step(make_batch(codes, seed=step + 1))
    return attacker


def test_loss_by_hand():
    predicted = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    features = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    # (1 - .6)² + (0 - .8)² = .8 and 0² + 1² = 1; their mean.
    assert feature_loss(predicted, features).item() == pytest.approx(0.9)


def test_loss_does_not_depend_on_the_length_of_features():
    predicted, features = torch.randn(5, 4), torch.randn(5, 4)
    assert feature_loss(predicted, features).item() == pytest.approx(
        feature_loss(predicted, 100 * features).item(), rel=1e-5
    )


def test_a_step_moves_every_weight_of_the_regressor_and_nothing_else():
    attacker = FeatureAttacker(CONFIG, make_target(CodeSpec("conv1", (6, 12, 12))))
    before = {name: p.detach().clone() for name, p in attacker.regressor.named_parameters()}
    batch = make_batch(lambda g, n: torch.randn(n, 6, 12, 12, generator=g))
    kept = [part.clone() for part in (batch.codes, batch.images, batch.features)]
    # The last layer answers 0 at first, and so hands no gradient on in the first step.
    attacker.train_step(batch)
    attacker.train_step(batch)
    still = [n for n, p in attacker.regressor.named_parameters() if torch.equal(p, before[n])]
    assert still == []
    for part, old in zip((batch.codes, batch.images, batch.features), kept, strict=True):
        assert torch.equal(part, old)


def test_codes_that_are_the_features_give_them_away():
    attacker = trained(CodeSpec("fc", (NUM_FEATURES,)), 300)
    scores = attacker.evaluate([make_batch(seed=1000, size=64)])
    assert scores.score > 0.98
    assert scores.metrics["feature_similarity"] == scores.score
    assert scores.per_image.shape == (64,)
    assert float(scores.per_image.mean()) == pytest.approx(scores.score)


def test_features_are_found_in_a_map():
    attacker = FeatureAttacker(CONFIG, make_target(CodeSpec("input", (3, 16, 16))))
    attacker.set_rate(3e-3)
    for step in range(200):
        batch = make_batch(seed=step + 1)
        attacker.train_step(batch._replace(codes=batch.images))
    batch = make_batch(seed=1000, size=128)
    assert attacker.evaluate([batch._replace(codes=batch.images)]).score > 0.7


def test_noise_gives_nothing_away():
    def noise(generator, size):
        return torch.randn(size, NUM_FEATURES, generator=generator)

    attacker = trained(CodeSpec("fc", (NUM_FEATURES,)), 100, noise)
    scores = attacker.evaluate([make_batch(noise, seed=1000, size=256)])
    assert abs(scores.score) < 0.1


def test_a_constant_code_gives_the_mean_features():
    def constant(generator, size):
        return torch.zeros(size, 8)

    def shifted(images):
        return phi(images) + 5

    torch.manual_seed(0)
    attacker = FeatureAttacker(CONFIG, make_target(CodeSpec("vector", (8,)), shifted))
    for step in range(100):
        attacker.train_step(make_batch(constant, seed=step + 1, features=False))
    batch = make_batch(constant, seed=1000, size=256, features=False)
    mean = F.normalize(shifted(make_batch(size=4096, seed=5).images)).mean(0, keepdim=True)
    best = F.cosine_similarity(mean, shifted(batch.images)).mean().item()
    assert attacker.evaluate([batch]).score == pytest.approx(best, abs=0.01)


def test_features_missing_from_a_batch_are_computed():
    spec = CodeSpec("fc", (NUM_FEATURES,))
    scores = []
    for given in (True, False):
        torch.manual_seed(0)
        attacker = FeatureAttacker(CONFIG, make_target(spec))
        attacker.train_step(make_batch(seed=1, features=given))
        scores.append(attacker.evaluate([make_batch(seed=2, features=given)]).score)
    assert scores[0] == scores[1]


def test_evaluation_is_repeatable_and_leaves_statistics_alone():
    attacker = trained(CodeSpec("fc", (NUM_FEATURES,)), 2)
    before = attacker.weights()
    batch = make_batch(seed=9)
    first, second = (attacker.evaluate([batch]).score for _ in range(2))
    assert first == second
    for key, value in attacker.weights()["regressor"].items():
        assert torch.equal(value, before["regressor"][key])


@pytest.mark.parametrize(
    "spec",
    [
        CodeSpec("vector", (5,)),
        CodeSpec("input", (3, 33, 17)),
        CodeSpec("conv4", (16, 3, 3)),
        CodeSpec("pool2", (8, 54, 44)),
    ],
    ids=str,
)
def test_any_shape_of_code(spec):
    net = build_regressor(spec, channels=8, hidden=16, num_outputs=7)
    assert net(torch.randn(2, *spec.shape)).shape == (2, 7)


def test_scale_of_the_codes_does_not_matter():
    torch.manual_seed(0)
    net = build_regressor(CodeSpec("conv4", (4, 3, 3)), channels=8, hidden=16, num_outputs=7)
    torch.nn.init.normal_(net[-1].weight)
    codes = torch.randn(16, 4, 3, 3)
    # Dropout draws anew in training mode: only the normalisations learn the batch's statistics.
    for part in net.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    torch.testing.assert_close(net(codes), net(1e4 * codes), atol=1e-3, rtol=1e-3)


def test_a_study_without_identity_model_is_refused():
    with pytest.raises(ValueError, match="'feature'.*no identity model"):
        FeatureAttacker(CONFIG, make_target(CodeSpec("fc", (4,)), None))


def test_answers_not_finite_are_an_error():
    attacker = FeatureAttacker(CONFIG, make_target(CodeSpec("fc", (NUM_FEATURES,))))
    batch = make_batch()
    with pytest.raises(NotFiniteError, match="'feature'"):
        attacker.evaluate([batch._replace(codes=torch.full_like(batch.codes, math.nan))])


def test_kind_and_needs():
    assert CONFIG.kind == "feature"
    assert CONFIG.needs_identity
    assert CONFIG.counts
    assert FeatureAttacker.wants_features
