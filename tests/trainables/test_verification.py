"""Φ of stored images on disk, and how well it tells people apart."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from trainables.data.config import DataConfig
from trainables.data.dataset import load_dataset
from trainables.identity import (
    IdentityConfig,
    IdentityModel,
    attacker_rows,
    build_identity,
    face_features,
    features,
    identity_rows,
    load_or_verify,
    public,
    verification,
    verify,
)
from trainables.identity.model import View
from trainables.identity.verification import (
    Verification,
    best_threshold,
    genuine_pairs,
    judge,
    make_pairs,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
real_data = pytest.mark.skipif(
    not (SHARED / "mobilefacenet").is_dir(), reason="../shared/data/mobilefacenet is not here"
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    config = DataConfig(num_images=300, image_size=16)
    return load_dataset(config, tmp_path_factory.mktemp("cache"))


class _Reader(nn.Module):
    """Reads a person's number off the first pixel and makes it a direction; counts its images."""

    def __init__(self, blind=False):
        super().__init__()
        self.blind, self.seen = blind, 0

    def forward(self, x):
        self.seen += len(x)
        # Red and green of the corner hold the number, or the mirrored image's do.
        number = 256 * x[:, 0, 0, 0] * 255 + x[:, 1, 0, 0] * 255
        angle = 0 * number if self.blind else number.round() * 0.618
        return torch.stack([angle.cos(), angle.sin(), angle.mul(1.3).cos()], dim=1)


def _model(net, weights_hash="reader"):
    return IdentityModel("torchscript", net, View(), weights_hash, 3)


@pytest.fixture
def written(dataset):
    """The data with each person's number written into the upper corners of the images."""
    images = dataset.store.images.copy()
    people = dataset.store.identities
    images[:, 0, 0, 0] = images[:, 0, -1, 0] = people // 256
    images[:, 0, 0, 1] = images[:, 0, -1, 1] = people % 256
    return dataclasses.replace(dataset, store=dataclasses.replace(dataset.store, images=images))


def test_genuine_pairs_are_all_there_are():
    pairs = genuine_pairs(np.array([4, 1, 4, 2, 4, 1]))
    assert sorted(map(tuple, pairs.tolist())) == [(0, 2), (0, 4), (1, 5), (2, 4)]
    assert genuine_pairs(np.array([], dtype=np.int64)).shape == (0, 2)


def test_pairs_are_as_many_of_each_kind_without_repeats():
    people = np.arange(60) % 20
    pairs = make_pairs(people, 25, seed=1)
    for index, same in ((pairs.genuine, True), (pairs.impostor, False)):
        assert len(index) == 25
        assert len({tuple(sorted(pair)) for pair in index.tolist()}) == 25
        assert ((people[index[:, 0]] == people[index[:, 1]]) == same).all()
        assert (index[:, 0] != index[:, 1]).all()
    assert np.array_equal(make_pairs(people, 25, seed=1).impostor, pairs.impostor)
    assert not np.array_equal(make_pairs(people, 25, seed=2).genuine, pairs.genuine)
    # Two people, two images each: 2 genuine pairs; one person: no impostors, so nothing.
    assert len(make_pairs(np.array([0, 0, 1, 1]), 25).impostor) == 2
    assert len(make_pairs(np.zeros(5, dtype=np.int64), 25).genuine) == 0


def test_figures_by_hand():
    genuine = torch.tensor([0.9] * 8 + [0.3, 0.1])
    impostor = torch.tensor([0.2] * 9 + [0.5])
    result = judge(genuine, impostor)
    # Of 100 (genuine, impostor) comparisons 80 + 9 + 0 go right.
    assert result.auc == pytest.approx(0.89)
    # The highest impostor is the threshold.
    assert result.tpr_at_1_fmr == pytest.approx(0.8)
    # Wrong: the genuine 0.3, judged at 0.7, and 0.1 with the impostor 0.5, judged at 0.25.
    assert result.accuracy == pytest.approx(17 / 20)
    assert result.num_pairs == 10
    assert result.weak
    assert not judge(torch.full((10,), 0.9), torch.zeros(10)).weak


