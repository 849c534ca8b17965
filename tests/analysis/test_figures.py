"""The figures' records, and that drawing them gives files."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.drawing import render, save_figure
from analysis.figures import draw_gap, draw_saturation, reconstruction_grid
from analysis.frontier_figure import draw_frontier, spread
from analysis.gaps import GapRecord, gap_record
from analysis.load import load_study
from analysis.records import (
    EncoderPoint,
    FrontierRecord,
    encoder_labels,
    frontier_record,
    images_per_split,
    saturation_panels,
)


def test_frontier_record(full_study: Any) -> None:
    record = frontier_record(load_study("full", full_study.uri))
    assert record.frontier == ((0.75, 0.2), (0.8, 0.6))
    assert not record.provisional
    assert (record.num_test, record.num_public) == (480, 640)
    by_label = {point.label: point for point in record.points}
    assert set(by_label) == {"labels", "undefended conv4", "undefended conv3", "#1", "#2", "#3"}
    assert by_label["#1"].on_frontier
    assert not by_label["#2"].on_frontier, "a lower bound"
    assert not by_label["#2"].saturated
    assert not by_label["#3"].on_frontier
    assert by_label["#3"].cut_point == "conv3"
    assert (by_label["labels"].utility, by_label["labels"].leakage) == (1.0, 0.04)
    assert not by_label["labels"].on_frontier
    assert by_label["#1"].method == "reconstruction"
    assert not record.by_method, "one method: colours are cuts"
    assert record.own_frontiers == ()


def test_gap_record_holds_the_encoders_that_had_an_adversary(full_study: Any) -> None:
    """It is from before leakage was told apart by kind: in-loop plus gap is reconstruction's."""
    (panel,) = gap_record(load_study("full", full_study.uri)).panels
    assert panel.kind == "reconstruction"
    found = {p.label: (p.in_loop, round(p.verified, 9)) for p in panel.points}
    assert found == {"#1": (0.05, 0.2), "#2": (0.02, 0.05), "#3": (0.3, 0.35)}


def test_saturation_panels(full_study: Any) -> None:
    panels = saturation_panels(load_study("full", full_study.uri))
    labels = [panel.label for panel in panels]
    assert labels == ["undefended conv4", "undefended conv3", "#1"]
    curves = {curve.attacker: curve for curve in panels[0].curves}
    assert set(curves) == {"attribute", "decoder", "decoder_strong"}
    decoder = curves["decoder"]
    assert decoder.steps == tuple(range(0, 501, 50))
    # The fixture halves the distance to .55 at every evaluation.
    assert decoder.leakage[:3] == pytest.approx((0, 0.275, 0.4125))
    assert decoder.rate_drop == 350
    assert decoder.saturated


def test_lower_bounds_alone_make_a_provisional_staircase(make_study: Any, attacked: Any) -> None:
    study = make_study("figures-bounds")
    attacked(study, "u", 0.8, {"decoder": 0.6}, role="undefended", saturated=False)
    attacked(study, "s", 0.7, {"decoder": 0.1}, saturated=False)
    attacked(study, "t", 0.6, {"decoder": 0.3}, saturated=False)
    tables = load_study("figures-bounds", study.uri)
    record = frontier_record(tables)
    assert record.provisional
    assert record.frontier == ((0.7, 0.1), (0.8, 0.6))
    axes = draw_frontier(record).axes[0]
    assert [line.get_linestyle() for line in axes.lines].count("--") == 1
    panels = saturation_panels(tables)
    assert [panel.label for panel in panels] == ["undefended conv4", "#1"]
    assert not panels[1].curves[0].saturated


def test_curves_without_references_or_values_are_left_out(make_study: Any) -> None:
    study = make_study("no-curves")
    metrics = {"utility/mean_mcc": 0.5, "leakage/worst": 0.5}
    run = study.encoder("e1", metrics=metrics)
    curve = [(0, 0.1, 1e-3), (50, math.nan, 1e-3), (100, 0.9, 1e-3)]
    ends = {"floor": 0.2, "ceiling": 0.7}
    study.attack("e1", run, "kept", metrics=ends, curve=curve)
    study.attack("e1", run, "no_reference", curve=curve)
    study.attack("e1", run, "no_span", metrics={"floor": 0.5, "ceiling": 0.5}, curve=curve)
    study.attack("e1", run, "in_loop", metrics=ends)
    (panel,) = saturation_panels(load_study("no-curves", study.uri))
    (only,) = panel.curves
    assert only.attacker == "kept"
    assert only.steps == (0, 100)
    assert only.leakage == (0.0, 1.0), "clipped at both ends"
    assert only.rate_drop is None


