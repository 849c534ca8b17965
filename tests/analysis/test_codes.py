"""Codes laid out by t-SNE: what is read, what is refused, what is drawn of whom."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analysis.codes import MAX_IMAGES, codes_record, layout, shown_encoders, telling_attributes
from analysis.codes_figure import draw_codes
from analysis.drawing import render
from analysis.kept_codes import MAX_ARRAY_BYTES, KeptCodes, read_codes
from analysis.load import load_study
from analysis.pictures import comparison, encoder_strips, worst_rebuilt
from analysis.quiz import make_quiz
from analysis.rebuild import rebuild
from analysis.report import draw_figures, write_report
from tests.analysis.fake_codes import NUM_IMAGES, kept_arrays, packed


def read(tmp_path: Path, content: bytes) -> KeptCodes | None:
    path = tmp_path / "codes.npz"
    path.write_bytes(content)
    return read_codes(path)


def own_kind(places: Any, present: Any) -> float:
    """Share of images whose nearest neighbour agrees with them about an attribute."""
    distances = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    return float((present[distances.argmin(axis=1)] == present).mean())


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    arrays = kept_arrays()
    kept = read(tmp_path, packed(arrays))
    assert kept is not None
    assert np.array_equal(kept.components, arrays["codes"].astype(float))
    assert np.array_equal(kept.labels, arrays["labels"])
    assert (kept.utility, kept.private) == (("Beard", "Smiling", "Round"), ("Hat",))
    assert (kept.share, kept.num_values) == (0.9, 512)


def lying() -> bytes:
    """An archive whose codes' header promises a thousand times what is there."""
    arrays = kept_arrays()
    file = io.BytesIO()
    np.save(file, arrays["codes"])
    content = file.getvalue().replace(b"(80, 6)", b"(80000000, 6)").replace(b" " * 6, b"", 1)
    with zipfile.ZipFile(io.BytesIO(packed(arrays))) as whole:
        others = {name: whole.read(name) for name in whole.namelist() if name != "codes.npy"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, own in {**others, "codes.npy": content}.items():
            archive.writestr(name, own)
    return buffer.getvalue()


def repacked(compression: int) -> bytes:
    buffer = io.BytesIO()
    whole = zipfile.ZipFile(io.BytesIO(packed(kept_arrays())))
    with whole, zipfile.ZipFile(buffer, "w", compression) as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name))
    return buffer.getvalue()


def changed(**arrays: Any) -> bytes:
    return packed({**kept_arrays(), **arrays})


def spoiled(place: int, value: float) -> bytes:
    codes = kept_arrays()["codes"]
    codes[place, 0] = value
    return changed(codes=codes)


