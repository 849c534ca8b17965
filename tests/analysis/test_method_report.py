"""What the report says of several methods: tables and sentences."""

import math
from pathlib import Path
from typing import Any

import pytest

from analysis.load import load_study
from analysis.method_tables import collapsed_table, method_table
from analysis.narrative_methods import collapsed_sentence, gap_sentences, method_sentences
from analysis.pictures import encoder_caption
from analysis.report import write_report
from analysis.report_tables import encoder_table, failures
from analysis.tables import summary


@pytest.fixture
def tables(methods_study: Any) -> Any:
    return load_study("methods", methods_study.uri)


def texts(table: dict[str, Any], label: str) -> dict[str, str]:
    """The row that begins with a label, as heading → text."""
    (row,) = [row for row in table["rows"] if row["cells"][0].text == label]
    return dict(zip(table["head"], [cell.text for cell in row["cells"]], strict=True))


def test_table_of_methods(tables: Any) -> None:
    table = method_table(tables)
    assert texts(table, "reconstruction") == {
        "method": "reconstruction", "encoders": "2", "verified": "2", "collapsed": "0",
        "failed": "0", "on the frontier": "1", "own hypervolume": "0.495", "best trade": "#1",
        "leakage drop": "0.300", "utility loss": "0.050",
        "most often worst": "attribute (1 of 2)", "median reconstruction leakage": "0.300",
        "median attribute leakage": "0.350", "median reconstruction gap": "+0.175",
        "median attribute gap": "–",
    }  # fmt: skip
    flip, both = texts(table, "label_flip"), texts(table, "obfuscator")
    assert [flip[name] for name in ("collapsed", "best trade", "leakage drop")] == ["1", "–", "–"]
    assert both["median attribute leakage"] == "≥ 0.200"


def test_one_method_has_no_table(full_study: Any) -> None:
    assert method_table(load_study("full", full_study.uri))["rows"] == []


def test_table_of_collapsed_encoders(tables: Any) -> None:
    table = collapsed_table(tables)
    assert len(table["rows"]) == 1
    assert texts(table, "#4") == {
        "encoder": "#4", "method": "label_flip", "cut": "conv4", "variance < 0.01": "0.930",
        "variance < 0.5": "0.970", "total variance": "3", "mean MCC": "0.120",
        "in-loop classifier, balanced accuracy": "0.520", "α": "0",
        "reason": "<b>97%</b> of the outputs hardly vary",
    }  # fmt: skip
    assert [row["label"] for row in failures(tables)] == ["#7"]


