"""How far codes tell people apart, from an encoder to the figures."""

import pytest
import torch

import trainables.code_figures as code_figures
from tests.trainables.trial_probe import DATA
from trainables.code_figures import people_figures
from trainables.data.dataset import load_dataset
from trainables.encodings import Encodings
from trainables.frozen import load_encoder
from trainables.people import chance_lda_score, variances


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return load_dataset(DATA, tmp_path_factory.mktemp("cache"))


def encodings_of(name, dataset):
    return Encodings(load_encoder(name, 32, 32), dataset, torch.device("cpu"))


def test_figures_are_those_of_all_test_codes(dataset):
    encodings = encodings_of("identity", dataset)
    codes = torch.cat([batch.codes for batch in encodings.split_batches("test")])
    who = encodings.people("test")
    expected = {**variances(codes, who)._asdict(), "chance_lda_score": chance_lda_score(who)}
    assert people_figures(encodings) == pytest.approx(expected)


def test_with_little_room_the_first_people_speak_for_all(dataset, monkeypatch):
    encodings = encodings_of("identity", dataset)
    monkeypatch.setattr(code_figures, "MAX_VALUES", 12 * encodings.encoder.spec.num_values)
    few = people_figures(encodings)
    assert 0 < few["lda_score"] < 10
    monkeypatch.setattr(code_figures, "MAX_VALUES", 0)
    assert people_figures(encodings) == {}


def test_a_code_that_is_the_same_for_all_has_variances_of_nothing(dataset):
    figures = people_figures(encodings_of("constant", dataset))
    assert (figures["within"], figures["between"], figures["lda_score"]) == (0, 0, 0)