def test_similarities_that_are_all_the_same_are_chance():
    result = judge(torch.ones(30), torch.ones(30))
    assert result == Verification(0.5, 0.0, 0.5, 30)


def test_accuracy_is_judged_at_a_threshold_of_other_pairs():
    # Every fold but the first is told apart at 0; the first has its pairs the wrong way round.
    genuine, impostor = torch.full((10,), 0.5), torch.full((10,), -0.5)
    genuine[0], impostor[0] = -0.5, 0.5
    assert judge(genuine, impostor).accuracy == pytest.approx(0.9)


def test_best_threshold_by_hand():
    similarity, same = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    assert best_threshold(similarity, same) in (pytest.approx(0.225), pytest.approx(0.6))
    assert best_threshold(np.array([0.2, 0.6]), np.array([True, True])) < 0.2
    assert best_threshold(np.array([0.2, 0.6]), np.array([False, False])) > 0.6


def test_a_model_that_knows_everybody_is_perfect_and_a_blind_one_is_not(written):
    perfect = verify(_model(_Reader()), written)
    assert perfect is not None
    assert perfect.auc > 0.99
    # The test split alone has too few pairs.
    assert perfect.split == "test + selection"
    blind = verify(_model(_Reader(blind=True)), written)
    assert blind is not None
    assert (blind.auc, blind.accuracy, blind.weak) == (0.5, 0.5, True)
    few = verify(_model(_Reader()), written, max_pairs=10)
    assert few is not None
    assert (few.num_pairs, few.split) == (10, "test")


def test_without_pairs_nothing_is_said(written, tmp_path):
    alone = np.arange(len(written.store))
    nobody = dataclasses.replace(
        written, store=dataclasses.replace(written.store, identities=alone)
    )
    model = _model(_Reader())
    assert verify(model, nobody) is None
    assert load_or_verify(model, nobody, tmp_path) is None
    assert load_or_verify(model, nobody, tmp_path) is None
    assert model.net.seen == 0


def test_verification_is_read_from_disk_the_second_time(written, tmp_path, monkeypatch):
    model = _model(_Reader())
    first = load_or_verify(model, written, tmp_path)
    assert first == verify(model, written)
    monkeypatch.setattr(verification, "face_features", None)
    assert load_or_verify(model, written, tmp_path) == first
    with pytest.raises(TypeError):
        load_or_verify(_model(_Reader(), "other weights"), written, tmp_path)


def test_features_are_those_of_the_images_and_of_the_mirrored_ones(dataset, tmp_path):
    model = _model(_Reader())
    faces = face_features(model, dataset, tmp_path)
    rows = np.concatenate([dataset.rows("test")[:3], dataset.rows("public")[:2]])
    images = torch.from_numpy(dataset.store.images[rows]).permute(0, 3, 1, 2) / 255
    flip = np.array([True, False, True, True, False])
    expected = torch.where(
        torch.from_numpy(flip).unsqueeze(1), model(images.flip(3)), model(images)
    )
    torch.testing.assert_close(faces.lookup(rows, flip), expected)
    torch.testing.assert_close(faces.lookup(rows), model(images))
    assert not torch.allclose(faces.lookup(rows), expected)


def test_features_are_computed_once(dataset, tmp_path, monkeypatch):
    model = _model(_Reader())
    faces = face_features(model, dataset, tmp_path)
    attacked = sum(len(dataset.rows(name)) for name in ("public", "selection", "test"))
    assert model.net.seen == 2 * attacked
    again = face_features(model, dataset, tmp_path)
    assert model.net.seen == 2 * attacked
    rows = dataset.rows("selection")
    assert torch.equal(again.lookup(rows), faces.lookup(rows))
    # Other weights have other features.
    monkeypatch.setattr(features, "_compute", None)
    with pytest.raises(TypeError):
        face_features(_model(_Reader(), "other weights"), dataset, tmp_path)


