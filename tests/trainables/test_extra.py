"""The attacker's own images: any folder of them, told by content alone, never the study's own."""

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.trainables.celeba_fixture import image_name, write_celeba
from tests.trainables.test_lfw import write_people
from trainables.data.config import DataConfig
from trainables.data.dataset import Dataset, check_source, load_dataset
from trainables.data.extra import ExtraSource
from trainables.data.source import DataError

PEOPLE = {f"Person_{number:02d}": 1 + number % 3 for number in range(12)}  # 24 images


def _config(**changed: Any) -> DataConfig:
    return DataConfig(**({"image_size": 16, "num_images": 60, "utility": ("Hat",)} | changed))


def _flat(root: Path, count: int = 5) -> Path:
    """Writes images 40 wide and 30 high, all of one level each, 60 and more: not drawn by name."""
    root.mkdir(parents=True)
    for index in reversed(range(count)):
        Image.new("RGB", (40, 30), (60 + index,) * 3).save(root / f"{index:03d}.png")
    return root


def _load(tmp_path: Path, extra: Path, **changed: Any) -> Dataset:
    return load_dataset(_config(extra_public=extra, **changed), tmp_path / "cache", verify=True)


def test_people_are_stored_at_the_studys_size_without_labels(tmp_path: Path) -> None:
    root = write_people(tmp_path / "lfw-deepfunneled", PEOPLE).parent
    data = _load(tmp_path, root, image_size=(16, 24))
    assert data.extra is not None
    assert data.extra.images.shape == (24, 16, 24, 3)
    assert data.extra.labels.shape == (24, 0)
    assert data.extra.attribute_names == ()
    assert data.extra.partition is None
    assert data.extra.identities[:12].tolist() == list(range(12))
    assert data.extra.identities[12:20].tolist() == [1, 2, 4, 5, 7, 8, 10, 11]
    # Person k is 20k + the image's number from 0; grey at every place.
    level = data.extra.images[:, 8, 8, 0].astype(int)
    assert np.abs(level[:12] - 20 * np.arange(12)).max() <= 1
    assert np.abs(level[12:14] - [21, 41]).max() <= 1


def test_images_in_one_folder_come_by_name_and_each_is_a_person(tmp_path: Path) -> None:
    data = _load(tmp_path, _flat(tmp_path / "more"))
    assert data.extra is not None
    assert data.extra.images[:, 8, 8, 0].tolist() == [60, 61, 62, 63, 64]
    assert len(set(data.extra.identities.tolist())) == 5
    assert (data.extra.identities < 0).all()


def test_the_first_images_are_of_different_people(tmp_path: Path) -> None:
    root = write_people(tmp_path / "people", PEOPLE)
    data = _load(tmp_path, root, extra_images=10)
    assert data.extra is not None
    assert data.extra.identities.tolist() == list(range(10))
    more = _load(tmp_path, root, extra_images=14)
    assert more.extra is not None
    assert np.array_equal(more.extra.images[:10], data.extra.images)
    with pytest.raises(DataError, match=r"data\.extra_images: .* holds 24 images, got 25"):
        check_source(_config(extra_public=root, extra_images=25))


def test_nothing_changes_without_extra_images(tmp_path: Path) -> None:
    plain = load_dataset(_config(), tmp_path / "cache")
    assert plain.extra is None
    assert not [key for key in plain.describe() if "extra" in key]
    about = _load(tmp_path, _flat(tmp_path / "more")).describe()
    added = {key: about.pop(key) for key in list(about) if "extra" in key}
    assert about == plain.describe()
    assert added.keys() == {"num_extra_public", "num_extra_skipped", "extra_hash"}
    assert (added["num_extra_public"], added["num_extra_skipped"]) == (5, 0)


def test_the_hash_is_of_the_content_wherever_it_lies(tmp_path: Path) -> None:
    root = write_people(tmp_path / "here" / "lfw", PEOPLE).parent
    before = _load(tmp_path, root).describe()["extra_hash"]
    stores = sorted((tmp_path / "cache").glob("extra-*.arrow"))
    shutil.move(root / "lfw", tmp_path / "there")
    assert _load(tmp_path, tmp_path / "there").describe()["extra_hash"] == before
    assert sorted((tmp_path / "cache").glob("extra-*.arrow")) == stores, "is not stored again"
    shutil.rmtree(tmp_path / "cache")
    assert _load(tmp_path, tmp_path / "there").describe()["extra_hash"] == before
    Image.new("RGB", (96, 96), (250, 0, 0)).save(
        tmp_path / "there" / "Person_03" / "Person_03_0001.jpg"
    )
    assert _load(tmp_path, tmp_path / "there").describe()["extra_hash"] != before


def test_an_unreadable_image_is_left_out_and_counted(tmp_path: Path) -> None:
    root = _flat(tmp_path / "more", 120)
    (root / "007.png").write_bytes(b"not an image")
    with pytest.warns(UserWarning, match=r"unreadable image left out: .*007\.png"):
        data = _load(tmp_path, root)
    assert data.extra is not None
    assert len(data.extra) == 119
    assert data.describe()["num_extra_skipped"] == 1
    assert data.extra.images[:, 8, 8, 0].tolist() == [60 + n for n in range(120) if n != 7]


