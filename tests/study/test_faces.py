"""What a study asks of its identity model, and of its people, before anything starts."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from study.faces import check_people, prepare_identity
from study.tasks import check_shares
from trainables.data.config import DataConfig
from trainables.data.dataset import load_dataset
from trainables.errors import ConfigError

WORDS = ("data.num_images=300", "attack.identity_model=public")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def load(config, cache):
    return load_dataset(DataConfig(**config.data.model_dump()), cache)


def test_without_an_identity_model_nothing_is_looked_at(make_config, cache) -> None:
    config = make_config("data.num_images=300")
    output = io.StringIO()
    assert prepare_identity(config, load(config, cache), cache, Console(file=output)) == {}
    assert output.getvalue() == ""


def test_its_figures_are_found_once_and_a_weak_one_is_called_so(make_config, cache) -> None:
    config = make_config(*WORDS)
    dataset, output = load(config, cache), io.StringIO()
    facts = prepare_identity(config, dataset, cache, Console(file=output, width=200))
    assert facts["model"] == "public"
    assert 0 <= facts["auc"] <= 1
    assert facts["num_pairs"] > 0
    assert 0 <= facts["quiz_accuracy"] <= 1, "of four faces"
    assert facts["weak"] == (facts["auc"] < 0.9)
    assert ("too weak to judge faces" in output.getvalue()) == facts["weak"]
    again = prepare_identity(config, dataset, cache, Console(file=io.StringIO()))
    assert again == facts


def test_re_identification_needs_people_to_find(make_config, cache) -> None:
    words = [*WORDS, "attack.suite=[decoder, reidentify]"]
    config = make_config(*words)
    check_people(config, load(config, cache))
    dataset = load(config, cache)
    strangers = np.arange(len(dataset.store), dtype=np.int64)
    alone = replace(dataset, store=replace(dataset.store, identities=strangers))
    with pytest.raises(ConfigError, match="'reidentify' needs two people with two images"):
        check_people(config, alone)
    check_people(make_config("data.num_images=300"), alone)


def test_a_share_without_both_values_is_refused(make_config, cache) -> None:
    words = ["data.num_images=300", "attack.suite=[decoder, attribute-data-0.1]"]
    config = make_config(*words)
    dataset = load(config, cache)
    labels = dataset.store.labels.copy()
    labels[:, dataset.private_columns] = 0
    labels[dataset.rows("public")[:1], dataset.private_columns[0]] = 1
    rare = replace(dataset, store=replace(dataset.store, labels=labels))
    check_shares(config, dataset)
    with pytest.raises(ConfigError, match="'attribute-data-0.1' has 5 public images, all or none"):
        check_shares(config, rare)
