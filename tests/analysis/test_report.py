"""The report: what it says, that it is self-contained, that nothing from outside is markup."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from analysis.load import load_study
from analysis.rebuild import rebuild
from analysis.report import write_report

HOSTILE = "<script>alert('x')</script><img src=http://evil.example/a.png onerror=alert(1)>"


class Page(HTMLParser):
    """Collects tags, addresses and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.policy = ""
        self.texts: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.attributes |= set(values)
        self.addresses += [
            values[name] or ""
            for name in ("src", "href", "srcset", "action", "data")
            if name in values
        ]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"] or ""

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def page(full_study: Any, tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("report")
    return Page(write_report(load_study("full", full_study.uri), folder))


def test_the_answer_comes_first_and_in_figures(page: Page) -> None:
    expected = [
        (
            "The undefended encoder at conv4 leaks 0.600 at a mean MCC of 0.800; encoder #1 "
            "(cut at conv4) leaks 0.200, 67% less, at a loss of 0.050 in mean MCC. It was chosen "
            "on the selection split; these are the figures of the test split."
        ),
        (
            "2 encoders of 5 verified lie on the frontier; together they command a "
            "hypervolume of 0.620"
        ),
        (
            "3 of 18 attacks ran out of their budget before they saturated, so the leakage of 1 "
            "encoder is a lower bound: drawn hollow, not on the frontier"
        ),
        "The attackers had 640 public images to train on",
        "1 of 7 encoders failed, diverged or have no finite measure",
        (
            "1 of 7 encoders finished training, but with a collapsed code: not attacked and on no "
            "frontier, though no failure; its figures are listed below."
        ),
        (
            "attacked by 3 attackers trained from scratch (attribute, decoder, decoder_strong), "
            "and by the adversary of its own training where it had one"
        ),
    ]
    places = [page.text.find(sentence) for sentence in expected]
    assert -1 not in places, expected[places.index(-1)]
    assert max(places) < page.text.index("Each mark is one encoder")


def test_table_of_encoders(page: Page) -> None:
    table = page.text[page.text.index("Press a heading") :]
    assert "#2 conv4 0.500 ≥ 0.050 decoder 0.020 0.050 0.040 0.020 +0.030 no" in table
    assert "#1 conv4 0.750 0.200 decoder 0.100 0.200 0.150 0.050 +0.150 yes" in table
    assert table.index("#2 conv4") < table.index("#1 conv4") < table.index("undefended conv4")


def test_training_ended_when_and_why_is_told_under_the_table(page: Page) -> None:
    ended = page.text[page.text.index("When and why training stopped") :]
    assert "#1 600 no all rounds done, not converged 0123456789ab " in ended
    assert "#2" not in ended[: ended.index("Every attack")], "nothing is known of it"


def test_set_up_names_g_and_the_version_of_the_attackers(page: Page) -> None:
    set_up = page.text[page.text.index("What the figures depend on") :]
    assert "perceptual network g public attackers quick version of the attackers 3" in set_up


def test_method_tells_what_was_chosen_on_which_split(page: Page) -> None:
    method = page.text[page.text.index("Threat model.") :]
    assert "Choice on selection." in method
    assert "lose at most 0.05 mean MCC against the undefended encoder of the same cut" in method
    assert "Frontier on test." in method


def test_failures_and_references_are_listed(page: Page) -> None:
    assert "#4 run of s4 diverged loss is nan in round 12" in page.text
    assert "attribute 0 0.500 0.980" in page.text
    assert "backbone: resnet18" in page.text
    assert "split_sizes private 2560, public 640, selection 320, test 480" in page.text
    assert "Eyeglasses utility 25.0% 75.0%" in page.text
    assert "Hat private 49.7% 50.3%" in page.text
    assert "Round_Face not used 50.0% 50.0%" in page.text


def test_reconstructions_are_inlined(page: Page) -> None:
    images = [address for address in page.addresses if address.startswith("data:image/webp")]
    assert len(images) == 6, "originals and two attackers of two encoders"
    assert base64.b64decode(images[0].split(",")[1])[8:12] == b"WEBP"


def test_page_needs_no_network(page: Page) -> None:
    outside = [a for a in page.addresses if not a.startswith(("data:image/", "#"))]
    assert outside == []
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert "@import" not in page.source
    assert "url(" not in page.source


def test_only_our_script_may_run(page: Page) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.policy
    assert "default-src 'none'" in page.policy
    assert page.tags.count("script") == 1


# The absurdly long names leave the figures no room, which matplotlib says.
@pytest.mark.filterwarnings("ignore:constrained_layout")
def test_text_from_outside_is_escaped(make_study: Any, attacked: Any, tmp_path: Path) -> None:
    study = make_study("hostile", with_files=False)
    study.client.log_dict(study.run_id, {"data": {"private": [HOSTILE]}, HOSTILE: 1}, "study.yaml")
    study.client.log_dict(
        study.run_id,
        {"private": [HOSTILE], "attributes": {HOSTILE: {"positive_rate": 0.5}}, HOSTILE: HOSTILE},
        "data.json",
    )
    attacked(study, "e1", 0.5, {"decoder": 0.5}, cut_point=HOSTILE, role="undefended")
    attacked(study, "e2", 0.5, {"decoder": 0.3}, params={"lambda1": HOSTILE}, worst=HOSTILE,
             stopped=HOSTILE, encoder_hash=HOSTILE)  # fmt: skip
    study.encoder("e3", status="failed", reason=HOSTILE)
    run = study.encoder("e4", metrics={"utility/mean_mcc": 0.4, "leakage/worst": 0.9})
    study.attack("e4", run, HOSTILE, metrics={"score/test": 0.5, "floor": 0, "ceiling": 1})
    page = Page(write_report(load_study("hostile", study.uri), tmp_path))
    assert page.tags.count("script") == 1
    assert not {"onerror", "onload", "onclick"} & page.attributes
    assert not any("evil.example" in address for address in page.addresses)
    assert page.text.count("alert('x')") >= 8, "shown as text"


def test_report_of_a_study_without_anything(make_study: Any, tmp_path: Path) -> None:
    study = make_study("report-empty", status="running", with_files=False)
    page = Page(write_report(load_study("report-empty", study.uri), tmp_path))
    for sentence in (
        "No encoder has been trained yet.", "This study is running",
        "No encoder has been verified yet.", "No reconstructions were stored.",
        "No floor and ceiling have been measured yet.", "No configuration was stored.",
        "Nothing has been measured yet.",
    ):  # fmt: skip
        assert sentence in page.text


def test_report_of_a_single_encoder(make_study: Any, attacked: Any, tmp_path: Path) -> None:
    study = make_study("report-single", status="running")
    attacked(study, "u", 0.7, {"decoder": 0.5}, role="undefended")
    study.encoder("s", status="running")
    page = Page(write_report(load_study("report-single", study.uri), tmp_path))
    assert "No defended encoder with saturated attackers leaks less" in page.text
    assert "1 encoder of 1 verified lies on the frontier" in page.text
    assert "The one attack trained until it saturated." in page.text
    assert "The study is not complete: 1 encoder of 2 not yet verified." in page.text
    assert "#1 run of s running not finished" in page.text


def test_lower_bound_is_said_to_be_no_privacy(
    make_study: Any, attacked: Any, tmp_path: Path
) -> None:
    study = make_study("report-bound")
    attacked(study, "u", 0.7, {"decoder": 0.5}, role="undefended")
    attacked(study, "s", 0.7, {"decoder": 0.1}, saturated=False, params={"lambda1": 1})
    page = Page(write_report(load_study("report-bound", study.uri), tmp_path))
    assert "No defended encoder with saturated attackers leaks less" in page.text
    assert "Encoder #1 seems to leak less (at least 0.100 at mean MCC 0.700)" in page.text


def test_a_study_of_lower_bounds_says_so_at_the_top(
    make_study: Any, attacked: Any, tmp_path: Path
) -> None:
    study = make_study("report-bounds")
    attacked(study, "u", 0.7, {"decoder": 0.5}, role="undefended", saturated=False)
    attacked(study, "s", 0.7, {"decoder": 0.1}, saturated=False, params={"lambda1": 1})
    page = Page(write_report(load_study("report-bounds", study.uri), tmp_path))
    top = page.text[: page.text.index("What was asked")]
    assert "No encoder has all its attackers saturated. The worst leakage of every" in top
    assert "There is no frontier yet" in top
    assert "The dashed staircase joins the one encoder" in top
    assert "Encoder #1 seems to leak less (at least 0.100" in top
    assert "the dashed line is provisional" in page.text.lower()
    assert "on the frontier 0 hypervolume – " in page.text


def test_a_settled_study_has_no_such_banner(page: Page) -> None:
    assert "No encoder has all its attackers saturated" not in page.text
    assert "dashed" not in page.text


def test_a_choice_that_test_does_not_bear_out_is_told_as_it_is(
    make_study: Any, attacked: Any, tmp_path: Path
) -> None:
    study = make_study("report-regression")
    attacked(study, "u", 0.7, {"decoder": 0.2}, role="undefended", saturated=False)
    selection = {"leakage/worst_selection": 0.1}
    attacked(study, "s", 0.7, {"decoder": 0.25}, params={"lambda1": 1}, more=selection)
    study.encoder("d", status="diverged", stopped="loss was nan")
    page = Page(write_report(load_study("report-regression", study.uri), tmp_path))
    assert "undefended encoder at conv4 leaks at least 0.200" in page.text
    assert "encoder #1 (cut at conv4) leaks 0.250, 25% more, at a loss of 0.000" in page.text
    assert "#2 run of d diverged loss was nan" in page.text


def test_the_in_loop_adversary_may_be_the_worst_attacker(
    make_study: Any, attacked: Any, tmp_path: Path
) -> None:
    study = make_study("report-in-loop")
    attacked(study, "u", 0.7, {"decoder": 0.5}, role="undefended")
    run = attacked(
        study, "s", 0.7, {"decoder": 0.1}, in_loop=0.3, params={"lambda1": 1},
        worst_attacker="in_loop",
        more={"leakage/worst": 0.3, "leakage/worst_selection": 0.3, "saturation_gap": -0.2},
    )  # fmt: skip
    study.attack(
        "s", run, "in_loop", saturated=False,
        metrics={"score/test": 0.4, "leakage/test": 0.3, "leakage/selection": 0.3, "steps": 0},
    )  # fmt: skip
    page = Page(write_report(load_study("report-in-loop", study.uri), tmp_path))
    assert "#1 conv4 0.700 0.300 in-loop decoder 0.100 0.300 -0.200 yes" in page.text
    attacks = page.text[page.text.index("Every attack") :]
    assert "#1 in-loop decoder 0 0.400 0.300 0.300 0 – –" in attacks
    assert "encoder #1 (cut at conv4) leaks 0.300, 40% less" in page.text
    assert "found hardly more, or less, than the in-loop decoder in the median" in page.text
    assert "1 attacker trained from scratch (decoder), and by the adversary" in page.text


def test_ready_made_grid_is_used_where_strips_are_missing(
    make_study: Any, attacked: Any, tmp_path: Path
) -> None:
    study = make_study("report-grid")
    run = attacked(study, "u", 0.7, {"decoder": 0.5}, role="undefended")
    study.strip(run, "reconstructions", 80)
    page = Page(write_report(load_study("report-grid", study.uri), tmp_path))
    assert sum(address.startswith("data:image/webp") for address in page.addresses) == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("collapsed", "3 of 3 encoders finished training, but with a collapsed code"),
        ("failed", "3 of 3 encoders failed, diverged or have no finite measure"),
        ("dominated", "3 of 3 encoders were attacked no further"),
        ("running", "The study is not complete: 3 encoders of 3 not yet verified."),
    ],
)
def test_a_study_of_nothing_but_such_encoders_says_so(
    make_study: Any, tmp_path: Path, status: str, said: str
) -> None:
    study = make_study(f"only-{status}", status="running" if status == "running" else "finished")
    for number in range(3):
        study.encoder(
            f"e{number}", status=status, reason="why" if status != "running" else "",
            params={"protector": "reconstruction", "cut_point": "conv4", "lambda1": number + 1},
            metrics={"utility/mean_mcc": 0.5, "leakage/at_least": 0.9, "num_spared": 2},
        )  # fmt: skip
    report, facts = rebuild(study.name, tmp_path, study.uri)
    page = Page(report)
    assert said in page.text
    assert "No encoder has been verified yet, so there is no answer so far." in page.text
    assert facts["frontier"] == []
    assert ("This study is running" in page.text) == (status == "running")
    assert "No reconstructions were stored." in page.text