def test_table_of_encoders_tells_method_kinds_and_collapse(tables: Any) -> None:
    table = encoder_table(tables)
    row = texts(table, "#3")
    expected = {
        "method": "label_flip", "worst reconstruction leakage": "0.600",
        "worst attribute leakage": "0.300", "in-loop leakage": "–",
        "in-loop attribute leakage": "0.100", "reconstruction gap": "–",
        "attribute gap": "+0.200", "variance < 0.01": "0.020", "variance < 0.5": "0.100",
        "total variance": "812", "α": "0.0625",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert len(table["head"]) == len(set(table["head"]))
    assert texts(table, "#6")["worst attribute leakage"] == "≥ 0.050"
    assert texts(table, "noise σ=0.3")["σ"] == "0.3"
    shaded = [row["cells"][0].text for row in table["rows"] if row["class"] == "frontier"]
    assert "blur" in shaded
    assert not any(row["cells"][0].text == "#4" for row in table["rows"])


def test_sentences_about_methods(tables: Any) -> None:
    holders, weak = method_sentences(tables.encoders, summary(tables))
    assert holders == (
        "Of the 5 encoders on the frontier 1 is of reconstruction, 1 is of obfuscator, 1 is "
        "undefended, 1 is of the baseline identity and 1 is of the baseline blur; none is of "
        "label_flip."
    )
    assert weak == (
        "Where each leaks most, in the median of its verified encoders: reconstruction to "
        "attribute inference (0.350, against 0.300 to reconstruction); label_flip to "
        "reconstruction (0.600, against 0.300 to attribute inference); obfuscator to "
        "reconstruction (at least 0.250, against 0.200 to attribute inference); blur to "
        "reconstruction (0.200, against 0.150 to attribute inference); noise to attribute "
        "inference (0.500, against 0.450 to reconstruction)."
    )


def test_one_method_that_holds_the_whole_frontier_is_said_to(tables: Any) -> None:
    encoders = tables.encoders
    rows = encoders[encoders["encoder_id"].isin(["r1", "o1", "l2"])]
    sentences = method_sentences(rows, {"frontier_size": 1})
    assert sentences[0] == (
        "The one encoder on the frontier is of obfuscator; none is of reconstruction or of "
        "label_flip."
    )
    assert sentences[-1] == "No encoder of label_flip has been verified."
    assert method_sentences(encoders[encoders["protector"] == "obfuscator"], {}) == []


def test_without_kinds_the_worst_attackers_are_named(tables: Any) -> None:
    encoders = tables.encoders.copy()
    for name in ("leakage/worst_reconstruction", "leakage/worst_attribute",
                 "saturation_gap/reconstruction", "saturation_gap/attribute"):  # fmt: skip
        encoders[name] = math.nan
    (weak,) = method_sentences(
        encoders[encoders["protector"].isin(["reconstruction", "label_flip"])]
        .assign(saturation_gap=math.nan), {"frontier_size": 0},
    )  # fmt: skip
    assert weak == (
        "Where each leaks most: reconstruction to attribute and decoder (worst of 1 of 2 each); "
        "label_flip to decoder (worst of 1 of 1)."
    )


def test_gap_sentences_tell_kinds_apart(tables: Any) -> None:
    # Gaps .10, .25, .10, .04 and .20, .30, .01.
    assert gap_sentences(summary(tables)) == [
        "During training encoders looked more private than they were: attackers retrained for "
        "reconstruction found 0.100 more leakage than the in-loop decoder in the median and up to "
        "0.250 more; attackers retrained for attribute inference found 0.200 more leakage than the "
        "in-loop attribute classifier in the median and up to 0.300 more."
    ]
    mixed = {"reconstruction": {"median": 0.1, "max": 0.2}, "attribute": {"median": -0.1, "max": 0}}
    assert gap_sentences({"saturation_gaps": mixed})[1] == (
        "Attackers retrained for attribute inference found hardly more, or less, than the in-loop "
        "attribute classifier in the median (difference -0.100, largest +0.000)."
    )
    assert gap_sentences({"saturation_gaps": {}}) == []


def test_collapsed_encoders_are_told_apart_from_failures() -> None:
    assert collapsed_sentence({"num_collapsed": 0, "num_encoders": 9}) == []
    (sentence,) = collapsed_sentence({"num_collapsed": 2, "num_encoders": 9})
    assert sentence.startswith("2 of 9 encoders finished training, but with a collapsed code")
    assert "no failures; their figures" in sentence


def test_caption_of_a_picture_names_the_method_where_asked(tables: Any) -> None:
    rows = tables.encoders.set_index("encoder_id")
    assert encoder_caption(rows.loc["l1"], with_method=True).startswith("label_flip, cut at conv4")
    assert encoder_caption(rows.loc["b"], with_method=True).startswith("mean MCC 0.500")


def test_report_of_several_methods(tables: Any, tmp_path: Path) -> None:
    page = write_report(tables, tmp_path).read_text(encoding="utf-8")
    for part in (
        "encoder #5 (obfuscator, cut at conv4) leaks 0.400, 50% less",
        "The settings of reconstruction, label_flip and obfuscator were searched, beside the "
        "baselines blur, identity and noise.",
        '<h2 id="methods">', '<h2 id="collapsed">Collapsed encoders</h2>', 'class="gap pair"',
        "<dt>collapsed</dt><dd>1</dd>", "<dt>failed</dt><dd>1</dd>",
        "&lt;b&gt;97%&lt;/b&gt; of the outputs hardly vary",
    ):  # fmt: skip
        assert part in page, part
    assert "<b>97%" not in page
    collapsed = page[page.index('<h2 id="failures">') : page.index('<h2 id="set-up">')]
    assert "run of o3" in collapsed
    assert "run of l2" not in collapsed


def test_a_baseline_may_be_the_best_trade(make_study: Any, attacked: Any, tmp_path: Path) -> None:
    study = make_study("baseline-trade")
    attacked(study, "u", 0.7, {"decoder": 0.5}, role="undefended")
    attacked(study, "b", 0.68, {"decoder": 0.2}, "", "baseline", params={"protector": "blur"})
    attacked(study, "i", 0.7, {"decoder": 0.3}, "", "baseline", params={"protector": "identity"})
    page = write_report(load_study("baseline-trade", study.uri), tmp_path).read_text("utf-8")
    assert "mean MCC of 0.700; the baseline blur leaks 0.200, 60% less" in page