def test_many_unreadable_images_are_refused(tmp_path: Path) -> None:
    root = _flat(tmp_path / "more")
    (root / "001.png").write_bytes(b"not an image")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match=r"data\.extra_public: 1 of the first 5 .*001\.png"):
            _load(tmp_path, root)


def test_an_unreadable_first_image_does_not_hide_whose_they_are(tmp_path: Path) -> None:
    root = write_people(tmp_path / "people", PEOPLE)
    before = ExtraSource(root).settings()["lfw_side"]
    (root / "Person_00" / "Person_00_0001.jpg").write_bytes(b"")
    assert ExtraSource(root).settings()["lfw_side"] == before == 96


def test_people_of_other_sizes_are_cut_as_the_studys_own(tmp_path: Path) -> None:
    picture = np.zeros((109, 89, 3), dtype=np.uint8)
    picture[:, :8] = picture[:, -8:] = 255  # CelebA's crop leaves 10% off each side
    (tmp_path / "other" / "Ann").mkdir(parents=True)
    Image.fromarray(picture).save(tmp_path / "other" / "Ann" / "1.png")
    assert ExtraSource(tmp_path / "other").settings()["lfw_side"] is None
    root = write_celeba(tmp_path / "celeba")
    own = load_dataset(
        _config(source="celeba", root=root, extra_public=tmp_path / "other"), tmp_path / "cache"
    )
    drawn = load_dataset(_config(extra_public=tmp_path / "other"), tmp_path / "cache")
    assert own.extra is not None
    assert drawn.extra is not None
    assert own.extra.images.max() < 40
    assert drawn.extra.images.max() == 255


@pytest.mark.parametrize("split,row", [("private", 0), ("selection", 45), ("test", 55)])
def test_the_studys_own_images_are_refused(tmp_path: Path, split: str, row: int) -> None:
    root = write_celeba(tmp_path / "celeba")
    copied = tmp_path / "more"
    copied.mkdir()
    config = _config(source="celeba", root=root, split="official", extra_public=copied)
    data = load_dataset(config.model_copy(update={"extra_public": None}), tmp_path / "cache")
    public = int(data.rows("public")[0])
    row = int(data.rows("private")[0]) if split == "private" else row
    for number in (public, row):
        shutil.copy(root / "img_align_celeba" / image_name(number), copied)
    size = len(data.rows(split))
    words = rf"data\.extra_public: 1 of the {size} images of the '{split}' split are among its"
    with pytest.raises(DataError, match=words):
        load_dataset(config, tmp_path / "cache", verify=True)
    (copied / image_name(row)).unlink()
    assert load_dataset(config, tmp_path / "cache", verify=True).extra is not None


def test_what_is_wrong_is_found_without_decoding(tmp_path: Path) -> None:
    wrong = tmp_path / "nowhere"
    with pytest.raises(DataError, match=r"data\.extra_public: .*nowhere is no folder; give a"):
        check_source(_config(extra_public=wrong))
    wrong.mkdir()
    words = r"data\.extra_public: .*nowhere holds no images; give .*\.jpg.*a folder .* per person"
    with pytest.raises(DataError, match=words):
        check_source(_config(extra_public=wrong))
    (wrong / "Ann" / "deeper").mkdir(parents=True)
    Image.new("RGB", (96, 96)).save(wrong / "Ann" / "deeper" / "1.jpg")
    with pytest.raises(DataError, match="holds no images"):
        check_source(_config(extra_public=wrong))
    Image.new("RGB", (96, 96)).save(wrong / "Ann" / "2.jpg")
    check_source(_config(extra_public=wrong))
    Image.new("RGB", (96, 96)).save(wrong / "3.jpg")
    with pytest.raises(DataError, match=r"images \(3\.jpg\) beside folders .* \(Ann/2\.jpg\)"):
        check_source(_config(extra_public=wrong))
    (wrong / "3.jpg").unlink()
    (wrong / "Ann" / "4.jpg").symlink_to(wrong / "gone.jpg")
    with pytest.raises(DataError, match=r"data\.extra_public: .*4\.jpg: cannot be read"):
        check_source(_config(extra_public=wrong))


def test_checking_decodes_nothing(tmp_path: Path) -> None:
    root = _flat(tmp_path / "more")
    for path in root.iterdir():
        path.write_bytes(b"not an image")
    check_source(_config(extra_public=root))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    root = write_people(tmp_path / "people", PEOPLE)
    (root / "Person_01").chmod(0)
    with pytest.raises(DataError, match=r"data\.extra_public: .*Person_01: cannot be read"):
        check_source(_config(extra_public=root))


def test_bad_extra_images_fail_before_the_study_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        _load(tmp_path, tmp_path / "nowhere")
    assert not (tmp_path / "cache").exists()


def test_settings_of_the_extra_images() -> None:
    config = DataConfig.model_validate({"extra_public": "faces", "extra_images": 5})
    assert config.extra_public is not None
    assert config.extra_public.is_absolute()
    assert DataConfig.model_validate(config.model_dump(mode="json")) == config
    with pytest.raises(ValidationError, match=r"extra_images: got 5, .*data\.extra_public=FOLDER"):
        DataConfig(extra_images=5)
    with pytest.raises(ValidationError, match="extra_images"):
        DataConfig(extra_public=Path("faces"), extra_images=0)
