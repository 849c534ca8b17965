"""The pictures that are kept: whose they are, and another image of the same person beside them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainables.trial_probe import DATA
from trainables.data.dataset import load_dataset
from trainables.encodings import Encodings
from trainables.frozen import load_encoder
from trainables.pictures import keep_pictures

COUNT = 12


@pytest.fixture(scope="module")
def encodings(tmp_path_factory):
    dataset = load_dataset(DATA, tmp_path_factory.mktemp("cache"))
    return Encodings(load_encoder("constant", 32, 32), dataset, torch.device("cpu"))


def keep(encodings, folder, count=COUNT):
    return keep_pictures(
        encodings, count, "decoder", lambda codes: torch.zeros(len(codes), 3, 32, 32), folder
    )


def tiles(path):
    return np.split(np.asarray(Image.open(path)), COUNT, axis=1)


def test_beside_each_image_stands_another_one_of_its_person(encodings, tmp_path):
    assert keep(encodings, tmp_path) == str(tmp_path / "decoder.png")
    store, rows = encodings.dataset.store, encodings.dataset.rows("test")
    who = store.identities[rows]
    said = json.loads((tmp_path / "people.json").read_text())
    originals, others = tiles(tmp_path / "originals.png"), tiles(tmp_path / "others.png")
    for place in range(COUNT):
        np.testing.assert_array_equal(originals[place], store.images[rows[place]])
        same = [row for row in np.flatnonzero(who == who[place]) if row != place]
        assert said["others"][place] == bool(same)
        expected = store.images[rows[same[0]]] if same else np.zeros((32, 32, 3))
        np.testing.assert_array_equal(others[place], expected)
    assert {True, False} == set(said["others"]), "both kinds are among these avatars"
    pairs = set(zip(said["people"], who[:COUNT].tolist(), strict=True))
    assert len(pairs) == len({*said["people"]}) == len({*who[:COUNT].tolist()}), "one to one"
    assert said["people"][0] == 0, "a name of its own is nobody's business"


def test_the_same_images_are_kept_every_time(encodings, tmp_path):
    for folder in ("once", "again"):
        keep(encodings, tmp_path / folder)
    for name in ("originals.png", "others.png", "people.json"):
        once, again = ((tmp_path / folder / name).read_bytes() for folder in ("once", "again"))
        assert once == again


def test_where_everybody_has_one_image_no_other_is_kept(encodings, tmp_path, monkeypatch):
    alone = np.arange(len(encodings.dataset.rows("test")))
    monkeypatch.setattr(encodings, "people", lambda split: alone)
    keep(encodings, tmp_path)
    assert not (tmp_path / "others.png").exists()
    said = json.loads((tmp_path / "people.json").read_text())
    assert said == {"people": list(range(COUNT)), "others": [False] * COUNT}


def test_nothing_is_kept_where_nothing_is_asked_for(encodings, tmp_path):
    assert keep(encodings, tmp_path / "none", 0) is None
    assert not (tmp_path / "none").exists()
