"""The report and MLflow's UI in a real browser, used as a reader uses them: Debian's Chromium.

Screenshots are kept in $CUTPOINT_SCREENSHOTS, if that is set, to be looked at.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from analysis.load import load_study
from analysis.quiz import make_quiz, score
from analysis.quiz_page import write_quiz
from analysis.rebuild import rebuild
from analysis.reproduction_report import write_report
from analysis.rows import read_rows
from tests.services import ROOT, MlflowServer, missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
WIDTHS = (1280, 390)
LOCAL = re.compile(r"^(file:|data:|blob:|http://(127\.0\.0\.1|localhost)[:/])")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window and without a network of its own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        missing("Chromium")
    quiet = ("--no-sandbox", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE "
             "127.0.0.1, EXCLUDE localhost")  # fmt: skip
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(quiet))
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, width: int, allowed: str = "") -> Iterator[tuple[Page, list[str]]]:
    """A page of a width, and everything in it that is not as it should be.

    Args:
        browser: Where.
        width: Pixels.
        allowed: Pattern of messages of the console that are none of ours.
    """
    page = browser.new_page(viewport={"width": width, "height": 900})
    problems: list[str] = []

    def hear(message: Any) -> None:
        if message.type == "error" and not (allowed and re.search(allowed, message.text)):
            problems.append(f"console: {message.text}")

    page.on("console", hear)
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("request", lambda request: None if LOCAL.match(request.url)
            else problems.append(f"request: {request.url}"))  # fmt: skip
    yield page, problems
    page.close()


def keep(page: Page, name: str) -> None:
    """Keeps a screenshot, if somebody wants to look at it."""
    folder = os.environ.get("CUTPOINT_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


@pytest.fixture(scope="module")
def report(full_study: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report of the full study."""
    path, _ = rebuild("full", tmp_path_factory.mktemp("browser"), full_study.uri)
    return path.as_uri()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_report_is_whole_at_both_widths_and_asks_nobody(
    browser: Browser, report: str, width: int
) -> None:
    with opened(browser, width) as (page, problems):
        page.goto(report)
        expect(page.locator(".mark")).to_have_count(6)
        keep(page, f"report-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") == width, "it must not scroll"
        broken = page.evaluate(
            "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.alt)"
        )
        assert broken == []
        # Every link of the page leads somewhere in it.
        for link in page.locator("nav a").all():
            target = link.get_attribute("href")
            assert target is not None
            assert page.locator(target).count() == 1, target
            link.click()
            assert page.url.endswith(target)
        assert problems == []


