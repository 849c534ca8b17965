"""The data set as the trials see it, and what is refused before any work starts."""

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.trainables.celeba_fixture import write_celeba
from trainables.data.config import DataConfig
from trainables.data.dataset import check_source, load_dataset, resolve_attributes
from trainables.data.source import DataError
from trainables.data.sources import SOURCES, make_source
from trainables.data.splits import SPLIT_NAMES

NAMES = ("Smiling", "Male", "Hat")


def _config(**changed: Any) -> DataConfig:
    return DataConfig(**({"image_size": 16, "num_images": 400} | changed))


def test_loads_avatars_with_their_parts(tmp_path: Path) -> None:
    data = load_dataset(_config(private=("Hat",), utility=("Beard", "Smiling")), tmp_path)
    assert data.utility_names == ("Beard", "Smiling")
    assert [data.attribute_names[column] for column in data.utility_columns] == ["Beard", "Smiling"]
    assert [data.attribute_names[column] for column in data.private_columns] == ["Hat"]
    assert [len(data.rows(name)) for name in SPLIT_NAMES] == [256, 64, 32, 48]
    assert data.store.images.shape == (400, 16, 16, 3)
    assert data.content_hash == data.store.content_hash


def test_loading_twice_gives_the_same(tmp_path: Path) -> None:
    first = load_dataset(_config(split="identity"), tmp_path)
    again = load_dataset(_config(split="identity"), tmp_path, verify=True)
    assert again.describe() == first.describe()
    assert again.splits.hash == first.splits.hash


def test_describe_counts_by_hand(tmp_path: Path) -> None:
    data = load_dataset(_config(image_size=(16, 24), private=("Hat",)), tmp_path)
    about = json.loads(json.dumps(data.describe()))
    assert (about["height"], about["width"], about["num_images"]) == (16, 24, 400)
    assert about["split_sizes"] == {"private": 256, "public": 64, "selection": 32, "test": 48}
    column = data.attribute_names.index("Hat")
    positive = sum(int(value) for value in data.store.labels[data.rows("test"), column]) / 48
    assert about["attributes"]["Hat"]["positive_rate"] == pytest.approx(positive)
    assert about["attributes"]["Hat"]["majority_rate"] == pytest.approx(max(positive, 1 - positive))
    assert about["num_identities"] == len(set(data.store.identities.tolist()))
    assert "Hat" not in about["utility"]
    assert about["private"] == ["Hat"]
    assert about["num_skipped"] == 0


def test_exclusive_looks_at_the_utility_attributes_alone(tmp_path: Path) -> None:
    data = load_dataset(_config(private=("Hat",), utility=("Beard", "Smiling")), tmp_path)
    both = (data.store.labels[:, data.utility_columns] == 1).all(axis=1)
    assert both.any(), "or the test says nothing"
    assert not data.exclusive
    assert not data.categorical
    labels = data.store.labels.copy()
    labels[both, data.utility_columns[0]] = 0
    apart = dataclasses.replace(data, store=dataclasses.replace(data.store, labels=labels))
    assert apart.exclusive
    assert not dataclasses.replace(apart, utility_names=("Beard", "Smiling", "Hat")).exclusive
    assert dataclasses.replace(data, utility_names=("Beard",)).exclusive


def test_categories_are_exclusive(tmp_path: Path) -> None:
    data = load_dataset(_config(), tmp_path)
    labels = np.eye(len(data.attribute_names), dtype=np.uint8)[np.arange(400) % 10]
    scenes = dataclasses.replace(data, store=dataclasses.replace(data.store, labels=labels))
    assert scenes.categorical
    assert scenes.exclusive


def test_all_means_all_that_are_not_private() -> None:
    assert resolve_attributes(_config(private=("Male",)), NAMES) == (("Smiling", "Hat"), ("Male",))
    assert resolve_attributes(_config(utility="Hat"), NAMES) == (("Hat",), ())
    with pytest.raises(DataError, match="'all' leaves nothing"):
        resolve_attributes(_config(private=NAMES), NAMES)


def test_unknown_attributes_fail_with_the_closest_and_the_known() -> None:
    with pytest.raises(
        DataError,
        match="data.private: attribute 'Smilling' is unknown; did you mean 'Smiling'.*"
        "known: Smiling, Male, Hat",
    ):
        resolve_attributes(_config(private=("Smilling",)), NAMES)
    with pytest.raises(DataError, match="data.utility: attribute 'Xyz' is unknown; known:"):
        resolve_attributes(_config(utility=("Xyz",)), NAMES)
    with pytest.raises(DataError, match="data.private: attribute 'Hat' is given twice"):
        resolve_attributes(_config(private=("Hat", "Hat")), NAMES)