def test_labels_are_unique_and_in_order() -> None:
    encoders = pd.DataFrame(
        [("a", "undefended", "conv4"), ("b", "searched", "conv4"), ("c", "undefended", "conv4"),
         ("d", "labels", ""), ("e", "searched", "fc"), ("f", "undefended", "conv4")],
        columns=["encoder_id", "role", "cut_point"],
    )  # fmt: skip
    assert encoder_labels(encoders) == {
        "a": "undefended conv4", "b": "#1", "c": "undefended conv4 (2)", "d": "labels",
        "e": "#2", "f": "undefended conv4 (3)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "test"),
    [
        ({"split_identities": {"test": 9}, "split_sizes": {"private": 1, "test": 4}}, 4),
        ({"split_sizes": {"test": "many"}}, None),
        ({"split_sizes": 7}, None),
        ({}, None),
    ],
)
def test_images_per_split(data: dict[str, Any], test: int | None) -> None:
    assert images_per_split(data).get("test") == test


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ([], []),
        ([0.1, 0.5], [0.1, 0.5]),
        ([0.5, 0.5], [0.45, 0.55]),
        # The first two meet at .45 and .55, which pushes the third on: all three around .54.
        ([0.49, 0.51, 0.62], [0.44, 0.54, 0.64]),
    ],
)
def test_crowded_labels_are_spread(heights: list[float], expected: list[float]) -> None:
    assert spread(heights, gap=0.1) == pytest.approx(expected)


def test_no_utility_beyond_one_is_marked_on_the_axis() -> None:
    points = tuple(
        EncoderPoint(name, "searched", "conv4", utility, leakage, True, True)
        for name, utility, leakage in (("#1", 0.98, 0.2), ("#2", 1.0, 0.5))
    )
    axes = draw_frontier(FrontierRecord(points, ((0.98, 0.2), (1.0, 0.5)), None, None)).axes[0]
    ticks = axes.get_xticks()
    assert axes.get_xlim()[1] > 1, "room for labels"
    assert len(ticks) >= 3
    assert max(ticks) == pytest.approx(1)


def test_empty_records_can_be_drawn() -> None:
    for figure in (
        draw_frontier(FrontierRecord((), (), None, None)),
        draw_gap(GapRecord((), None)),
        draw_saturation(()),
    ):
        assert render(figure, "svg").lstrip().startswith(b"<?xml")


def test_files_are_the_same_every_time(full_study: Any, tmp_path: Path) -> None:
    record = frontier_record(load_study("full", full_study.uri))
    first = save_figure(draw_frontier(record), tmp_path / "a", "frontier")
    second = save_figure(draw_frontier(record), tmp_path / "b", "frontier")
    assert [path.name for path in first] == ["frontier.png", "frontier.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_reconstruction_grid_keeps_every_pixel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 64, 3), dtype=np.uint8)
    for name, strip in (("originals", pixels), ("decoder", 255 - pixels)):
        Image.fromarray(strip).save(tmp_path / f"{name}.png")
    rows = [("original", tmp_path / "originals.png"), ("decoder", tmp_path / "decoder.png")]
    figure = reconstruction_grid(rows)
    assert [text.get_text() for text in figure.texts] == ["original", "decoder"]
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert np.array_equal(np.asarray(shown[0]), pixels)
    assert np.array_equal(np.asarray(shown[1]), 255 - pixels)
    tops = [axes.get_position().y1 for axes in figure.axes]
    assert tops[0] > tops[1], "the originals stand at the top"
    assert all(0 <= axes.get_position().x0 < axes.get_position().x1 <= 1 for axes in figure.axes)
    assert render(figure, "png").startswith(b"\x89PNG")


def test_reconstruction_grid_refuses_nothing_and_what_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one strip"):
        reconstruction_grid([])
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"broken\.png cannot be read as an image"):
        reconstruction_grid([("original", tmp_path / "broken.png")])
