"""Attackers of four kinds, white-box ones and rungs: who counts, and what the tables say."""

from pathlib import Path
from typing import Any

import pytest

from analysis.attack_tables import attack_table, reference_table
from analysis.kinds import left_out
from analysis.load import load_study
from analysis.method_tables import method_table
from analysis.narrative import answered, asked, how_sure
from analysis.narrative_threats import rung_sentence, white_box_sentences
from analysis.pictures import comparison
from analysis.records import saturation_panels
from analysis.report import write_report
from analysis.report_tables import encoder_table
from analysis.tables import summary
from tests.analysis.fake_ladder import add_rung


@pytest.fixture
def tables(ladder_study: Any) -> Any:
    return load_study("ladder", ladder_study.uri)


def row_of(table: dict[str, Any], label: str, attacker: str = "") -> dict[str, str]:
    """The first row of an encoder, and of an attacker on it, as heading → text."""
    rows = [[cell.text for cell in row["cells"]] for row in table["rows"]]
    (found,) = [row for row in rows if row[0] == label and (not attacker or row[1] == attacker)]
    return dict(zip(table["head"], found, strict=True))


def test_tags_and_params_of_attacks_are_typed(tables: Any, full_study: Any) -> None:
    attacks = tables.attacks.set_index(["encoder_id", "attacker"])
    rung = attacks.loc[("u", "decoder_data_10")]
    assert (rung["counts"], rung["attack_kind"], rung["threat"]) == (False, "reconstruction", "")
    assert (rung["attack_data"], rung["attack_capacity"], rung["num_train"]) == (0.1, 1.0, 64)
    assert not rung["attack_extra"]
    assert attacks.loc[("u", "decoder_extra"), "attack_extra"]
    assert attacks.loc[("u", "decoder_budget_300"), "attack_budget"] == 300
    white = attacks.loc[("u", "optimisation")]
    assert (white["counts"], white["threat"]) == (False, "white_box")
    assert attacks.loc[("u", "decoder"), "counts"]
    old = load_study("full", full_study.uri).attacks
    assert old["counts"].all(), "a study without the tag"
    assert old["counts"].dtype == bool
    assert set(old["attack_kind"]) == {""}


def test_white_box_never_counts_whatever_the_tag_says(make_study: Any) -> None:
    study = make_study("white-tag")
    run = study.encoder("u")
    add_rung(study, "u", run, "optimisation", 0.9, threat="white_box", counts="true")
    attacks = load_study("white-tag", study.uri).attacks
    assert attacks["counts"].tolist() == [False]


def test_what_does_not_count_is_in_no_number(tables: Any) -> None:
    """14 attackers count on three encoders; the unsaturated ones are all rungs."""
    facts = summary(tables)
    assert facts["num_attacks"] == 3 * 14
    assert facts["num_unsaturated_attacks"] == 0
    assert "All 42 attacks trained until they saturated." in how_sure(tables, facts)
    assert (~tables.attacks["saturated"].astype(bool)).sum() == 3 * 5
    assert left_out(tables.attacks, white_box=False) == {
        *(f"decoder_data_{percent}" for percent in (1, 3, 10, 30)), "decoder_two",
        *(f"decoder_budget_{steps}" for steps in (100, 300, 1000)),
        "attribute_data_3", "attribute_data_30", "attribute_budget_100",
    }  # fmt: skip
    assert left_out(tables.attacks) - left_out(tables.attacks, white_box=False) == {"optimisation"}


def test_unsaturated_references_of_rungs_are_not_counted(make_study: Any) -> None:
    study = make_study("rung-references")
    run = study.encoder("constant", role="floor")
    add_rung(study, "constant", run, "decoder_data_10", 0.0, data=0.1, saturated=False)
    add_rung(study, "constant", run, "optimisation", 0.0, threat="white_box", saturated=False)
    assert summary(load_study("rung-references", study.uri))["num_unsaturated_references"] == 0
    add_rung(study, "constant", run, "decoder", 0.0, saturated=False)
    assert summary(load_study("rung-references", study.uri))["num_unsaturated_references"] == 1


def test_sentences_name_who_counts_and_who_does_not(tables: Any) -> None:
    text = " ".join(asked(tables))
    assert "attacked by 14 attackers trained from scratch (attribute, attribute_linear" in text
    assert "optimisation" not in text
    assert "decoder_data_10" not in text
    assert rung_sentence(tables) == [
        "11 more were weakened on purpose, as rungs of the strength ladder: outside the worst case."
    ]
    # .9 against .66 on the undefended encoder; half and less of that on the others.
    expected = (
        "White box: optimisation sees the encoder's gradients; outside the worst case. On "
        "undefended conv4 it reached a leakage of 0.900, against 0.660 of the worst black-box "
        "attacker."
    )
    assert white_box_sentences(tables) == [expected]
    assert expected in answered(tables, summary(tables))


def test_old_studies_say_nothing_of_threats(full_study: Any) -> None:
    tables = load_study("full", full_study.uri)
    assert white_box_sentences(tables) == []
    assert rung_sentence(tables) == []


