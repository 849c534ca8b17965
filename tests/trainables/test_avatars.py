"""Avatars: a pure function of (seed, row), with independent and visible attributes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.data.avatar_canvas import Canvas, ellipse, rounded_box
from trainables.data.avatar_drawing import draw
from trainables.data.avatar_factors import (
    ATTRIBUTES,
    GEOMETRY,
    NUISANCE,
    identity_factors,
    image_factors,
    image_identities,
    image_labels,
)
from trainables.data.avatars import AvatarsSource, contact_sheet

REQUIRED = {
    "Smiling", "Eyeglasses", "Hat", "Beard", "Dark_Hair", "Mouth_Open", "Pale_Skin", "Round_Face",
}  # fmt: skip


def test_same_avatar_whatever_the_number_and_the_chunking() -> None:
    few, many = AvatarsSource(60, seed=3), AvatarsSource(900, seed=3)
    assert np.array_equal(few.labels(), many.labels()[:60])
    assert np.array_equal(few.identities(), many.identities()[:60])
    together = many.draw(0, 60, 24, 24)
    assert np.array_equal(together[37:41], many.draw(37, 41, 24, 24))
    chunks, rows = zip(*few.images(24, 24), strict=True)
    assert np.array_equal(np.concatenate(chunks), together)
    assert np.concatenate(rows).tolist() == list(range(60))


def test_chunks_cover_every_row_once() -> None:
    rows = [rows for _, rows in AvatarsSource(600, seed=0).images(16, 16)]
    assert len(rows) > 1
    assert np.concatenate(rows).tolist() == list(range(600))


def test_seed_changes_everything_and_repeats_exactly() -> None:
    first, again = AvatarsSource(50, seed=0), AvatarsSource(50, seed=0)
    other = AvatarsSource(50, seed=1)
    assert np.array_equal(first.draw(0, 50, 16, 16), again.draw(0, 50, 16, 16))
    assert not np.array_equal(first.labels(), other.labels())
    assert not np.array_equal(first.draw(0, 1, 16, 16), other.draw(0, 1, 16, 16))


@pytest.mark.parametrize("height,width", [(32, 32), (48, 32), (20, 40), (218, 178)])
def test_any_size(height: int, width: int) -> None:
    pixels = AvatarsSource(3, seed=0).draw(0, 3, height, width)
    assert pixels.shape == (3, height, width, 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 20


def test_attributes_are_fair_coins_independent_of_each_other() -> None:
    num_images = 20_000
    labels = image_labels(0, 0, num_images).astype(float)
    assert set(ATTRIBUTES) >= REQUIRED
    # Five standard errors of a fair coin's mean and of a correlation of independent ones.
    bound = 5 / np.sqrt(num_images)
    assert np.abs(labels.mean(axis=0) - 0.5).max() < bound
    correlation = np.corrcoef(labels.T)
    np.fill_diagonal(correlation, 0)
    assert np.abs(correlation).max() < bound


def test_attributes_are_independent_of_identity_and_nuisance() -> None:
    num_images = 20_000
    labels = image_labels(0, 0, num_images).astype(float)
    people = image_identities(0, 0, num_images)
    geometry, image = identity_factors(0, people), image_factors(0, 0, num_images)
    others = [geometry[name] for name in GEOMETRY] + [image[name] for name in NUISANCE]
    table = np.corrcoef(labels.T, np.stack(others))[: len(ATTRIBUTES), len(ATTRIBUTES) :]
    # Images of one person share their geometry, so that a fifth as many count.
    assert np.abs(table).max() < 5 / np.sqrt(num_images / 5)
    # Between people, an attribute's rate varies as coin tosses do and not more.
    count = np.bincount(people)
    rate = np.bincount(people, labels[:, 0]) / np.maximum(count, 1)
    score = (rate - 0.5)[count > 0] * 2 * np.sqrt(count[count > 0])
    assert np.mean(score**2) == pytest.approx(1, abs=0.15)


def test_factors_share_no_column() -> None:
    image = image_factors(0, 0, 4)
    assert len(image) == len(ATTRIBUTES) + len(NUISANCE)
    assert len({tuple(values) for values in image.values()}) == len(image)


def test_an_identity_fixes_geometry_and_there_are_about_a_fifth_as_many() -> None:
    people = image_identities(0, 0, 4000)
    assert 700 <= len(np.unique(people)) <= 800
    assert people.max() < 800
    subset = identity_factors(0, np.array([7, 3, 7]))
    for name in GEOMETRY:
        assert subset[name][0] == subset[name][2] == identity_factors(0, np.array([7]))[name][0]
        assert subset[name][0] != subset[name][1]


# How much the six pixels change most that show the attribute and nothing else, of 255.
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_attribute_is_visible_at_32_pixels(name: str) -> None:
    num_images = 200
    image = image_factors(0, 0, num_images)
    people = identity_factors(0, image_identities(0, 0, num_images))
    pair = [
        draw(image | {name: np.full(num_images, value, np.float32)}, people, 32, 32).astype(float)
        for value in (0.25, 0.75)
    ]
    change = np.abs(pair[0] - pair[1]).max(axis=-1).reshape(num_images, -1)
    strongest = np.sort(change, axis=1)[:, -6:].mean(axis=1)
    assert strongest.min() > 20
    assert strongest.mean() > 60


def test_drawing_spends_no_double_precision() -> None:
    image, people = image_factors(0, 0, 2), identity_factors(0, image_identities(0, 0, 2))
    assert {values.dtype for values in (image | people).values()} == {np.dtype(np.float32)}


def test_shapes_have_the_right_distances() -> None:
    x = np.array([[[0.0, 2.0, 3.0, 5.0]]])
    y = np.zeros_like(x)
    two = np.full((1, 1, 1), 2.0)
    # A circle of radius 2: distances along the axis, exact outside and at the edge.
    assert ellipse(x, y, two, two)[0, 0, 1:] == pytest.approx([0, 1, 3], abs=1e-5)
    # A box of half sides 2 with sharp corners; (5, 6) is 3 and 4 away from its corner.
    sharp = np.zeros((1, 1, 1))
    assert rounded_box(x, y, two, two, sharp)[0, 0] == pytest.approx([-2, 0, 1, 3])
    corner = rounded_box(np.full((1, 1, 1), 5.0), np.full((1, 1, 1), 6.0), two, two, sharp)
    assert corner[0, 0, 0] == pytest.approx(5)


def test_paint_covers_inside_and_halves_the_edge() -> None:
    pixels = np.zeros((3, 1, 1, 3), dtype=np.float32)
    place = np.zeros((1, 1, 3), dtype=np.float32)
    canvas = Canvas(pixels, place, place, np.full((1, 1, 1), 0.1, np.float32), unit=10)
    colour = np.array([[1.0, 0.5, 0.0]], dtype=np.float32)
    canvas.paint(np.array([[[-1.0, 0.0, 1.0]]], dtype=np.float32), colour)
    assert pixels[0, 0, 0] == pytest.approx([1, 0.5, 0])
    assert pixels[1, 0, 0] == pytest.approx([0.5, 0.25, 0])
    assert not pixels[2].any()


def test_contact_sheet_has_the_asked_size(tmp_path: Path) -> None:
    contact_sheet(tmp_path / "sheet.png", rows=3, columns=4, size=24)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 4 * 24
        assert sheet.height >= 3 * 24


def test_contact_sheet_refuses_an_odd_number_of_columns(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="columns.*even.*got 3"):
        contact_sheet(tmp_path / "sheet.png", columns=3)
