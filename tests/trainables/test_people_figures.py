"""Figures over people, from an encoder or an attacker's answers to the figures."""

import pytest
import torch

from tests.trainables.trial_probe import DATA
from trainables import people_figures
from trainables.data.dataset import load_dataset
from trainables.encodings import Encodings, Knowledge
from trainables.frozen import load_encoder
from trainables.identity import FaceFeatures
from trainables.people import chance_lda_score, variances
from trainables.people_figures import answer_figures, code_figures
from trainables.scores import Scores


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
    assert code_figures(encodings) == pytest.approx(expected)


def test_with_little_room_the_first_people_speak_for_all(dataset, monkeypatch):
    encodings = encodings_of("identity", dataset)
    monkeypatch.setattr(people_figures, "MAX_VALUES", 12 * encodings.encoder.spec.num_values)
    few = code_figures(encodings)
    assert 0 < few["lda_score"] < 10
    monkeypatch.setattr(people_figures, "MAX_VALUES", 0)
    assert code_figures(encodings) == {}


def test_a_code_that_is_the_same_for_all_has_variances_of_nothing(dataset):
    figures = code_figures(encodings_of("constant", dataset))
    assert (figures["within"], figures["between"], figures["lda_score"]) == (0, 0, 0)


def with_faces(dataset):
    """Encodings beside a Φ that answers with who is on the image, as a direction of its own."""
    rows = torch.arange(len(dataset.store)).numpy()
    people = torch.tensor(dataset.store.identities)
    faces = torch.nn.functional.one_hot(people).float()
    knowledge = Knowledge(dataset.rows("public"), FaceFeatures(rows, faces, faces))
    encoder = load_encoder("constant", 32, 32)
    return Encodings(encoder, dataset, torch.device("cpu"), knowledge=knowledge)


def test_people_are_found_by_answers_that_are_their_faces(dataset):
    encodings = with_faces(dataset)
    faces = encodings.features("test")
    found = answer_figures(Scores(1.0, {}, features=faces), encodings)
    assert found["rank1"] == found["quiz_accuracy"] == 1
    # The same answer for everybody is every person's as much as anyone's.
    same = answer_figures(Scores(1.0, {}, features=torch.ones_like(faces)), encodings)
    assert same["rank1"] == pytest.approx(same["chance_rank1"])
    assert same["quiz_accuracy"] == 0.25
    # An attacker that answers for the first images is asked for those alone.
    first = answer_figures(Scores(1.0, {}, features=faces[:40]), encodings)
    assert 0 < first["num_probes"] < found["num_probes"]
    assert 0 < first["num_quiz_images"] < found["num_quiz_images"]


def test_people_are_not_looked_for_without_features(dataset):
    assert answer_figures(Scores(0.5, {}), with_faces(dataset)) == {}
    plain = encodings_of("constant", dataset)
    assert answer_figures(Scores(0.5, {}, features=torch.ones(3, 2)), plain) == {}


def test_the_worst_are_those_who_leak_most(dataset):
    each = torch.zeros(len(dataset.rows("test")))
    each[:3] = 1
    found = answer_figures(Scores(0.0, {}, each), encodings_of("constant", dataset))
    assert found["worst_decile"] == pytest.approx(3 / -(-len(each) // 10))
    assert found["worst_decile_people"] > 0
