"""Studies side by side: hand-worked differences, and what makes studies incomparable."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric

from analysis.__main__ import main
from analysis.compare import compare
from analysis.compare_report import facts, sentences, write_comparison
from analysis.load import load_study

ERRORS = {"utility/mean_mcc_error": 0.001, "leakage/worst_error": 0.001}


@pytest.fixture
def pair(make_study: Any, attacked: Any, request: Any) -> tuple[Any, Any]:
    """Two studies; of the first (.8, .6) and (.5, .2), of the second (.8, .4), (.4, .3), both.

    Hypervolumes .8·.4 + .5·.4 = .52, and .8·.6 + .4·.1 = .52; of both .8·.6 + .5·.2 = .58.
    """
    name = request.node.name.replace("[", "-").replace("]", "")
    first, second = make_study(f"{name}-a"), make_study(f"{name}-b")
    attacked(first, "a1", 0.8, {"decoder": 0.6}, role="undefended", more=ERRORS)
    attacked(first, "a2", 0.5, {"decoder": 0.2}, more=ERRORS)
    attacked(second, "b1", 0.8, {"decoder": 0.4}, more=ERRORS)
    attacked(second, "b2", 0.4, {"decoder": 0.3}, more=ERRORS)
    return first, second


def load(*studies: Any) -> list[Any]:
    return [load_study(study.name, study.uri) for study in studies]


def test_gained_and_lost_are_those_of_the_frontier_of_both(pair: Any) -> None:
    found = compare(load(*pair))
    (one,) = found.differences
    assert [side.area for side in found.sides] == pytest.approx([0.52, 0.52])
    assert one.value == pytest.approx(0.0, abs=1e-12)
    assert [(row["utility"], row["leakage"]) for row in one.gained] == [(0.8, 0.4)]
    assert [(row["label"], row["leakage"]) for row in one.lost] == [("undefended conv4", 0.6)]
    assert not one.is_clear
    assert found.obstacles == ()


def test_a_difference_has_an_interval_from_the_errors_of_both(pair: Any, attacked: Any) -> None:
    attacked(pair[1], "b3", 0.9, {"decoder": 0.1}, more=ERRORS)
    (one,) = compare(load(*pair)).differences
    # .9 · .9 = .81 against .52.
    assert one.value == pytest.approx(0.29)
    assert one.interval is not None
    assert one.interval.low < 0.29 < one.interval.high
    assert one.interval.high - one.interval.low == pytest.approx(
        2 * 1.96 * math.sqrt(2 * (0.9 * 0.001) ** 2), rel=0.5
    )
    assert one.is_clear
    text = sentences(compare(load(*pair)))
    assert "commands 0.2900 more hypervolume" in text[0]
    assert "clear of the errors of the test images" in text[0]
    assert text[1].startswith("1 encoder of ")


def test_without_errors_there_is_no_interval(make_study: Any, attacked: Any) -> None:
    studies = [make_study(f"compare-exact-{number}") for number in range(2)]
    for number, study in enumerate(studies):
        attacked(study, f"e{number}", 0.5, {"decoder": 0.5})
    found = compare(load(*studies))
    assert found.differences[0].interval is None
    assert "is not known" in sentences(found)[0]


def test_an_encoder_of_both_is_neither_gained_nor_lost(make_study: Any, attacked: Any) -> None:
    studies = [make_study(f"compare-same-{number}") for number in range(2)]
    for study in studies:
        attacked(study, "same", 0.5, {"decoder": 0.5})
    (one,) = compare(load(*studies)).differences
    assert (one.gained, one.lost) == ((), ())


def test_studies_that_measured_different_things_are_told_apart(pair: Any) -> None:
    first, second = load(*pair)
    second.data["content_hash"] = "other"
    second.data["private"] = ["Beard"]
    second.params["suite_version"] = "9"
    second.config["model"] = {"backbone": "vgg", "width": 0.25, "cut_point": ["conv3", "conv4"]}
    found = compare([first, second])
    assert dict(found.obstacles) == {
        "the images": ("5f0c", "other"),
        "what is private": ("Hat", "Beard"),
        "the version of the attackers": ("3", "9"),
    }
    assert found.changes == (("model.backbone", ("resnet18", "vgg")),)


def test_the_page_and_the_figures_are_written(pair: Any, tmp_path: Path, capsys: Any) -> None:
    first, second = pair
    points = [Metric("hypervolume", 0.1 * step, 0, step) for step in (1, 2, 3)]
    starts = {
        "new_encoders": (2, 0), "new_frontier_points": (2, 0), "seconds": (3600, 60),
        "failures": (0, 1), "hypervolume_change": (0.5, 0),
    }  # fmt: skip
    for name, values in starts.items():
        points += [Metric(f"since/{name}", v, 0, start) for start, v in enumerate(values, 1)]
    first.client.log_batch(first.run_id, metrics=points)
    code = main(["compare", first.name, second.name, "--results", str(tmp_path),
                 "--tracking-uri", first.uri])  # fmt: skip
    assert code == 0
    said = capsys.readouterr().out
    folder = tmp_path / "comparisons" / f"{first.name}+{second.name}"
    assert f"wrote {folder / 'compare.html'}" in said
    assert "1 encoder of" in said
    names = {path.name for path in folder.iterdir()}
    assert names == {"compare.html", "comparison.json", "frontiers.png", "frontiers.svg",
                     "hypervolume.png", "hypervolume.svg"}  # fmt: skip
    page = (folder / "compare.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert f"Starts of {first.name}" in page
    assert "<td>1</td><td>2</td><td>2</td><td>+0.5000</td><td>0</td><td>1.00</td>" in page
    assert f"Starts of {second.name}" not in page
    told = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert told["hypervolume"][first.name]["value"] == pytest.approx(0.52)
    assert len(told["starts"][first.name]) == 2


def test_one_study_and_one_without_results(make_study: Any, tmp_path: Path) -> None:
    empty = make_study("compare-empty", status="running")
    found = compare(load(empty))
    assert found.differences == ()
    assert facts(found)["hypervolume"]["compare-empty"]["value"] == 0.0
    assert write_comparison(found, tmp_path).is_file()
    with pytest.raises(ValueError, match="at least one"):
        compare([])


def test_bad_input_is_refused(pair: Any, tmp_path: Path, capsys: Any) -> None:
    first, _ = pair
    place = ["--results", str(tmp_path), "--tracking-uri", first.uri]
    assert main(["compare", first.name, "nowhere", *place]) == 2
    assert "study 'nowhere' is not in MLflow" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["compare", first.name, first.name, *place])
    assert ended.value.code == 2
    assert "each study once" in capsys.readouterr().err
    assert not (tmp_path / "comparisons").exists()
