"""Folders of categories: every layout read, any prefix balanced, what does not add up refused."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.data.config import DataConfig
from trainables.data.dataset import check_source, load_dataset
from trainables.data.decode import decode_image
from trainables.data.folder import CENTRE, FolderSource
from trainables.data.source import DataError
from trainables.data.splits import SPLIT_NAMES

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "scenes-15"
real_data = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/scenes-15 is not here")

FLAT = {"coast": 3, "alley": 5, "forest": 2}
PARTED = {"train/alley": 4, "train/coast": 6, "test/alley": 2, "test/coast": 3}


def _write(root: Path, folders: dict[str, int], suffix: str = "png") -> Path:
    """Writes images 16 pixels wide and 20 high; the i-th of the k-th folder is all (k, i, 0)."""
    for number, (folder, count) in enumerate(folders.items()):
        (root / folder).mkdir(parents=True)
        for index in range(count):
            image = Image.new("RGB", (16, 20), (number, index, 0))
            image.save(root / folder / f"{index:03d}.{suffix}")
    return root


def _counts(source: FolderSource) -> dict[str, int]:
    return dict(zip(source.attribute_names, source.labels().sum(axis=0).tolist(), strict=True))


def _pixels(source: FolderSource) -> list[tuple[int, int]]:
    """What `_write` put into each image: folder and number, in the order of the rows."""
    images = np.concatenate([pixels for pixels, _ in source.images(16, 16)])
    return [(int(image[8, 8, 0]), int(image[8, 8, 1])) for image in images]


def test_a_folder_per_category(tmp_path: Path) -> None:
    source = FolderSource(_write(tmp_path, FLAT))
    source.check()
    assert source.attribute_names == ("alley", "coast", "forest")
    assert len(source) == 10
    assert _counts(source) == {"alley": 5, "coast": 3, "forest": 2}
    assert (source.labels().sum(axis=1) == 1).all()
    assert source.labels().dtype == np.uint8
    assert len(set(source.identities().tolist())) == 10
    assert (source.identities() < 0).all()
    assert source.partition() is None


def test_rows_go_round_the_categories_as_long_as_they_last(tmp_path: Path) -> None:
    source = FolderSource(_write(tmp_path, FLAT))
    # By name alley is folder 1 of `_write`, coast 0 and forest 2.
    turns = [(1, 0), (0, 0), (2, 0), (1, 1), (0, 1), (2, 1), (1, 2), (0, 2), (1, 3), (1, 4)]
    assert _pixels(source) == turns
    labels = source.labels()
    assert [source.attribute_names[column] for column in labels.argmax(axis=1)] == [
        ("coast", "alley", "forest")[folder] for folder, _ in turns
    ]


def test_the_first_images_hold_as_many_of_each_category(tmp_path: Path) -> None:
    root = _write(tmp_path, FLAT)
    assert _counts(FolderSource(root, 6)) == {"alley": 2, "coast": 2, "forest": 2}
    assert _counts(FolderSource(root, 8)) == {"alley": 3, "coast": 3, "forest": 2}
    assert _pixels(FolderSource(root, 4)) == _pixels(FolderSource(root))[:4]
    with pytest.raises(DataError, match=r"data.num_images: .* holds 10 images, got 11"):
        FolderSource(root, 11)


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_parts_are_a_partition_and_unite_their_categories(tmp_path: Path, validation: str) -> None:
    source = FolderSource(_write(tmp_path, {**PARTED, f"{validation}/coast": 1}))
    assert source.attribute_names == ("alley", "coast")
    assert _counts(source) == {"alley": 6, "coast": 10}
    partition = source.partition()
    assert partition is not None
    assert partition.dtype == np.int8
    assert np.bincount(partition).tolist() == [10, 1, 5]
    part_of_folder = [0, 0, 2, 2, 1]
    assert partition.tolist() == [part_of_folder[folder] for folder, _ in _pixels(source)]


def test_a_prefix_holds_the_parts_in_proportion(tmp_path: Path) -> None:
    folders = {"train/a": 20, "train/b": 20, "test/a": 10, "test/b": 10}
    partition = FolderSource(_write(tmp_path, folders), num_images=30).partition()
    assert partition is not None
    assert np.bincount(partition).tolist() == [20, 0, 10]


def test_places_as_distributed(tmp_path: Path) -> None:
    folders = {
        "a/airfield": 2,
        "a/apartment_building/outdoor": 2,
        "b/bow_window/indoor": 1,
        "b/bow_window/outdoor": 3,
    }
    nested = FolderSource(_write(tmp_path / "data_large", folders))
    names = ("airfield", "apartment_building_outdoor", "bow_window_indoor", "bow_window_outdoor")
    assert nested.attribute_names == names
    assert list(_counts(nested).values()) == [2, 2, 1, 3]
    parted = {f"train/{name}": count for name, count in folders.items()}
    again = FolderSource(_write(tmp_path / "parted", {**parted, "val/a/airfield": 1}))
    assert again.attribute_names == names
    assert list(_counts(again).values()) == [3, 2, 1, 3]
    partition = again.partition()
    assert partition is not None
    assert np.bincount(partition).tolist() == [8, 1]


def test_letters_and_train_may_be_categories_too(tmp_path: Path) -> None:
    assert FolderSource(_write(tmp_path / "1", {"a": 1, "b": 1})).attribute_names == ("a", "b")
    vehicles = FolderSource(_write(tmp_path / "2", {"bus": 1, "train": 1}))
    assert vehicles.attribute_names == ("bus", "train")
    assert vehicles.partition() is None
    more = FolderSource(_write(tmp_path / "3", {"bus": 1, "train": 1, "train/steam": 1}))
    assert more.attribute_names == ("bus", "train", "train_steam")


def test_names_become_fit_for_metrics(tmp_path: Path) -> None:
    source = FolderSource(_write(tmp_path, {"arts, crafts": 1, "café (big)": 1, "army base": 1}))
    assert source.attribute_names == ("army base", "arts_ crafts", "café _big_")


def test_only_the_categories_asked_for(tmp_path: Path) -> None:
    root = _write(tmp_path, FLAT)
    source = FolderSource(root, categories=("forest", "alley"))
    assert source.attribute_names == ("alley", "forest")
    assert _counts(source) == {"alley": 5, "forest": 2}
    assert {folder for folder, _ in _pixels(source)} == {1, 2}
    with pytest.raises(
        DataError,
        match="data.categories: 'forrest' is unknown; did you mean 'forest'.*known: alley, coast",
    ):
        FolderSource(root, categories=("forrest", "alley"))
    with pytest.raises(DataError, match="data.categories: at least two .*got 'coast' alone"):
        FolderSource(root, categories=("coast",))
    with pytest.raises(DataError, match="holds 7 images of data.categories, got 8"):
        FolderSource(root, 8, ("forest", "alley"))


def test_settings_follow_the_content_and_not_the_place(tmp_path: Path) -> None:
    root = _write(tmp_path / "here", FLAT)
    settings = FolderSource(root).settings()
    moved = root.rename(tmp_path / "there")
    assert FolderSource(moved).settings() == settings
    assert FolderSource(moved, 9).settings() != settings
    assert FolderSource(moved, categories=("coast", "alley")).settings() != settings
    with open(moved / "coast" / "000.png", "ab") as file:
        file.write(b"\0")
    assert FolderSource(moved).settings() != settings


def test_other_files_and_hidden_ones_are_passed_over(tmp_path: Path) -> None:
    root = _write(tmp_path, FLAT)
    (root / "README.txt").write_text("about")
    (root / "coast" / "index.csv").write_text("0")
    (root / "coast" / "._000.png").write_bytes(b"\0")
    (root / ".thumbnails").mkdir()
    (root / ".thumbnails" / "000.png").write_bytes(b"\0")
    (root / "empty").mkdir()
    assert _counts(FolderSource(root)) == {"alley": 5, "coast": 3, "forest": 2}


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "JPG", "png", "bmp", "webp"])
def test_all_kinds_of_image_files(tmp_path: Path, suffix: str) -> None:
    source = FolderSource(_write(tmp_path, {"a": 1, "b": 1}, suffix))
    assert sum(len(rows) for _, rows in source.images(16, 16)) == 2


def test_the_middle_square_is_cut_out(tmp_path: Path) -> None:
    for width, height in ((60, 40), (40, 60)):
        picture = np.zeros((height, width, 3), dtype=np.uint8)
        top, left = (height - 40) // 2, (width - 40) // 2
        picture[top : top + 40, left : left + 40] = (200, 100, 50)
        Image.fromarray(picture).save(tmp_path / "x.png")
        assert CENTRE.box(width, height, 32, 32) == (left, top, left + 40, top + 40)
        pixels = decode_image(tmp_path / "x.png", CENTRE, 32, 32)
        assert (pixels[1:-1, 1:-1] == (200, 100, 50)).all()


@pytest.mark.parametrize("bits,suffix", [(8, "jpg"), (8, "png"), (16, "png")])
def test_grey_images_have_three_equal_channels(tmp_path: Path, bits: int, suffix: str) -> None:
    ramp = np.linspace(0, 2**bits - 1, 64).astype(np.uint16 if bits == 16 else np.uint8)
    for category in ("a", "b"):
        (tmp_path / category).mkdir()
        Image.fromarray(np.tile(ramp, (64, 1))).save(tmp_path / category / f"x.{suffix}")
    pixels, _ = next(FolderSource(tmp_path).images(64, 64))
    assert pixels.shape == (2, 64, 64, 3)
    assert (pixels == pixels[..., :1]).all()
    assert np.abs(pixels[0, 32, :, 0] - np.linspace(0, 255, 64)).max() < 4


def test_an_unreadable_image_is_named_and_left_out(tmp_path: Path) -> None:
    root = _write(tmp_path / "data", {"alley": 60, "coast": 50})
    (root / "coast" / "007.png").write_bytes(b"no image")
    config = DataConfig(source="folder", root=root, image_size=16)
    with pytest.warns(UserWarning, match="unreadable image left out: .*coast/007.png"):
        data = load_dataset(config, tmp_path / "cache")
    assert data.store.num_skipped == 1
    assert data.store.labels.sum(axis=0).tolist() == [60, 49]
    # Pixels and labels must not have slipped against each other.
    assert (data.store.images[:, 8, 8, 0] == data.store.labels[:, 1]).all()


def test_more_than_one_percent_unreadable_ends_the_ingest(tmp_path: Path) -> None:
    root = _write(tmp_path, FLAT)
    (root / "coast" / "001.png").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="001.png"),
        pytest.raises(DataError, match="1 of the first 10 .*more than 1% of all 10.*001.png"),
    ):
        list(FolderSource(root).images(16, 16))


@pytest.mark.parametrize(
    "folders,message",
    [
        ({}, "holds no images; .*.jpg.* at least two categories"),
        ({"coast": 2}, r"holds a single category \('coast'\); .*at least two categories"),
        ({"train/coast": 2, "test/coast": 2}, "holds a single category"),
        ({"coast": 1, "alley": 1, ".": 1}, "/000.png: lies in no category's folder"),
        ({"train/coast": 1, "train/alley": 1, "test": 2}, "test/000.png: lies in no category's"),
        ({**PARTED, "more/coast": 1}, r"more/coast: is in none of the parts \(train, val, "),
        ({"a/coast": 1, "b/coast": 1}, "b/coast: would be category 'coast', as .*a/coast is"),
        ({"val/coast": 1, "valid/coast": 1}, "valid/coast: would be category 'coast', as .*val/"),
    ],
)
def test_folders_that_do_not_add_up(tmp_path: Path, folders: dict[str, int], message: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    folders = dict(folders)
    if folders.pop(".", 0):
        Image.new("RGB", (16, 16)).save(root / "000.png")
    with pytest.raises(DataError, match=message) as error:
        FolderSource(_write(root, folders))
    assert str(root) in str(error.value), "the message names the path"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data.root: .*nowhere is no folder"):
        FolderSource(tmp_path / "nowhere")


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root = _write(tmp_path / "data", FLAT)
    elsewhere = _write(tmp_path / "elsewhere", {"street": 4})
    (root / "street").symlink_to(elsewhere / "street")
    assert _counts(FolderSource(root))["street"] == 4
    (root / "street" / "gone.png").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"street/gone\.png: cannot be read: No such file"):
        FolderSource(root).check()
    (root / "coast" / "again").symlink_to(root)
    with pytest.raises(DataError, match="coast/again: is a link to a folder that it lies in"):
        FolderSource(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    root = _write(tmp_path, FLAT)
    (root / "coast").chmod(0)
    try:
        with pytest.raises(DataError, match="coast: cannot be read: Permission denied"):
            FolderSource(root)
    finally:
        (root / "coast").chmod(0o755)


def _config(root: Path, **changed: Any) -> DataConfig:
    return DataConfig(**({"source": "folder", "root": root, "image_size": 16} | changed))


def test_official_without_validation_shares_training_in_three(tmp_path: Path) -> None:
    folders = {"train/alley": 50, "train/coast": 60, "test/alley": 20, "test/coast": 30}
    config = _config(_write(tmp_path / "data", folders), split="official")
    # 110 training images by 64 : 16 : 8.
    sizes = {"private": 80, "public": 20, "selection": 10, "test": 50}
    assert check_source(config).split_sizes == sizes
    data = load_dataset(config, tmp_path / "cache")
    assert data.store.partition is not None
    assert (data.store.partition[data.rows("test")] == 2).all()
    rows = np.concatenate([data.rows(name) for name in SPLIT_NAMES])
    assert sorted(rows.tolist()) == list(range(160))


def test_official_needs_training_and_test(tmp_path: Path) -> None:
    flat = _config(_write(tmp_path / "flat", FLAT), split="official")
    with pytest.raises(DataError, match="'official' needs .*train and test of a folder"):
        check_source(flat)
    folders = {"train/alley": 5, "train/coast": 5, "val/alley": 5, "val/coast": 5}
    untested = _config(_write(tmp_path / "parted", folders), split="official")
    with pytest.raises(DataError, match="the 'test' split would be empty"):
        check_source(untested)


def test_a_private_category_that_no_public_image_shows_is_refused(tmp_path: Path) -> None:
    folders = {"train/alley": 30, "train/coast": 30, "test/forest": 9, "test/coast": 9}
    config = _config(_write(tmp_path, folders), split="official", private=("forest",))
    with pytest.raises(DataError, match=r"'forest' has a single value \(0\) in the 'public' split"):
        check_source(config)


def test_a_configuration_selects_categories(tmp_path: Path) -> None:
    root = _write(tmp_path / "data", {"alley": 30, "coast": 30, "forest": 30})
    config = DataConfig.model_validate(
        {"source": "folder", "root": root, "image_size": 16, "categories": "alley, coast"}
    )
    assert check_source(config).attribute_names == ("alley", "coast")
    assert check_source(_config(root, num_images=45)).split_sizes["private"] == 29
    with pytest.raises(DataError, match="attribute 'forest' is unknown"):
        load_dataset(config.model_copy(update={"private": ("forest",)}), tmp_path / "cache")


@pytest.mark.real_data
@real_data
def test_real_scenes_read() -> None:
    whole = FolderSource(REAL)
    whole.check()
    assert len(whole) == 4485
    assert len(whole.attribute_names) == 15
    partition = whole.partition()
    assert partition is not None
    assert np.bincount(partition).tolist() == [1500, 0, 2985]
    source = FolderSource(REAL, num_images=600)
    assert set(_counts(source).values()) == {40}
    images = np.concatenate([pixels for pixels, _ in source.images(64, 64)])
    assert len(images) == 600
    assert (images == images[..., :1]).all(), "grey"
    assert images.std() > 30
