"""The strength ladder: which attacks are rungs, what its record, figure and sentences say."""

import math
from pathlib import Path
from typing import Any

import pytest
from matplotlib.colors import to_hex

from analysis.drawing import CUT_STYLES, render
from analysis.ladder import LadderLine, LadderPanel, LadderRecord, ladder_record
from analysis.ladder_figure import draw_ladder
from analysis.ladder_tables import data_sentences, ladder_table
from analysis.load import load_study
from analysis.report import draw_figures, write_report
from analysis.rungs import Rung
from analysis.trends import fit_trend
from study.logged import attack_params
from tests.analysis.fake_ladder import add_rung
from trainables.attackers.suite import EACH, SUITES, named_attacker


@pytest.fixture
def record(ladder_study: Any) -> LadderRecord:
    return ladder_record(load_study("ladder", ladder_study.uri))


def panel(record: LadderRecord, kind: str, axis: str) -> LadderPanel:
    (found,) = [panel for panel in record.panels if (panel.kind, panel.axis) == (kind, axis)]
    return found


def steps(line: LadderLine) -> dict[str, float]:
    return {rung.name: round(rung.leakage, 6) for rung in line.rungs}


def test_axes_and_encoders(record: LadderRecord) -> None:
    assert [(panel.kind, panel.axis) for panel in record.panels] == [
        ("reconstruction", "data"), ("reconstruction", "capacity"), ("reconstruction", "loss"),
        ("reconstruction", "budget"), ("attribute", "data"), ("attribute", "capacity"),
        ("attribute", "budget"),
    ]  # fmt: skip
    for one in record.panels:
        # Undefended first, then the frontier's by falling leakage.
        assert [line.label for line in one.lines] == ["undefended conv4", "#1", "#2"]
    assert record.num_test == 480
    assert record.num_left_out == 0
    assert not record.by_method


def test_data_is_measured_in_images_on_the_scale_of_the_base(record: LadderRecord) -> None:
    """The smallest rung's own ceiling is .3: on its own scale it would leak .75, above the base."""
    line = panel(record, "reconstruction", "data").lines[0]
    assert steps(line) == {
        "1% (6 images)": 0.1, "3% (19 images)": 0.25, "10% (64 images)": 0.4,
        "30% (192 images)": 0.55, "all (640 images)": 0.6,
        "all + another source (13,000 images)": 0.7,
    }  # fmt: skip
    assert [rung.position for rung in line.rungs] == [6, 19, 64, 192, 640, 13_000]
    assert [rung.joined for rung in line.rungs] == [True] * 5 + [False]
    assert [rung.bounded for rung in line.rungs] == [False] * 3 + [True, False, False]
    assert line.weakest.name == "1% (6 images)"
    assert line.strongest.attacker == "decoder_extra"
    assert line.trend is not None
    assert line.trend.num_points == 5, "another source is not more of the same"
    assert line.trend.last_images == (192, 640)


def test_capacity_has_multipliers_then_architectures(record: LadderRecord) -> None:
    line = panel(record, "reconstruction", "capacity").lines[1]
    assert steps(line) == {"×½": 0.25, "×1": 0.3, "×2": 0.31, "residual": 0.32, "unet_deep": 0.33}
    assert [rung.joined for rung in line.rungs] == [True, True, True, False, False]
    assert (line.weakest.attacker, line.strongest.attacker) == ("decoder_half", "decoder_unet_deep")
    assert line.trend is None


def test_losses_stand_in_their_order(record: LadderRecord) -> None:
    line = panel(record, "reconstruction", "loss").lines[0]
    assert steps(line) == {
        "MSE": 0.6, "MSE + perceptual": 0.61, "MSE + GAN + perceptual": 0.65, "1 − MS-SSIM": 0.63,
    }  # fmt: skip
    assert list(steps(line))[-1] == "1 − MS-SSIM"


def test_a_spent_budget_is_no_lower_bound_where_it_is_the_rung(record: LadderRecord) -> None:
    line = panel(record, "reconstruction", "budget").lines[0]
    assert steps(line) == {
        "100 steps": 0.3, "300 steps": 0.45, "1,000 steps": 0.57, "until saturated (2,000)": 0.6,
    }  # fmt: skip
    assert not any(rung.bounded for rung in line.rungs)
    assert list(steps(panel(record, "attribute", "budget").lines[0])) == [
        "100 steps", "until saturated (2,000)",
    ]  # fmt: skip


def test_what_differs_in_two_or_in_kind_is_no_rung(record: LadderRecord) -> None:
    names = {rung.attacker for one in record.panels for line in one.lines for rung in line.rungs}
    assert not names & {
        "decoder_two", "generative", "optimisation", "feature", "reidentify",
    }  # fmt: skip


