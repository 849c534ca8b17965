"""The picture of an undefended and a defended encoder side by side."""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analysis.drawing import render
from analysis.load import load_study
from analysis.pictures import (
    StripGroup,
    compared_encoders,
    comparison,
    draw_comparison,
    encoder_strips,
)


def labels_of(groups: list[StripGroup]) -> list[tuple[str, list[str]]]:
    """Headings and the labels under them."""
    return [(group.heading, [label for label, _ in group.strips]) for group in groups]


def test_the_best_trade_stands_beside_its_undefended_encoder(full_study: Any) -> None:
    tables = load_study("full", full_study.uri)
    assert compared_encoders(tables.encoders) == ["u4", "s1"]
    assert labels_of(comparison(tables)) == [
        ("", ["original"]),
        (
            "undefended: cut at conv4, mean MCC 0.800, worst leakage 0.600",
            ["decoder", "decoder_strong"],
        ),
        (
            "defended, #1: cut at conv4, mean MCC 0.750, worst leakage 0.200",
            ["decoder", "decoder_strong"],
        ),
    ]


def test_lower_bounds_are_named_and_the_in_loop_adversary_is_left_out(
    make_study: Any, attacked: Any
) -> None:
    study = make_study("pictures-bounds")
    u = attacked(study, "u", 0.8, {"decoder": 0.6}, role="undefended", saturated=False)
    s = attacked(study, "s", 0.5, {"decoder": 0.1}, saturated=False, params={"lambda1": 1})
    for run, shade in ((u, 90), (s, 60)):
        for name in ("originals", "decoder", "in_loop"):
            study.strip(run, name, shade)
    tables = load_study("pictures-bounds", study.uri)
    assert compared_encoders(tables.encoders) == ["u", "s"], "no trade: it loses .30"
    first, undefended, second, defended = comparison(tables)
    assert "worst leakage at least 0.600" in undefended.heading
    assert labels_of([first, second]) == [("", ["original"])] * 2, "they differ, so both stand"
    assert [label for label, _ in defended.strips] == ["decoder"]
    assert [label for label, _ in encoder_strips(tables, s)] == ["original", "decoder", "in_loop"]


def test_a_study_without_pictures_has_no_comparison(make_study: Any, attacked: Any) -> None:
    study = make_study("pictures-none")
    assert comparison(load_study("pictures-none", study.uri)) == []
    attacked(study, "u", math.nan, {"decoder": 0.6}, role="undefended")
    attacked(study, "s", 0.5, {"decoder": 0.1}, params={"lambda1": 1})
    tables = load_study("pictures-none", study.uri)
    assert compared_encoders(tables.encoders) == ["s"]
    assert comparison(tables) == []


def test_drawn_picture_holds_every_strip_within_a_page(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 256, 3), dtype=np.uint8)
    path = tmp_path / "strip.png"
    Image.fromarray(pixels).save(path)
    groups = [
        StripGroup("", (("original", path),)),
        StripGroup("undefended", (("decoder", path), ("decoder_strong", path))),
    ]
    figure = draw_comparison(groups)
    assert [text.get_text() for text in figure.texts] == [
        "original", "undefended", "decoder", "decoder_strong",
    ]  # fmt: skip
    places = [axes.get_position() for axes in figure.axes]
    assert all(0 < place.x0 < place.x1 <= 1 for place in places)
    assert all(0 <= place.y0 < place.y1 <= 1 for place in places)
    tops = [place.y1 for place in places]
    assert tops == sorted(tops, reverse=True)
    for axes, place in zip(figure.axes, places, strict=True):
        assert np.array_equal(np.asarray(axes.images[0].get_array()), pixels)
        wide, tall = place.width * figure.get_figwidth(), place.height * figure.get_figheight()
        assert wide / tall == pytest.approx(8), "not stretched"
    with Image.open(io.BytesIO(render(figure, "png"))) as picture:
        assert picture.width == 1280


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one strip"):
        draw_comparison([])