def test_bad_names_fail_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Hut"):
        load_dataset(_config(private=("Hut",)), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_constant_attribute_is_warned_of(tmp_path: Path) -> None:
    root = write_celeba(tmp_path / "celeba")
    path = root / "list_attr_celeba.txt"
    lines = path.read_text().splitlines()
    lines[2:] = [line[: line.rindex(" ")].rstrip("-").rstrip() + " 1" for line in lines[2:]]
    path.write_text("\n".join(lines))
    config = DataConfig(source="celeba", root=root, image_size=16, fractions=(0.4, 0.2, 0.2, 0.2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_dataset(config, tmp_path / "cache")
    assert len(caught) == 4
    assert "single value in the 'test' split (12 images): Hat" in str(caught[-1].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_dataset(config.model_copy(update={"utility": ("Smiling",)}), tmp_path / "cache")


def test_a_private_attribute_that_no_attacker_could_learn_is_refused(tmp_path: Path) -> None:
    root = write_celeba(tmp_path / "celeba")
    path = root / "list_attr_celeba.txt"
    lines = path.read_text().splitlines()
    lines[2:] = [line[: line.rindex(" ")].rstrip("-").rstrip() + " 1" for line in lines[2:]]
    path.write_text("\n".join(lines))
    config = DataConfig(source="celeba", root=root, image_size=16, private=("Hat",))
    words = r"data.private: attribute 'Hat' has a single value \(1\) in the 'public' split \(10 im"
    with pytest.raises(DataError, match=words):
        check_source(config)
    with pytest.raises(DataError, match=words):
        load_dataset(config, tmp_path / "cache")


def test_official_split_of_celeba(tmp_path: Path) -> None:
    root = write_celeba(tmp_path / "celeba")
    config = DataConfig(source="celeba", root=root, image_size=16, split="official")
    outline = check_source(config)
    assert outline.attribute_names == NAMES
    assert outline.split_sizes == {"private": 32, "public": 8, "selection": 10, "test": 10}
    data = load_dataset(config, tmp_path / "cache")
    assert [len(data.rows(name)) for name in SPLIT_NAMES] == [32, 8, 10, 10]
    assert data.rows("selection").tolist() == list(range(40, 50))


def test_check_source_finds_what_is_wrong_without_decoding(tmp_path: Path) -> None:
    root = write_celeba(tmp_path / "celeba")
    good = DataConfig(source="celeba", root=root, image_size=16)
    assert check_source(good).attribute_names == NAMES
    assert check_source(_config()).attribute_names[0] == "Smiling"
    (root / "list_eval_partition.txt").unlink()
    with pytest.raises(DataError, match="data.split: 'official'.*partition"):
        check_source(good.model_copy(update={"split": "official"}))
    with pytest.raises(DataError, match="Mael.*did you mean 'Male'"):
        check_source(good.model_copy(update={"private": ("Mael",)}))
    (root / "img_align_celeba" / "000002.jpg").unlink()
    with pytest.raises(DataError, match=r"000002\.jpg: missing"):
        check_source(good)


def test_every_source_of_the_configuration_is_in_the_table() -> None:
    names = DataConfig.model_json_schema()["properties"]["source"]["enum"]
    assert set(names) == set(SOURCES)
    assert len(make_source(DataConfig())) == 4000


@pytest.mark.parametrize(
    "changed,message",
    [
        ({"image_size": 8}, "at least 16 pixels"),
        ({"image_size": (32, 8)}, "at least 16 pixels"),
        ({"fractions": (0.5, 0.5, 0.5, 0.5)}, "sum to 1"),
        ({"fractions": (1.0, 0.0, 0.0, 0.0)}, "above 0"),
        ({"source": "celeba"}, "root"),
        ({"root": "somewhere"}, "avatars are drawn"),
        ({"source": "folder"}, "root"),
        ({"split": "official"}, "comes with a split, 'celeba' or 'folder'; got 'avatars'"),
        ({"categories": ("Hat", "Beard")}, "'avatars' has none, .*'folder' has; .*'Hat', 'Beard'"),
        ({"utility": ("Hat",), "private": ("Hat",)}, "Hat cannot be both"),
        ({"utility": ()}, "at least one"),
        ({"num_images": 10}, "num_images"),
        ({"seed": -1}, "seed"),
        ({"sauce": "avatars"}, "sauce"),
    ],
)
def test_bad_settings_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DataConfig(**changed)


def test_settings_accept_plain_text_and_survive_a_round_trip() -> None:
    plain = {"source": "celeba", "root": "faces", "utility": "Smiling, Hat", "private": "Male"}
    config = DataConfig.model_validate(plain)
    assert config.utility == ("Smiling", "Hat")
    assert config.private == ("Male",)
    assert config.root is not None
    assert config.root.is_absolute()
    assert DataConfig.model_validate(config.model_dump(mode="json")) == config
    assert (config.height, config.width) == (32, 32)
    tall = DataConfig.model_validate({"image_size": [48, 32]})
    assert (tall.height, tall.width) == (48, 32)


def test_splits_use_the_stored_rows_and_not_the_listed_ones(tmp_path: Path) -> None:
    data = load_dataset(_config(), tmp_path)
    rows = np.concatenate([data.rows(name) for name in SPLIT_NAMES])
    assert np.sort(rows).tolist() == list(range(len(data.store)))