def test_the_weakest_and_strongest_are_chosen_on_selection() -> None:
    def rung(name: str, leakage: float, selection: float) -> Rung:
        return Rung(name, name, 1.0, "", (leakage,), selection, False, False, True)

    line = LadderLine("#1", "searched", "conv4", "", (rung("a", 0.5, 0.3), rung("b", 0.4, 0.6)))
    assert (line.weakest.name, line.strongest.name) == ("a", "b")
    unknown = LadderLine("#1", "searched", "", "", (rung("a", 0.5, math.nan), rung("b", 0.4, 0.6)))
    assert (unknown.weakest.name, unknown.strongest.name) == ("b", "a")


def test_seeds_of_a_rung_are_averaged(make_study: Any) -> None:
    study = make_study("ladder-seeds")
    run = study.encoder("u", role="undefended", params={"cut_point": "conv4"})
    for seed, leakage in ((0, 0.5), (1, 0.7)):
        add_rung(study, "u", run, "decoder", leakage, seed=seed)
        add_rung(study, "u", run, "decoder_data_10", leakage - 0.3, data=0.1, seed=seed,
                 saturated=seed == 0)  # fmt: skip
    (line,) = panel(
        ladder_record(load_study("ladder-seeds", study.uri)), "reconstruction", "data"
    ).lines
    assert steps(line) == {"10% (64 images)": 0.3, "all (640 images)": 0.6}
    assert line.rungs[0].leakages == pytest.approx((0.2, 0.4))
    assert line.rungs[0].bounded, "one seed ran out of its budget"
    assert line.trend is not None
    # Both seeds had the same images: one point for each number of images, and so no interval.
    assert line.trend.num_points == 2
    assert line.trend.verdict == "too few points"
    assert line.trend.overall.value == pytest.approx(0.3)


def test_other_losses_and_architectures_alone_are_no_ladder(make_study: Any) -> None:
    study = make_study("no-ladder")
    run = study.encoder("u", role="undefended")
    add_rung(study, "u", run, "decoder", 0.5)
    add_rung(study, "u", run, "decoder_strong", 0.6, loss="mse+gan+perceptual")
    add_rung(study, "u", run, "decoder_unet_deep", 0.6, architecture="unet_deep")
    tables = load_study("no-ladder", study.uri)
    assert ladder_record(tables).panels == ()
    assert "strength-ladder" not in draw_figures(tables)
    add_rung(study, "u", run, "decoder_half", 0.4, capacity=0.5)
    (one, two) = ladder_record(load_study("no-ladder", study.uri)).panels
    assert (one.axis, two.axis) == ("capacity", "loss")


def test_rungs_without_a_base_are_left_out(make_study: Any) -> None:
    study = make_study("baseless")
    for encoder_id in ("u", "s"):
        run = study.encoder(encoder_id)
        add_rung(study, encoder_id, run, "decoder_data_10", 0.4, data=0.1)
        if encoder_id == "u":
            add_rung(study, encoder_id, run, "decoder", 0.5)
    (one,) = ladder_record(load_study("baseless", study.uri)).panels
    assert [line.label for line in one.lines] == ["#1"]


def test_old_studies_have_no_ladder(full_study: Any, make_study: Any) -> None:
    assert ladder_record(load_study("full", full_study.uri)).panels == ()
    empty = make_study("ladder-empty", status="running", with_files=False)
    assert ladder_record(load_study("ladder-empty", empty.uri)).panels == ()


@pytest.mark.parametrize("narrow", [False, True])
def test_figure(record: LadderRecord, narrow: bool) -> None:
    figure = draw_ladder(record, narrow)
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) == 7
    data, capacity = panels[:2]
    assert data.get_xscale() == "log"
    ticks = [text.get_text() for text in capacity.get_xticklabels()]
    assert ticks == ["×½", "×1", "×2", "residual", "unet\ndeep"]
    lines = [line for line in data.lines if line.get_linestyle() in ("-", "--")]
    joined = [line for line in lines if len(line.get_xdata()) == 5]
    # Colours as in the frontier's figure, where one method was searched: of the cut point.
    colours = [to_hex(str(line.get_color())).upper() for line in joined]
    conv4, conv3 = CUT_STYLES["conv4"][0], CUT_STYLES["conv3"][0]
    assert colours == [conv4.upper(), conv4.upper(), conv3.upper()]
    assert [line.get_linestyle() for line in joined] == ["-", "--", "-"], "told apart by style"
    hollow = [line for line in data.lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata()[0] for line in hollow] == [192, 192, 192]
    assert render(figure, "svg").lstrip().startswith(b"<?xml")


def test_an_empty_record_can_be_drawn() -> None:
    assert render(draw_ladder(LadderRecord(())), "png").startswith(b"\x89PNG")


def test_table_names_the_weakest_and_strongest_steps(record: LadderRecord) -> None:
    table = ladder_table(record)
    rows = [[cell.text for cell in row["cells"]] for row in table["rows"]]
    assert rows[0] == [
        "undefended conv4", "reconstruction", "data", "1% (6 images)", "0.100",
        "all + another source (13,000 images)", "0.700", "+0.600",
    ]  # fmt: skip
    assert len(rows) == 21
    assert len(table["head"]) == len(rows[0])


