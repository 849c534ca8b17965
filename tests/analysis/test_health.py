"""Health checks and the judge of faces: what is read of them, and what the page says."""

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.__main__ import main
from analysis.errors import AnalysisError
from analysis.faces import faces_sentence, faces_warning, has_people, read_identity
from analysis.health import (
    Health,
    HealthCheck,
    health_banner,
    health_sentence,
    health_table,
    read_health,
)
from analysis.load import load_study
from analysis.report import write_report
from analysis.tables import summary
from tests.analysis.fake_ladder import add_health, add_identity

FAILED = "The attackers failed their health checks"


def store(study: Any, name: str, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    study.client.log_text(study.run_id, text, name)


def page(study: Any, tmp_path: Path) -> str:
    return write_report(load_study(study.name, study.uri), tmp_path).read_text(encoding="utf-8")


def test_failed_checks_stand_in_red_before_the_answer(
    make_study: Any, attacked: Any, tmp_path: Path
) -> None:
    study = make_study("sick")
    attacked(study, "u", 0.7, {"decoder": 0.5}, role="undefended")
    add_health(study, passed=False)
    tables = load_study("sick", study.uri)
    assert summary(tables)["health_passed"] is False
    banner = health_banner(read_health(tables))
    assert banner == (
        f"{FAILED}: planted of attribute_linear (0.710, needed ≥ 0.99). An attacker that does not "
        "work looks like privacy: the leakages of this study prove nothing."
    )
    html = page(study, tmp_path)
    top = html[: html.index("<h3>Answer</h3>")]
    assert '<p class="banner red" role="alert">' in top
    assert banner in top
    section = html[html.index('<h2 id="health">') :]
    assert "1 of 4 checks failed</b> (suite standard, version 2)" in section
    assert '<tr class="failed"><td class=" text" data-value="planted">planted</td>' in section
    assert "The attackers failed 1 of 4 health checks: nothing here is proven." in html


def test_passed_checks_have_a_section_and_no_banner(
    make_study: Any, attacked: Any, tmp_path: Path
) -> None:
    study = make_study("healthy")
    attacked(study, "u", 0.7, {"decoder": 0.5}, role="undefended")
    add_health(study, passed=True)
    html = page(study, tmp_path)
    assert summary(load_study("healthy", study.uri))["health_passed"] is True
    assert 'class="banner red"' not in html
    assert '<h2 id="health">' in html
    assert "All checks passed (suite standard, version 2)." in html
    assert "The attackers passed all 4 of their health checks." in html


def test_an_old_study_has_neither(full_study: Any, tmp_path: Path) -> None:
    tables = load_study("full", full_study.uri)
    assert read_health(tables) is None
    assert summary(tables)["health_passed"] is None
    html = page(full_study, tmp_path)
    for part in ('class="banner red"', 'id="health"', 'id="faces"', "health checks"):
        assert part not in html, part


def test_the_command_line_says_that_checks_failed(
    make_study: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = make_study("sick-cli")
    add_health(study, passed=False)
    assert main(["sick-cli", "--results", str(tmp_path), "--tracking-uri", study.uri]) == 0
    assert "health checks: these leakages prove nothing" in capsys.readouterr().out


def test_table_has_failed_checks_first(make_study: Any) -> None:
    study = make_study("health-table")
    add_health(study, passed=False)
    table = health_table(read_health(load_study("health-table", study.uri)))
    assert table["head"] == ["check", "attacker", "kind", "value", "needed", "passed", "note"]
    rows = [[cell.text for cell in row["cells"]] for row in table["rows"]]
    assert rows == [
        ["planted", "attribute_linear", "attribute", "0.710", "≥ 0.99", "no",
         "found in 2 of 5 seeds"],
        ["ceiling", "decoder", "reconstruction", "0.970", "≥ 0.95", "yes", "–"],
        ["floor", "decoder", "reconstruction", "0.003", "≤ 0.05", "yes", "–"],
        ["floor", "attribute", "attribute", "–", "yes", "yes", "–"],
    ]  # fmt: skip
    assert health_table(None)["rows"] == []


@pytest.mark.parametrize(
    "content",
    [
        {"suite": "quick"},
        {"passed": "yes", "checks": None},
        # The whole cannot have passed where a part has not.
        {"passed": True, "checks": [{"check": "floor", "passed": False}, "no check"]},
        {"passed": False, "checks": []},
    ],
)
def test_what_does_not_say_that_it_passed_has_not(
    make_study: Any, request: Any, content: dict[str, Any]
) -> None:
    study = make_study(request.node.name)
    store(study, "health.json", content)
    health = read_health(load_study(study.name, study.uri))
    assert health is not None
    assert not health.passed
    assert health_banner(health).startswith(FAILED)
    assert health_sentence(health)[0].startswith("The attackers failed")


def test_many_failed_checks_are_counted() -> None:
    check = HealthCheck("floor", "decoder", "reconstruction", None, "", False, "")
    banner = health_banner(Health("full", "2", False, (check,) * 9))
    assert banner.count("floor of decoder (no value)") == 6
    assert "; 3 more. An attacker" in banner


def test_a_file_that_is_no_json_is_told(make_study: Any) -> None:
    study = make_study("health-broken")
    store(study, "health.json", "{not json")
    with pytest.raises(AnalysisError, match=r"health\.json of study 'health-broken'"):
        read_health(load_study("health-broken", study.uri))


def test_text_of_checks_is_escaped(make_study: Any, tmp_path: Path) -> None:
    study = make_study("health-hostile")
    hostile = "<script>alert('x')</script>"
    check = dict.fromkeys(("check", "attacker", "kind", "needed", "note"), hostile)
    store(study, "health.json", {"suite": hostile, "passed": False, "checks": [check]})
    store(study, "identity.json", {"model": hostile, "hash": hostile, "auc": 0.5})
    html = page(study, tmp_path)
    assert html.count("<script>") == 1
    assert html.count("&lt;script&gt;") >= 7


def test_who_judges_faces_stands_beside_similarities(
    make_study: Any, attacked: Any, tmp_path: Path
) -> None:
    study = make_study("faces")
    attacked(study, "u", 0.7, {"decoder": 0.5}, role="undefended")
    add_identity(study)
    tables = load_study("faces", study.uri)
    model = read_identity(tables)
    assert model is not None
    assert not model.weak
    assert faces_warning(tables, model) == ""
    sentence = faces_sentence(model)
    assert (
        "AUC 0.978, true positive rate at 1% false matches 0.810, accuracy 0.927, on 800 pairs of "
        "images of one person and as many of two, of the test split." in sentence
    )
    assert "hash is 9f8e7d6c5b4a." in sentence
    html = page(study, tmp_path)
    assert "How faces are judged</h2>\n<p>Faces are judged by mobilefacenet" in html
    assert html.count("Face similarity is what mobilefacenet says (AUC 0.978)") == 2
    assert "face similarity for reconstructions" in html
    assert 'class="banner"' not in html


def test_a_judge_that_could_not_be_judged_is_weak(make_study: Any) -> None:
    study = make_study("faces-unknown")
    store(study, "identity.json", {"model": "public", "weak": True})
    tables = load_study("faces-unknown", study.uri)
    model = read_identity(tables)
    assert "tells people apart: that was not measured" in faces_sentence(model)
    assert "its verification AUC was not measured" in faces_warning(tables, model)


def test_a_weak_judge_is_warned_of(make_study: Any, tmp_path: Path) -> None:
    study = make_study("faces-weak")
    add_identity(study, auc=0.85)
    tables = load_study("faces-weak", study.uri)
    warning = faces_warning(tables, read_identity(tables))
    assert warning.startswith(
        "mobilefacenet is too weak to judge faces: its verification AUC is 0.850, and 0.9 is"
    )
    html = page(study, tmp_path)
    assert f'<p class="banner">{warning}</p>' in html


@pytest.mark.parametrize(("auc", "weak"), [(0.9, False), (0.8999, True), (None, True)])
def test_weak_is_below_nine_tenths_or_not_measured(
    make_study: Any, request: Any, auc: float | None, weak: bool
) -> None:
    study = make_study(request.node.name)
    store(study, "identity.json", {"model": "own", "auc": auc})
    model = read_identity(load_study(study.name, study.uri))
    assert model is not None
    assert model.weak is weak


@pytest.mark.parametrize(
    ("data", "people"),
    [
        ({"num_images": 4000, "num_identities": 800}, True),
        ({"num_images": 150, "num_identities": 100}, True),
        ({"num_images": 100, "num_identities": 90}, False),
        ({"num_images": 100, "num_identities": 100}, False),
        ({"num_images": 100}, False),
        ({"num_images": "many", "num_identities": 2}, False),
        ({}, False),
    ],
)
def test_people_are_fewer_than_images(data: dict[str, Any], people: bool) -> None:
    assert has_people(data) is people


def test_people_without_a_judge_are_warned_of(make_study: Any, tmp_path: Path) -> None:
    study = make_study("faces-none", with_files=False)
    store(study, "data.json", {"num_images": 4000, "num_identities": 800})
    html = page(study, tmp_path)
    warning = (
        "No identity model was used: reconstructions are judged by SSIM, which says little about "
        "who is seen."
    )
    assert f'<p class="banner">{warning}</p>' in html
    assert "Face similarity is what" not in html