def test_table_of_encoders_has_four_kinds_and_no_rungs(tables: Any) -> None:
    row = row_of(encoder_table(tables), "undefended conv4")
    expected = {
        "worst reconstruction leakage": "0.660", "worst attribute leakage": "0.500",
        "worst feature leakage": "0.400", "worst identity leakage": "0.300", "decoder": "0.600",
        "optimisation (white box)": "0.900",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert not any("data_1" in name for name in row)


def test_methods_have_medians_of_four_kinds(make_study: Any, attacked: Any) -> None:
    study = make_study("four-kinds")
    kinds = {"reconstruction": 0.5, "attribute": 0.4, "feature": 0.6, "identity": 0.3}
    more = {f"leakage/worst_{kind}": value for kind, value in kinds.items()}
    attacked(study, "u", 0.7, {"decoder": 0.5}, role="undefended")
    attacked(study, "s", 0.7, {"decoder": 0.5}, more=more)
    attacked(study, "b", 0.7, {"decoder": 0.5}, "", "baseline", params={"protector": "blur"})
    tables = load_study("four-kinds", study.uri)
    row = row_of(method_table(tables), "reconstruction")
    assert row["median feature leakage"] == "0.600"
    assert row["median identity leakage"] == "0.300"
    assert not any("gap" in name for name in row), "no kind had an in-loop adversary"
    text = " ".join(answered(tables, summary(tables)))
    assert "reconstruction to recovery of face features (0.600, against 0.500 to" in text


def test_attack_table_has_what_was_measured_and_no_more(tables: Any, full_study: Any) -> None:
    table = attack_table(tables)
    assert table["head"] == [
        "encoder", "attacker", "kind", "seed", "score", "leakage", "leakage (selection)", "steps",
        "saturated", "images trained on", "face similarity", "feature similarity", "rank 1",
        "worst decile", "usable information, bits",
    ]  # fmt: skip
    attribute = row_of(table, "undefended conv4", "attribute")
    assert attribute["usable information, bits"] == "0.412"
    assert attribute["kind"] == "attribute"
    rung = row_of(table, "undefended conv4", "decoder_data_30")
    assert (rung["leakage"], rung["saturated"]) == ("0.550", "no"), "no bound of anything claimed"
    assert rung["images trained on"] == "192"
    old = attack_table(load_study("full", full_study.uri))
    assert old["head"] == [
        "encoder", "attacker", "seed", "score", "leakage", "leakage (selection)", "steps",
        "saturated", "public images",
    ]  # fmt: skip
    assert not old["has_rungs"]
    assert not old["has_white_box"]


def test_attack_table_marks_white_box_rows_and_rungs(tables: Any) -> None:
    table = attack_table(tables)
    classes = {row["cells"][1].text: row["class"] for row in table["rows"]}
    assert classes["optimisation (white box)"] == "white-box"
    assert classes["decoder_budget_100"] == "outside"
    assert classes["decoder_unet_deep"] == ""
    own = [row["class"] for row in table["rows"] if row["cells"][0].text == "undefended conv4"]
    assert own == [""] * 14 + ["outside"] * 11 + ["white-box"], "what counts comes first"


def test_an_unsaturated_attacker_that_counts_is_still_a_bound(make_study: Any) -> None:
    study = make_study("bound-row")
    run = study.encoder("u", role="undefended")
    add_rung(study, "u", run, "decoder", 0.5, saturated=False)
    tables = load_study("bound-row", study.uri)
    assert row_of(attack_table(tables), "undefended", "decoder")["leakage"] == "≥ 0.500"
    assert summary(tables)["num_unsaturated_attacks"] == 1


@pytest.mark.parametrize(
    ("names", "heading", "text"),
    [
        (["Hat"], "usable information, bits", "0.100"),
        (["Hat", "Male"], "bits on Male", "0.200"),
        (["A", "B", "C", "D"], "most usable information, bits", "0.400"),
    ],
)
def test_usable_information_of_several_attributes(
    make_study: Any, names: list[str], heading: str, text: str
) -> None:
    study = make_study(f"bits-{len(names)}")
    run = study.encoder("u", role="undefended")
    # With and without the split's name: either is read.
    prefix = "" if len(names) == 2 else "test/"
    more = {f"{prefix}usable_information/{name}": 0.1 * (n + 1) for n, name in enumerate(names)}
    add_rung(study, "u", run, "attribute", 0.5, kind="attribute", more=more)
    row = row_of(attack_table(load_study(study.name, study.uri)), "undefended", "attribute")
    assert row[heading] == text


def test_references_leave_out_rungs(tables: Any) -> None:
    names = [row[0] for row in reference_table(tables)]
    assert "optimisation (white box)" in names
    assert "decoder" in names
    assert "decoder_data_1" not in names


def test_curves_and_pictures_leave_out_rungs(
    make_study: Any, ladder_study: Any, tmp_path: Path
) -> None:
    study = make_study("rung-curves")
    metrics = {"utility/mean_mcc": 0.5, "leakage/worst": 0.5}
    run = study.encoder("u", role="undefended", metrics=metrics)
    curve = [(0, 0.2, 1e-3), (50, 0.5, 1e-3)]
    add_rung(study, "u", run, "decoder", 0.5, curve=curve)
    add_rung(study, "u", run, "decoder_budget_50", 0.5, budget=50, curve=curve)
    (panel,) = saturation_panels(load_study("rung-curves", study.uri))
    assert [curve.attacker for curve in panel.curves] == ["decoder"]
    tables = load_study("ladder", ladder_study.uri)
    assert [label for group in comparison(tables) for label, _ in group.strips] == [
        "original", "decoder",
    ]  # fmt: skip
    page = write_report(tables, tmp_path).read_text(encoding="utf-8")
    grids = page[page.index('<h2 id="reconstructions">') :]
    assert "optimisation (white box)</span>" in grids
    assert "decoder_<wbr>data_<wbr>1</span>" not in grids
    assert "outside the worst case" in page[page.index("Worst leakage.") :]