GOOD = kept_arrays()
REFUSED = {
    "no archive": b"this is no archive" * 50,
    "empty": b"",
    "cut off": packed(GOOD)[:-300],
    "damaged": packed(GOOD)[:200] + bytes(100) + packed(GOOD)[300:],
    "without labels": packed({k: v for k, v in GOOD.items() if k != "labels"}),
    "pickles": changed(codes=np.array([{"a": 1}] * NUM_IMAGES, dtype=object)),
    "a bomb": changed(codes=np.zeros((NUM_IMAGES, MAX_ARRAY_BYTES // NUM_IMAGES), np.float16)),
    "a large file": packed(GOOD) + bytes(1 << 20),
    "lies about its size": lying(),
    "packed otherwise": repacked(zipfile.ZIP_LZMA),
    "NaN": spoiled(3, float("nan")),
    "beyond one": spoiled(3, -1.5),
    "infinite": spoiled(3, float("inf")),
    "by column": changed(codes=np.asfortranarray(GOOD["codes"])),
    "whole numbers": changed(codes=np.zeros((NUM_IMAGES, 6), np.int64)),
    "too many components": changed(codes=np.zeros((NUM_IMAGES, 65), np.float16)),
    "no component": changed(codes=np.zeros((NUM_IMAGES, 0), np.float16)),
    "one dimension": changed(codes=np.zeros(NUM_IMAGES, np.float16)),
    "too few images": packed(kept_arrays(num=9)),
    "labels of others": changed(labels=GOOD["labels"][1:]),
    "labels of two": changed(labels=GOOD["labels"] * 2),
    "labels too many": changed(labels=np.hstack([GOOD["labels"], GOOD["labels"]])),
    "names twice": changed(utility=np.array(["Hat", "Hat", "Round"])),
    "a name without end": changed(private=np.array(["Hat" * 99])),
    "no name": changed(private=np.array([""])),
    "share of two": changed(share=np.float64(2)),
    "share not finite": changed(share=np.float64("nan")),
    "shares": changed(share=np.array([0.1, 0.2])),
    "no values": changed(num_values=np.int64(0)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_study_does_not_write_is_refused(tmp_path: Path, what: str) -> None:
    assert read(tmp_path, REFUSED[what]) is None


def test_an_archive_packed_anew_is_none_the_worse(tmp_path: Path) -> None:
    assert read(tmp_path, repacked(zipfile.ZIP_STORED)) is not None


def test_a_planted_attribute_separates_and_one_that_is_not_there_does_not() -> None:
    arrays = kept_arrays()
    hat, smiling = arrays["labels"][:, 3] == 1, arrays["labels"][:, 1] == 1
    places = layout(arrays["codes"].astype(float))
    assert places is not None
    assert places.shape == (NUM_IMAGES, 2)
    assert own_kind(places, hat) > 0.95
    assert own_kind(places, smiling) < 0.8
    again = layout(arrays["codes"].astype(float))
    assert np.array_equal(places, again)


def test_codes_that_are_all_the_same_have_no_layout_and_one_component_has() -> None:
    assert layout(np.zeros((20, 1))) is None
    for scale in (1.0, 1e-300):
        places = layout(np.repeat([[0.0], [scale]], 10, axis=0))
        assert places is not None
        assert np.isfinite(places).all()


def test_attributes_nearest_to_a_half_are_shown_and_constant_ones_never(tmp_path: Path) -> None:
    kept = read(tmp_path, packed(GOOD))
    assert kept is not None
    assert telling_attributes(kept) == [
        ("Smiling", "utility"), ("Beard", "utility"), ("Hat", "private"),
    ]  # fmt: skip


def test_ends_and_middle_of_the_frontier_beside_undefended_ones(full_study: Any) -> None:
    # The frontier is u4 and s1; s1 is the answer; u3's cut is none of theirs.
    assert shown_encoders(load_study("full", full_study.uri).encoders) == ["u4", "u3", "s1"]


def test_of_a_long_frontier_three_are_shown(make_study: Any, attacked: Any) -> None:
    study = make_study("codes-frontier")
    attacked(study, "u3", 0.70, {"decoder": 0.95}, "conv3", "undefended")
    attacked(study, "u4", 0.71, {"decoder": 0.94}, "conv4", "undefended")
    attacked(study, "u2", 0.72, {"decoder": 0.96}, "conv2", "undefended")
    for name, utility, leakage in (("a", 0.9, 0.9), ("b", 0.85, 0.5), ("c", 0.8, 0.2),
                                   ("d", 0.4, 0.15), ("e", 0.3, 0.1)):  # fmt: skip
        attacked(study, name, utility, {"decoder": leakage}, params={"lambda1": 1})
    encoders = load_study(study.name, study.uri).encoders
    assert shown_encoders(encoders) == ["u4", "u3", "a", "c", "e"], "c is the knee"


@pytest.fixture
def study(make_study: Any, attacked: Any, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Undefended `u`, whose codes tell Hat, and `s`, whose codes do not; `run` has their runs."""
    made = make_study(f"codes-{request.node.name}")
    u = attacked(made, "u", 0.8, {"decoder": 0.6}, role="undefended")
    s = attacked(made, "s", 0.78, {"decoder": 0.2}, params={"lambda1": 1})
    made.run = {"u": u, "s": s}
    for run in (u, s):
        for name, shade in (("originals", 90), ("code", 20), ("decoder", 150)):
            made.strip(run, name, shade)
    (tmp_path / "kept").mkdir()

    def keep(encoder_id: str, content: bytes) -> None:
        path = tmp_path / "kept" / "codes.npz"
        path.write_bytes(content)
        made.client.log_artifact(made.run[encoder_id], str(path))

    made.keep = keep
    keep("u", packed(kept_arrays(num=300)))
    keep("s", packed(kept_arrays(seed=1, apart=0.0, num=300)))
    return made


def test_rows_tell_of_the_same_attributes_and_draw_no_more_images_than_may_be(study: Any) -> None:
    first, second = codes_record(load_study(study.name, study.uri))
    assert (first.label, second.label) == ("undefended conv4", "#1")
    assert "mean MCC 0.800, worst leakage 0.600" in first.caption
    for row in (first, second):
        told = [(one.name, one.use, len(one.present)) for one in row.attributes]
        assert told == [
            ("Smiling", "utility", MAX_IMAGES), ("Beard", "utility", MAX_IMAGES),
            ("Hat", "private", MAX_IMAGES),
        ]  # fmt: skip
    assert first.places is not None
    assert second.places is not None
    hats = first.attributes[2].present, second.attributes[2].present
    assert own_kind(first.places, hats[0]) > 0.95
    assert own_kind(second.places, hats[1]) < 0.7


def test_the_figure_has_a_panel_per_attribute_and_says_how_many_images(study: Any) -> None:
    rows = codes_record(load_study(study.name, study.uri))
    for narrow in (False, True):
        figure = draw_codes(rows, narrow)
        panels = [axes for part in figure.subfigs for axes in part.axes if axes.get_title("left")]
        assert len(panels) == 6
        assert panels[2].get_title("left") == "Hat, private"
        present = int(rows[0].attributes[2].present.sum())
        assert panels[2].get_xlabel().endswith(f"{present} of n = {MAX_IMAGES} have it")
        without, having = panels[2].lines
        assert without.get_marker() != having.get_marker()
        assert len(having.get_xdata()) == present
        assert render(figure, "png").startswith(b"\x89PNG")
        assert len(render(figure, "svg")) < 400_000


def test_collapsed_codes_are_said_to_be_the_same(study: Any) -> None:
    study.keep("s", changed(codes=np.zeros((NUM_IMAGES, 1), np.float16)))
    rows = codes_record(load_study(study.name, study.uri))
    assert rows[1].places is None
    panel = draw_codes(rows).subfigs[1].axes[0]
    assert [text.get_text() for text in panel.texts] == ["every image\nhas the same code"]
    render(draw_codes(rows), "png")


def test_the_page_shows_codes_and_calls_them_no_reconstruction(study: Any, tmp_path: Path) -> None:
    page = rebuild(study.name, tmp_path, study.uri)[0].read_text(encoding="utf-8")
    assert (tmp_path / study.name / "figures" / "codes.svg").is_file()
    assert (tmp_path / study.name / "figures" / "codes.png").is_file()
    assert 'id="codes"' in page
    assert "This is a picture, no evidence" in page
    names = [part.split("</span>")[0] for part in page.split("<span>")[1:]]
    assert names == ["original", "the code itself", "decoder"] * 2
    assert "is no reconstruction" in page


def test_refused_codes_cost_a_row_and_no_report(study: Any, tmp_path: Path) -> None:
    study.keep("s", REFUSED["a bomb"])
    tables = load_study(study.name, study.uri)
    assert [row.label for row in codes_record(tables)] == ["undefended conv4"]
    study.keep("u", b"nothing")
    tables = load_study(study.name, study.uri)
    assert "codes" not in draw_figures(tables)
    assert 'id="codes"' not in write_report(tables, tmp_path).read_text(encoding="utf-8")


def test_codes_with_other_attributes_than_the_first_ones_are_left_out(study: Any) -> None:
    study.keep("s", changed(private=np.array(["Cap"])))
    rows = codes_record(load_study(study.name, study.uri))
    assert [row.label for row in rows] == ["undefended conv4"]


def test_a_study_from_before_codes_were_kept_has_no_such_figure(full_study: Any) -> None:
    figures = draw_figures(load_study("full", full_study.uri))
    assert not {"codes", "codes-narrow"} & figures.keys()


def test_a_code_is_never_taken_for_a_reconstruction(study: Any) -> None:
    tables = load_study(study.name, study.uri)
    run = study.run["s"]
    assert [name for name, _ in encoder_strips(tables, run)] == ["original", "code", "decoder"]
    shown = [label for group in comparison(tables) for label, _ in group.strips]
    assert shown == ["original", "decoder", "decoder"]
    # Not even if MLflow says that an attacker of that name leaks most.
    study.attack("s", run, "code", metrics={"leakage/selection": 0.99, "leakage/test": 0.99})
    tables = load_study(study.name, study.uri)
    row = tables.encoders[tables.encoders["encoder_id"] == "s"].iloc[0]
    found = worst_rebuilt(tables, row)
    assert found is not None
    assert found[0] == "decoder"
    assert make_quiz(tables, 2, "#1").attacker == "decoder"


def test_codes_alone_are_no_grid(make_study: Any, attacked: Any) -> None:
    made = make_study("codes-alone")
    run = attacked(made, "u", 0.8, {"attribute": 0.6}, role="undefended")
    made.strip(run, "code", 20)
    tables = load_study(made.name, made.uri)
    assert encoder_strips(tables, run) == []
    made.client.log_image(run, Image.new("RGB", (64, 32)), "reconstructions.png")
    tables = load_study(made.name, made.uri)
    assert [name for name, _ in encoder_strips(tables, run)] == [""]