def test_sentences_on_more_data(record: LadderRecord) -> None:
    first, *_, last = data_sentences(record)
    assert first.startswith(
        "More data helped the decoder on undefended conv4: +0.257 ± 0.075 leakage per tenfold of "
        "images over the whole range; but from 192 to 640 images +0.096 ± "
    )
    assert first.endswith("which is not clear of the scatter. 1 of its steps is a lower bound.")
    # Three points leave one degree of freedom.
    assert last.startswith("More data has no clear effect for the attribute attacker on #2")


def test_more_data_still_helps_or_cannot_be_told() -> None:
    def record(leakages: list[float]) -> LadderRecord:
        images = [10.0 * 10**place for place in range(len(leakages))]
        rungs = tuple(
            Rung(f"{x:g}", "a", x, "", (y,), y, False, False, True)
            for x, y in zip(images, leakages, strict=True)
        )
        trend = fit_trend(images, leakages)
        line = LadderLine("#1", "searched", "conv4", "reconstruction", rungs, trend)
        return LadderRecord((LadderPanel("reconstruction", "data", (line,)),))

    (helps,) = data_sentences(record([0.1, 0.201, 0.299, 0.4]))
    assert helps.startswith("More data still helps the decoder on #1: +0.100 ± 0.00")
    assert "from 1,000 to 10,000 images +0.101 ± 0.00" in helps
    (unknown,) = data_sentences(record([0.1, 0.2]))
    assert unknown == (
        "Whether more data still helps the decoder on #1 cannot be told from 2 points (+0.100 "
        "leakage per tenfold of images)."
    )


def test_report_shows_the_ladder(ladder_study: Any, full_study: Any, tmp_path: Path) -> None:
    page = write_report(load_study("ladder", ladder_study.uri), tmp_path / "a").read_text("utf-8")
    for part in ('<h2 id="strength-ladder">', "Does more data still help?",
                 "Weakest and strongest steps", 'media="(max-width: 720px)"'):  # fmt: skip
        assert part in page, part
    old = write_report(load_study("full", full_study.uri), tmp_path / "b").read_text("utf-8")
    assert "strength-ladder" not in old
    assert "Does more data" not in old


def add_suite(study: Any, names: tuple[str, ...]) -> None:
    """One undefended encoder, attacked by a suite as a study logs it."""
    run = study.encoder("u", role="undefended", params={"cut_point": "conv4"})
    for index, name in enumerate(names):
        config = named_attacker(name)
        if config.kind not in ("reconstruction", "attribute"):
            continue
        score = 0.5 + 0.01 * index
        study.attack(
            "u", run, name, attack_kind=config.kind, counts=str(config.counts).lower(),
            params=attack_params({"settings": config.model_dump(mode="json")}),
            metrics={
                "score/test": score, "score/selection": score, "leakage/test": score,
                "leakage/selection": score, "floor": 0.2, "ceiling": 0.95, "seconds": 1.0,
                "steps": config.budget or 2000, "num_public": 640,
                "num_train": round(config.data * 640) + 10_000 * config.extra,
            },
        )  # fmt: skip


def test_the_suite_strength_is_a_ladder_on_every_axis(make_study: Any) -> None:
    study = make_study("strength")
    add_suite(study, SUITES["strength"])
    found = ladder_record(load_study("strength", study.uri))
    told = {(p.kind, p.axis): [rung.name for rung in p.lines[0].rungs] for p in found.panels}
    data = ["1% (6 images)", "3% (19 images)", "10% (64 images)", "30% (192 images)"]
    other = "all + another source (10,640 images)"
    assert told == {
        ("reconstruction", "data"): [*data, "all (640 images)", other],
        ("reconstruction", "capacity"): [
            "×½", "×1", "×2", "residual", "unet_deep", "unet_shallow",
        ],
        ("reconstruction", "loss"): [
            "MSE", "MSE + perceptual", "MSE + GAN + perceptual", "1 − MS-SSIM",
        ],
        ("reconstruction", "budget"): [
            "100 steps", "300 steps", "1,000 steps", "until saturated (2,000)",
        ],
        ("attribute", "data"): [*data[1:], "all (640 images)"],
        ("attribute", "capacity"): ["linear", "mlp", "other", "same"],
        ("attribute", "budget"): [
            "100 steps", "300 steps", "1,000 steps", "until saturated (2,000)",
        ],
    }  # fmt: skip
    render(draw_ladder(found), "png")


def test_the_suite_standard_is_none(make_study: Any) -> None:
    study = make_study("standard")
    names = tuple(name for name in SUITES["standard"] if name != EACH)
    add_suite(study, names)
    assert ladder_record(load_study("standard", study.uri)).panels == ()
