"""Views that attackers share: encoded once, the same for all, and no more than are asked for."""

import numpy as np
import pytest
import torch

from tests.trainables.trial_probe import DATA, attack_config, finish, protect_config, without_times
from trainables.attack import AttackTrial
from trainables.data.augment import random_views
from trainables.data.batches import Batch
from trainables.data.dataset import load_dataset
from trainables.encodings import Encodings
from trainables.frozen import constant_encoder, identity_encoder
from trainables.protect import ProtectTrial
from trainables.view_codes import VIEWS, ViewCodes, Views

CPU = torch.device("cpu")
IMAGES = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(9))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("stores")


class Pieces:
    """Five images in batches of three and two, whose codes are the images' doubles."""

    def __init__(self):
        self.encoded = 0

    def batches(self):
        for own in IMAGES.split(3):
            yield Batch(own, torch.zeros(len(own), 1), np.empty(0, np.int64))

    def encode(self, batch):
        self.encoded += len(batch.images)
        return 2 * batch.images


def test_a_draw_is_of_the_kept_views_of_its_images():
    pieces = Pieces()
    shared = ViewCodes(pieces.batches, pieces.encode, 5)
    places = torch.tensor([4, 0, 4, 2] * 10)
    only = shared.draw(places, Views(1, kept=1))
    # View 0 of all five images, drawn in their order.
    generator = torch.Generator().manual_seed(0)
    first = torch.cat([random_views(own, generator) for own in IMAGES.split(3)])
    assert torch.equal(only, 2 * first[places])
    assert pieces.encoded == 5
    drawn = shared.draw(places, Views(1, kept=3))
    assert pieces.encoded == 15
    generator = torch.Generator().manual_seed(2)
    third = torch.cat([random_views(own, generator) for own in IMAGES.split(3)])
    is_third = (drawn == 2 * third[places]).flatten(1).all(dim=1)
    assert 4 < is_third.sum() < 24  # of 40, a third
    assert torch.equal(drawn, shared.draw(places, Views(1, kept=3)))
    assert not torch.equal(drawn, shared.draw(places, Views(2, kept=3)))
    assert pieces.encoded == 15
    # Whoever needed many views first leaves the same ones to the next.
    assert torch.equal(only, shared.draw(places, Views(1, kept=1)))


def test_no_attack_encodes_more_than_it_draws():
    shared = ViewCodes(Pieces().batches, Pieces().encode, 5)
    assert [shared.kept_after(drawn) for drawn in (0, 4, 5, 14, 15)] == [1, 1, 2, 3, 4]
    assert shared.kept_after(10**6) == VIEWS


def test_views_are_shared_where_they_fit_and_codes_repeat(cache):
    dataset = load_dataset(DATA, cache)
    encoder = identity_encoder(32, 32)
    num_public = len(dataset.rows("public"))
    fits = num_public * VIEWS * 3 * 32 * 32 * 4
    encodings = Encodings(encoder, dataset, CPU, fits)
    assert Encodings(encoder, dataset, CPU, fits - 1).view_codes is None
    rows, flip = dataset.rows("public")[[3, 0, 7]], np.zeros(3, bool)
    batch = encodings.public_batch(rows, flip, Views(4, kept=2))
    plain = encodings.public_batch(rows, flip)
    assert torch.equal(batch.images, plain.images)
    assert torch.equal(batch.labels, plain.labels)
    assert torch.equal(batch.people, plain.people)
    # Standardised as all codes are.
    places = torch.tensor([3, 0, 7])
    raw = encodings.view_codes.draw(places, Views(4, kept=2)) * encodings.scale + encodings.mean
    assert raw.min() > -1e-5
    assert raw.max() < 1 + 1e-5
    assert torch.equal(batch.codes, encodings.view_codes.draw(places, Views(4, kept=2)))


def test_an_attacker_is_the_same_alone_after_another_and_after_a_stop(cache, tmp_path):
    finish(ProtectTrial(protect_config(cache, tmp_path / "e", rounds=2, batch_size=16)))

    def trial(name, attackers):
        encoder = tmp_path / "e" / "encoder.pt"
        values = {"augment": True, "max_steps": 60}
        return AttackTrial(attack_config(cache, tmp_path / name, encoder, attackers, **values))

    def result(trial):
        (found,) = [
            entry for entry in finish(trial)[-1]["results"] if entry["attacker"] == "attribute"
        ]
        return without_times(found)

    alone = trial("alone", ["attribute"])
    expected = result(alone)
    encoded = alone.encodings.view_codes
    # 60 steps of 32 images, of 96 public ones.
    assert encoded is not None
    assert encoded.kept_after(60 * 32) == 21
    assert result(trial("second", ["attribute_mlp", "attribute"])) == expected
    stopped = trial("stopped", ["attribute"])
    stopped.step()
    stopped.save(tmp_path / "state")
    again = trial("again", ["attribute"])
    again.load(tmp_path / "state")
    assert result(again) == expected


def test_who_looks_at_images_gets_new_views(cache, tmp_path):
    encoder = constant_encoder()
    dataset = load_dataset(DATA, cache)
    assert Encodings(encoder, dataset, CPU).view_codes is not None
    trial = AttackTrial(attack_config(cache, tmp_path / "a", "identity", ["decoder"], augment=True))
    assert trial._views(trial.attacker) == Views(trial._views(trial.attacker).seed)
    assert trial._views(trial.attacker).kept is None