def test_private_rows_have_no_features(dataset, tmp_path):
    faces = face_features(_model(_Reader()), dataset, tmp_path)
    row = int(dataset.rows("private")[-1])
    with pytest.raises(ValueError, match=f"row {row} has no features"):
        faces.lookup(np.array([row]))


def test_features_that_are_not_finite_are_refused(dataset, tmp_path):
    class Broken(nn.Module):
        def forward(self, x):
            return x.new_full((len(x), 3), torch.nan)

    with pytest.raises(ValueError, match="'torchscript': features of row .* are not finite"):
        face_features(_model(Broken()), dataset, tmp_path)
    assert not list(tmp_path.glob("*.pt"))


def test_rows_for_phi_are_whole_people_no_attacker_sees(dataset):
    rows, people = identity_rows(dataset), dataset.store.identities
    others = attacker_rows(IdentityConfig(identity_model="public"), dataset)
    assert sorted([*rows, *others]) == dataset.rows("public").tolist()
    assert not set(people[rows]) & set(people[others])
    assert np.unique(people[rows], return_counts=True)[1].min() >= 2
    assert 0.15 < len(rows) / len(dataset.rows("public")) <= public.SHARE
    assert rows.tolist() == identity_rows(dataset).tolist()


def test_public_model_is_trained_once_and_tells_its_own_people_apart(
    dataset, tmp_path, monkeypatch
):
    monkeypatch.setattr(public, "STEPS", (40, 40))
    config = IdentityConfig(identity_model="public")
    torch.manual_seed(3)
    before = torch.get_rng_state()
    model = build_identity(config, dataset, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
    rows = identity_rows(dataset)
    images = torch.from_numpy(dataset.store.images[rows]).permute(0, 3, 1, 2) / 255
    unit = nn.functional.normalize(model(images), dim=1)
    same = torch.from_numpy(dataset.store.identities[rows])
    same = same.unsqueeze(0) == same.unsqueeze(1)
    cosines = unit @ unit.T
    assert cosines[same].mean() > cosines[~same].mean() + 0.3
    monkeypatch.setattr(public, "_train", None)
    assert build_identity(config, dataset, tmp_path).hash == model.hash


def test_public_model_needs_people(tmp_path):
    alone = DataConfig(num_images=60, image_size=16, utility="Eyeglasses")
    with pytest.raises(ValueError, match="people with two images or more.*of its 10 images"):
        identity_rows(load_dataset(alone, tmp_path))


def test_margin_loss_by_hand(monkeypatch):
    features, centres = torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    monkeypatch.setattr(public, "SCALE", 1.0)
    # Cosines 1 and 0, the right one lowered to 0.8: −log of its softmax.
    loss = public.margin_loss(features, centres, torch.tensor([0]))
    assert loss.item() == pytest.approx(np.log(1 + np.exp(-0.8)), rel=1e-5)


@pytest.mark.real_data
@pytest.mark.slow
@real_data
def test_mobilefacenet_reaches_its_figures_on_celeba(tmp_path):
    config = DataConfig(source="celeba", root=SHARED / "celeba-10k", image_size=72)
    dataset = load_dataset(config, tmp_path)
    everything = dataclasses.replace(dataset.splits, test=np.arange(len(dataset.store)))
    model = build_identity(
        IdentityConfig(
            identity_model="mobilefacenet",
            identity_weights=SHARED / "mobilefacenet" / "weights.safetensors",
        ),
        dataset,
        tmp_path,
    )
    assert model is not None
    result = verify(model, dataclasses.replace(dataset, splits=everything))
    assert result is not None
    assert result.num_pairs == 800
    assert result.auc == pytest.approx(0.978, abs=0.01)
    assert result.tpr_at_1_fmr > 0.75
