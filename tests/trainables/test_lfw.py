"""LFW's folders and framing: whoever is in them is found, and any copy shows the same faces."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.data.config import DataConfig
from trainables.data.decode import decode_image
from trainables.data.extra import ExtraSource
from trainables.data.lfw import CENTRAL, FOLDERS, face_crop, list_people, people_folder
from trainables.data.source import DataError

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "lfw-96"
real_data = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/lfw-96 is not here")

PEOPLE = {"Zoe_Abel": 1, "Ann_Young": 3, "Bo_Li": 2}
SIDE, MARGIN = 150, 50  # pixels of an original's central part, and around it


def write_people(root: Path, people: Mapping[str, int], side: int = 96) -> Path:
    """Writes grey images, each of its own level."""
    for person, (name, count) in enumerate(people.items()):
        (root / name).mkdir(parents=True)
        for index in range(count):
            image = Image.new("RGB", (side, side), (20 * person + index,) * 3)
            image.save(root / name / f"{name}_{index + 1:04d}.jpg")
    return root


def _central() -> Image.Image:
    """A picture without sharp edges whose every place has another colour."""
    x, y = np.meshgrid(np.linspace(0, 1, SIDE), np.linspace(0, 1, SIDE))
    pixels = np.stack([x, y, np.sin(9 * x * y) ** 2], axis=2)
    return Image.fromarray((255 * pixels).astype(np.uint8))


@pytest.mark.parametrize("inner", ["", "lfw", "lfw-deepfunneled", "lfw-deepfunneled/lfw-funneled"])
def test_every_layout_leads_to_the_people(tmp_path: Path, inner: str) -> None:
    folder = write_people(tmp_path / inner, PEOPLE)
    (tmp_path / "pairs.txt").write_text("10\t300\n")
    assert people_folder(tmp_path) == folder
    names, people = list_people(people_folder(tmp_path))
    assert names == [
        "Ann_Young/Ann_Young_0001.jpg",
        "Bo_Li/Bo_Li_0001.jpg",
        "Zoe_Abel/Zoe_Abel_0001.jpg",
        "Ann_Young/Ann_Young_0002.jpg",
        "Bo_Li/Bo_Li_0002.jpg",
        "Ann_Young/Ann_Young_0003.jpg",
    ]
    assert people.tolist() == [0, 1, 2, 0, 1, 0]


def test_of_several_copies_the_first_named_is_used(tmp_path: Path) -> None:
    for name in FOLDERS[:2]:
        write_people(tmp_path / name, PEOPLE)
    assert people_folder(tmp_path) == tmp_path / FOLDERS[0]


def test_a_folder_of_that_name_may_be_a_persons(tmp_path: Path) -> None:
    write_people(tmp_path, {"lfw": 2, "others": 1})
    assert people_folder(tmp_path) == tmp_path
    assert list_people(tmp_path)[1].tolist() == [0, 1, 0]


def test_hidden_files_and_people_without_images_do_not_count(tmp_path: Path) -> None:
    write_people(tmp_path, {"Bo_Li": 2, ".cache": 1})
    (tmp_path / "Al_Empty").mkdir()
    (tmp_path / "Bo_Li" / "._Bo_Li_0001.jpg").write_bytes(b"not an image")
    (tmp_path / "Bo_Li" / "notes.txt").write_text("x")
    names, people = list_people(tmp_path)
    assert names == ["Bo_Li/Bo_Li_0001.jpg", "Bo_Li/Bo_Li_0002.jpg"]
    assert people.tolist() == [0, 0]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.extra_public: .*nobody: cannot be read"):
        list_people(tmp_path / "nobody")


def test_the_square_crop_by_hand() -> None:
    # 0.9 of 150 pixels, with its upper edge at pixel 50 of the original.
    assert face_crop(250, 48, 48).box(250, 250, 48, 48) == pytest.approx((57.5, 50, 192.5, 185))
    assert face_crop(96, 48, 48).box(96, 96, 48, 48) == pytest.approx((4.8, 0, 91.2, 86.4))


@pytest.mark.parametrize("size", [(32, 32), (48, 40), (216, 176), (40, 64)])
def test_originals_are_cut_within_what_reduced_copies_show(size: tuple[int, int]) -> None:
    original = np.array(face_crop(250, *size).box(250, 250, *size))
    reduced = np.array(face_crop(96, *size).box(96, 96, *size))
    assert (original - MARGIN) / SIDE == pytest.approx(reduced / 96)
    assert reduced.min() > -1e-9
    assert reduced.max() < 96 + 1e-9
    across, down = reduced[2] - reduced[0], reduced[3] - reduced[1]
    assert down / across == pytest.approx(size[0] / size[1])


@pytest.mark.parametrize("size", [(32, 32), (54, 44)])
def test_originals_and_reduced_copies_show_the_same(tmp_path: Path, size: tuple[int, int]) -> None:
    central = _central()
    original = Image.new("RGB", (250, 250), (255, 0, 255))
    original.paste(central, (MARGIN, MARGIN))
    original.save(tmp_path / "250.png")
    central.resize((96, 96), Image.Resampling.BILINEAR).save(tmp_path / "96.png")
    pixels = [
        decode_image(tmp_path / f"{side}.png", face_crop(side, *size), *size).astype(float)
        for side in CENTRAL
    ]
    assert np.abs(pixels[0] - pixels[1]).mean() < 1.5
    # The red of every place is how far right it lies in the central part.
    assert pixels[0][:, :, 0].min() == pytest.approx(255 - pixels[0][:, :, 0].max(), abs=3)


def test_the_source_tells_the_copies_apart_by_their_size(tmp_path: Path) -> None:
    shown = {}
    for side in CENTRAL:
        folder = tmp_path / str(side) / "Ann_Young"
        folder.mkdir(parents=True)
        picture = _central()
        if side == 250:
            whole = Image.new("RGB", (250, 250))
            whole.paste(picture, (MARGIN, MARGIN))
            whole.save(folder / "Ann_Young_0001.png")
        else:
            picture.resize((side, side), Image.Resampling.BILINEAR).save(
                folder / "Ann_Young_0001.png"
            )
        shown[side] = next(ExtraSource(tmp_path / str(side)).images(32, 32))[0].astype(float)
    assert np.abs(shown[250] - shown[96]).mean() < 1.5


def test_as_the_studys_own_images_it_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'lfw' has no attributes .* data\.extra_public=FOLDER"):
        DataConfig.model_validate({"source": "lfw", "root": "faces"})


@pytest.mark.real_data
@real_data
def test_real_lfw_reads() -> None:
    source = ExtraSource(REAL)
    source.check()
    assert len(source) == 13_233
    assert len(np.unique(source.identities())) == 5_749
    some = ExtraSource(REAL, num_images=60)
    assert len(set(some.identities().tolist())) == 60
    images, rows = next(some.images(48, 48))
    assert rows.tolist() == list(range(60))
    # The mean face is lighter than what is left and right of it.
    mean = images.mean(axis=(0, 3))
    assert mean[22:34, 16:32].mean() > mean[22:34, [0, 1, 46, 47]].mean() + 10