@pytest.mark.parametrize("width", WIDTHS)
def test_the_papers_report_is_whole_at_both_widths(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    path = write_report(read_rows(ROOT / "docs" / "reproduction", "small"), tmp_path / "r.html")
    with opened(browser, width) as (page, problems):
        page.goto(path.as_uri())
        keep(page, f"papers-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") == width, "it must not scroll"
        assert page.evaluate("[...document.images].every(i => i.naturalWidth > 0)")
        for link in page.locator("nav a").all():
            assert page.locator(str(link.get_attribute("href"))).count() == 1
        page.get_by_text("As figures").first.click()
        expect(page.locator("details[open] table")).to_be_visible()
        assert problems == []


@pytest.mark.parametrize("width", WIDTHS)
def test_an_encoder_that_is_pointed_at_says_what_it_is(
    browser: Browser, report: str, width: int
) -> None:
    with opened(browser, width) as (page, problems):
        page.goto(report)
        card = page.locator(".card")
        expect(card).to_contain_text("Point at a mark")
        page.get_by_label("#1: mean MCC 0.750, worst leakage 0.200").hover()
        expect(card.locator("h4")).to_contain_text("#1")
        expect(card).to_contain_text("on the frontier")
        expect(card).to_contain_text("reconstruction, cut at conv4")
        expect(card).to_contain_text("worst attackerdecoder")
        expect(card).to_contain_text("λ11")
        # Of the attackers the one that rebuilt most, below the originals.
        expect(card.locator("img.tiles")).to_have_count(2)
        expect(card).to_contain_text("rebuilt by decoder")
        keep(page, f"card-{width}")
        page.get_by_label("#2: mean MCC 0.500, worst leakage at least 0.050").hover()
        expect(card).to_contain_text("at least 0.050")
        expect(card).not_to_contain_text("on the frontier")
        assert problems == []


def test_the_marks_can_be_reached_by_keyboard(browser: Browser, report: str) -> None:
    with opened(browser, WIDTHS[0]) as (page, problems):
        page.goto(report)
        page.locator(".filters input").last.focus()
        page.keyboard.press("Tab")
        heading = page.locator(".card h4")
        expect(heading).to_contain_text("#2")  # the least useful
        page.keyboard.press("ArrowRight")
        expect(heading).to_contain_text("#3")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        expect(heading).to_contain_text("labels")  # round to the most useful
        assert page.evaluate("document.querySelectorAll('.mark[tabindex=\"0\"]').length") == 1
        assert problems == []


def test_filters_leave_out_marks_and_redraw_the_frontier(browser: Browser, report: str) -> None:
    with opened(browser, WIDTHS[0]) as (page, problems):
        page.goto(report)
        marks, said = page.locator(".mark"), page.locator(".stage output")
        expect(said).to_have_text("6 of 6 encoders shown")
        stairs = page.locator(".staircase")
        # Across, and up at each of two corners: u4 and #1.
        assert (stairs.get_attribute("d") or "").count("H") == 2
        page.get_by_role("checkbox", name="lower bounds").uncheck()
        expect(marks).to_have_count(5)
        expect(said).to_have_text("5 of 6 encoders shown")
        page.get_by_role("checkbox", name="none").uncheck()
        assert (stairs.get_attribute("d") or "").count("H") == 1
        page.get_by_role("checkbox", name="conv4").uncheck()
        # What #1 beat is on the frontier of the cut that is left.
        expect(marks).to_have_count(2)
        assert (stairs.get_attribute("d") or "").count("H") == 1
        page.get_by_role("checkbox", name="none").check()
        page.get_by_role("checkbox", name="conv4").check()
        page.get_by_role("checkbox", name="lower bounds").check()
        expect(marks).to_have_count(6)
        assert problems == []


def test_tables_are_sorted_by_their_headings(browser: Browser, report: str) -> None:
    with opened(browser, WIDTHS[0]) as (page, problems):
        page.goto(report)
        table = page.locator("#encoders ~ .scroll table").first
        column = table.locator("thead th").all_inner_texts().index("mean MCC")

        def values() -> list[float]:
            cells = table.locator(f"tbody td:nth-child({column + 1})").all_inner_texts()
            return [float(text) for text in cells]

        button = table.get_by_role("button", name="mean MCC")
        button.click()
        assert values() == sorted(values())
        button.press("Enter")
        assert values() == sorted(values(), reverse=True)
        assert problems == []


def test_text_from_outside_does_nothing_on_a_card(
    browser: Browser, make_study: Any, attacked: Any, tmp_path: Path
) -> None:
    study = make_study("hostile-card")
    hostile = "<img src=http://evil.example/a.png onerror=alert(1)>"
    attacked(
        study, "e1", 0.5, {"decoder": 0.3}, cut_point=hostile,
        params={"lambda1": hostile, "protector": hostile}, worst_attacker=hostile,
    )  # fmt: skip
    attacked(study, "e2", 0.6, {"decoder": 0.4})
    path, _ = rebuild("hostile-card", tmp_path, study.uri)
    with opened(browser, WIDTHS[0]) as (page, problems):
        page.on("dialog", lambda dialog: problems.append(f"dialog: {dialog.message}"))
        page.goto(path.as_uri())
        page.get_by_label("#1: mean MCC 0.500").hover()
        expect(page.locator(".card")).to_contain_text(f"cut at {hostile}")
        page.get_by_role("checkbox", name=hostile).first.uncheck()
        expect(page.locator(".mark")).to_have_count(1)
        assert problems == []


def test_the_report_is_readable_without_a_script(browser: Browser, report: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report)
    assert page.locator(".stage").is_hidden()
    assert page.locator("details.still img").is_visible()
    context.close()


def test_mlflows_ui_shows_the_study_and_its_report(
    browser: Browser, full_study: Any, tmp_path: Path
) -> None:
    server = MlflowServer(tmp_path, full_study.uri)
    server.start()
    client = full_study.client
    report, _ = rebuild("full", tmp_path, full_study.uri)
    client.log_artifact(full_study.run_id, str(report))
    experiment = client.get_experiment_by_name("full").experiment_id
    try:
        with opened(browser, WIDTHS[0], allowed="Failed to load resource") as (page, problems):
            page.goto(f"{server.address}/#/experiments/{experiment}/runs")
            study = page.get_by_role("gridcell").filter(has_text="study")
            expect(study).to_be_visible(timeout=60_000)
            study.get_by_role("button").click()
            expect(page.get_by_text("run of s1")).to_be_visible(timeout=60_000)
            keep(page, "mlflow-runs")
            page.goto(
                f"{server.address}/#/experiments/{experiment}/runs/{full_study.run_id}/artifacts"
            )
            expect(page.get_by_text("report.html").first).to_be_visible(timeout=60_000)
            page.get_by_text("report.html").first.click()
            expect(page.frame_locator("iframe").locator("h1")).to_have_text("full", timeout=60_000)
            keep(page, "mlflow-report")
            assert problems == []
    finally:
        server.kill()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_quiz_keeps_answers_and_hands_them_out(
    browser: Browser, full_study: Any, tmp_path: Path, width: int
) -> None:
    path, key = write_quiz(make_quiz(load_study("full", full_study.uri), 3), tmp_path)
    right = json.loads(key.read_text(encoding="utf-8"))["right"]
    with opened(browser, width) as (page, problems):
        page.goto(path.as_uri())
        said = page.locator("output")
        expect(said).to_have_text("0 of 3 answered")
        for number in (1, 3):
            label = f"question {number}, face {right[number - 1] + 1}"
            page.get_by_label(label, exact=True).check()
        expect(said).to_have_text("2 of 3 answered")
        page.reload()
        expect(said).to_have_text("2 of 3 answered")
        keep(page, f"quiz-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        with page.expect_download() as waited:
            page.get_by_role("button", name="Save the answers").click()
        told = json.loads(Path(waited.value.path()).read_text(encoding="utf-8"))
        assert told["answers"] == [right[0], None, right[2]]
        assert score(json.loads(key.read_text(encoding="utf-8")), [told]).right == 2
        assert problems == []
