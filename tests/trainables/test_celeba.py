"""CelebA's files: read as they are, and refused with a clear message when they do not add up."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainables.celeba_fixture import NAMES, NUM_IMAGES, image_name, labels, write_celeba
from trainables.data.celeba import FACE, CelebaSource
from trainables.data.decode import decode_image, decode_images
from trainables.data.source import DataError

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "celeba-10k"
real_data = pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/celeba-10k is not here")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_celeba(tmp_path / "celeba")


def _edit(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def _replace(index: int, line: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines[:index], line, *lines[index + 1 :]]


def test_reads_names_labels_people_and_partition(root: Path) -> None:
    source = CelebaSource(root)
    source.check()
    assert len(source) == NUM_IMAGES
    assert source.attribute_names == NAMES
    assert np.array_equal(source.labels(), labels())
    assert source.labels().dtype == np.uint8
    assert source.identities().tolist() == [100 + row // 2 for row in range(NUM_IMAGES)]
    partition = source.partition()
    assert partition is not None
    assert np.bincount(partition).tolist() == [40, 10, 10]


def test_the_first_images_only(root: Path) -> None:
    source = CelebaSource(root, num_images=45)
    assert len(source) == len(source.labels()) == len(source.identities()) == 45
    assert sum(len(rows) for _, rows in source.images(16, 16)) == 45
    with pytest.raises(DataError, match="num_images: .* lists 60 images, got 61"):
        CelebaSource(root, num_images=61)


def test_without_identities_and_partition_each_image_is_its_own_person(root: Path) -> None:
    (root / "identity_CelebA.txt").unlink()
    (root / "list_eval_partition.txt").unlink()
    source = CelebaSource(root)
    source.check()
    assert len(set(source.identities().tolist())) == NUM_IMAGES
    assert source.partition() is None


def test_an_unknown_person_is_a_person_of_its_own(root: Path) -> None:
    _edit(root / "identity_CelebA.txt", _replace(0, f"{image_name(0)} -1"))
    _edit(root / "identity_CelebA.txt", _replace(1, f"{image_name(1)} -1"))
    people = CelebaSource(root).identities()
    assert people[0] != people[1]
    assert (people[2:] == [100 + row // 2 for row in range(2, NUM_IMAGES)]).all()


def test_the_distributed_layout_is_found(root: Path) -> None:
    for folder, name in (
        ("Anno", "list_attr_celeba.txt"),
        ("Anno", "identity_CelebA.txt"),
        ("Eval", "list_eval_partition.txt"),
        ("Img", "img_align_celeba"),
    ):
        (root / folder).mkdir(exist_ok=True)
        (root / name).rename(root / folder / name)
    source = CelebaSource(root)
    source.check()
    assert source.partition() is not None


def test_settings_follow_the_content_and_not_the_place(root: Path, tmp_path: Path) -> None:
    settings = CelebaSource(root).settings()
    moved = root.rename(tmp_path / "elsewhere")
    assert CelebaSource(moved).settings() == settings
    assert CelebaSource(moved, 50).settings() != settings
    with open(moved / "img_align_celeba" / image_name(3), "ab") as file:
        file.write(b"\0")
    assert CelebaSource(moved).settings() != settings


def test_bad_text_files(root: Path) -> None:
    attributes, people = root / "list_attr_celeba.txt", root / "identity_CelebA.txt"
    cases: list[tuple[Path, Callable[[list[str]], list[str]], str]] = [
        (attributes, lambda lines: [], "is empty"),
        (attributes, lambda lines: lines[1:], "line 1: must be the number of images, got 'Smi"),
        (attributes, lambda lines: lines[:1], "line 2: must hold the attribute names"),
        (attributes, lambda lines: lines[:30], "line 1 says 60 images, the file has 28 rows"),
        (attributes, _replace(1, "Smiling Hat"), r"line 3 \(000001.jpg\): must hold 2 values"),
        (attributes, _replace(1, "Hat Male Hat"), "line 2: attribute 'Hat' is named twice"),
        (attributes, _replace(4, "000003.jpg 1 -1"), "line 5 .*: must hold 3 values.* got 2"),
        (attributes, _replace(4, "000003.jpg 1 0 1"), "line 5 .*: values must be 1 or -1, got '0'"),
        (attributes, _replace(4, "000004.jpg 1 1 1"), "image '000004.jpg' is listed twice"),
        (attributes, _replace(4, "../x.jpg 1 1 1"), "line 5: must name a file in .*'../x.jpg'"),
        (attributes, _replace(4, "/etc/x.jpg 1 1 1"), "line 5: must name a file in"),
        (attributes, _replace(4, ""), "line 5: is empty"),
        (attributes, _replace(4, "none.jpg 1 1 1"), "(none.jpg: missing|no row for .*none.jpg)"),
        (people, lambda lines: [], "is empty"),
        (people, lambda lines: lines[:-1], "has no row for image '000060.jpg'"),
        (people, _replace(2, "000003.jpg x"), "line 3: must be an image's name and a number"),
        (
            root / "list_eval_partition.txt",
            _replace(2, "000003.jpg 3"),
            r"one of \[0, 1, 2\], got 3",
        ),
    ]
    for path, change, message in cases:
        good = path.read_text()
        _edit(path, change)
        with pytest.raises(DataError, match=message) as error:
            CelebaSource(root).check()
        assert str(root) in str(error.value), "the message names the path"
        path.write_text(good)
    CelebaSource(root).check()


def test_binary_rubbish_is_no_text(root: Path) -> None:
    (root / "list_attr_celeba.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataError, match="list_attr_celeba.txt: cannot be read as text"):
        CelebaSource(root)


def test_missing_folder_and_files(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data.root: .*nowhere is no folder"):
        CelebaSource(tmp_path / "nowhere")
    with pytest.raises(DataError, match="list_attr_celeba.txt: missing"):
        CelebaSource(tmp_path)
    (root / "img_align_celeba").rename(root / "pictures")
    with pytest.raises(DataError, match="img_align_celeba: missing"):
        CelebaSource(root)


def test_a_listed_image_that_is_missing_is_found_before_any_decoding(root: Path) -> None:
    (root / "img_align_celeba" / image_name(59)).unlink()
    with pytest.raises(DataError, match="000060.jpg: missing, but list_attr_celeba.txt lists it"):
        CelebaSource(root).check()


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_an_unreadable_image_is_named_and_left_out(tmp_path: Path, content: bytes | None) -> None:
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    Image.new("RGB", (89, 109), (200, 100, 50)).save(good)
    whole = good.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2] if content is None else content)
    paths = [good] * 100
    paths[7] = bad
    with pytest.warns(UserWarning, match="unreadable image left out: .*bad.jpg"):
        chunks = list(decode_images(paths, FACE, 16, 16))
    assert np.concatenate([rows for _, rows in chunks]).tolist() == [*range(7), *range(8, 100)]
    assert sum(len(pixels) for pixels, _ in chunks) == 99


def test_more_than_one_percent_unreadable_ends_the_ingest(root: Path) -> None:
    (root / "img_align_celeba" / image_name(9)).write_bytes(b"")
    with (
        warnings.catch_warnings(),
        pytest.raises(DataError, match="1 of the first 60 .*more than 1% of all 60.*000010.jpg"),
    ):
        warnings.simplefilter("ignore")
        list(CelebaSource(root).images(16, 16))


def test_crop_is_a_square_around_the_face_at_any_resolution() -> None:
    small, large = FACE.box(89, 109, 48, 48), FACE.box(178, 218, 48, 48)
    assert np.array(large) == pytest.approx(2 * np.array(small))
    left, top, right, bottom = small
    assert right - left == pytest.approx(0.8 * 89)
    assert bottom - top == pytest.approx(0.8 * 89)
    assert (left + right) / 2 == pytest.approx(89 / 2)
    assert (top + bottom) / 2 == pytest.approx(0.52 * 109)


@pytest.mark.parametrize("height,width", [(216, 176), (32, 64), (64, 16), (48, 48)])
@pytest.mark.parametrize("on_disk", [(89, 109), (178, 218), (100, 40), (30, 30)])
def test_crop_keeps_the_aspect_and_stays_inside(
    height: int, width: int, on_disk: tuple[int, int]
) -> None:
    left, top, right, bottom = FACE.box(*on_disk, height, width)
    assert left >= 0
    assert top >= 0
    assert right <= on_disk[0]
    assert bottom <= on_disk[1]
    assert (bottom - top) / (right - left) == pytest.approx(height / width)


def test_decoding_shows_the_crop_and_nothing_else(tmp_path: Path) -> None:
    picture = np.zeros((109, 89, 3), dtype=np.uint8)
    left, top, right, bottom = (round(edge) for edge in FACE.box(89, 109, 32, 32))
    picture[top:bottom, left:right] = (200, 100, 50)
    Image.fromarray(picture).save(tmp_path / "x.png")
    pixels = decode_image(tmp_path / "x.png", FACE, 32, 32)
    assert pixels.shape == (32, 32, 3)
    assert (pixels[1:-1, 1:-1] == (200, 100, 50)).all()


def test_shrinking_is_anti_aliased(tmp_path: Path) -> None:
    stripes = np.zeros((436, 356, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "x.png")
    assert np.abs(decode_image(tmp_path / "x.png", FACE, 32, 32).astype(int) - 127).max() < 20


def test_full_size_and_half_size_files_show_the_same(tmp_path: Path) -> None:
    full = write_celeba(tmp_path / "full", 218, 178)
    half = write_celeba(tmp_path / "half", 109, 89)
    both = [next(CelebaSource(root).images(32, 32))[0].astype(float) for root in (full, half)]
    assert np.abs(both[0] - both[1]).mean() < 3


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_other_colour_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    name = "x.tiff" if mode == "CMYK" else "x.png"
    Image.new("RGB", (89, 109), (120, 120, 120)).convert(mode).save(tmp_path / name)
    pixels = decode_image(tmp_path / name, FACE, 16, 16)
    assert np.abs(pixels.astype(int) - 120).max() <= 3


@pytest.mark.real_data
@real_data
def test_real_celeba_reads() -> None:
    source = CelebaSource(REAL, num_images=600)
    source.check()
    assert len(source.attribute_names) == 40
    assert source.labels()[0, source.attribute_names.index("Smiling")] == 1
    # Males are about 42% of CelebA.
    assert source.labels()[:, source.attribute_names.index("Male")].mean() == pytest.approx(
        0.42, abs=0.1
    )
    count = sum(len(rows) for _, rows in source.images(48, 48))
    assert count == 600
