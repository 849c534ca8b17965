"""The report of the papers' experiments: what it draws, what it says, where it lies."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.checks import CheckResult, Verdict
from analysis.comparisons import lower, single
from analysis.contrasts import Cell, interval, share_interval
from analysis.drawing import render
from analysis.paper_tables import paper_tables
from analysis.reproduction_figures import draw_table
from analysis.reproduction_report import REACH, nearness
from analysis.rows import read_rows
from tests.analysis.test_reproduction import ROWS, attacks, keep

CELL = Cell("deepobfuscator-table3", "defended", "ms_ssim", "mirror")
WITHOUT_MLFLOW = """
import sys
for name in ("ray", "optuna", "mlflow"):
    sys.modules[name] = None  # an import of it raises ImportError
from analysis.__main__ import main
sys.exit(main(["claims", *sys.argv[1:]]))
"""


def held(values: list[float], above: bool, bound: float, verdict: Verdict) -> CheckResult:
    return CheckResult(single("a figure", CELL, bound, above), interval(values), verdict, "")


def test_nearness_is_told_in_half_widths_towards_the_claim() -> None:
    # Mean 0.2, half 4.303 * 0.1 / sqrt(3) = 0.2484.
    values = [0.1, 0.2, 0.3]
    assert nearness(held(values, above=True, bound=0.1, verdict="undecided")) == pytest.approx(
        0.1 / 0.2484, abs=1e-3
    )
    below = nearness(held(values, above=False, bound=-0.2, verdict="not reproduced"))
    assert below == pytest.approx(-0.4 / 0.2484, abs=1e-3)
    assert nearness(held(values, above=False, bound=9.0, verdict="reproduced")) == REACH


def test_nearness_of_equal_and_of_single_values() -> None:
    assert nearness(held([0.5, 0.5, 0.5], above=True, bound=0.2, verdict="reproduced")) == REACH
    assert nearness(held([0.5, 0.5, 0.5], True, 0.5, "not reproduced")) == -REACH
    assert nearness(held([0.5], above=True, bound=0.2, verdict="undecided")) is None


def test_nearness_of_a_share_goes_by_the_end_towards_the_bound() -> None:
    def place(values: list[float], above: bool) -> float | None:
        check = single("a share", CELL, 0.5, above)
        return nearness(CheckResult(check, share_interval(values), "undecided", ""))

    # Of three alike 0 to 0.7076, or 0.2924 to 1.
    assert place([0.0] * 3, above=False) == pytest.approx(0.5 / 0.7076, abs=1e-3)
    assert place([1.0] * 3, above=False) == pytest.approx(-0.5 / 0.7076, abs=1e-3)
    assert place([1.0], above=True) is None


def test_a_verdict_is_what_its_place_says() -> None:
    """Beyond one half width the interval is clear of the bound, and only there."""
    for low in (0.0, 0.1, 0.2, 0.3):
        check = lower("less", CELL, CELL)
        found = interval([-low - 0.1, -low, -low + 0.1])
        place = nearness(CheckResult(check, found, "undecided", ""))
        assert place is not None
        assert (place > 1) == (found.high < 0)


def test_a_panel_shows_the_paper_s_figure_and_every_seed(tmp_path: Path) -> None:
    rows = attacks("defended", "mirror", [0.1, 0.2, 0.6])
    rows += attacks("defended", "urec1", [0.4], saturated=False)
    keep(tmp_path, rows)
    table = next(t for t in paper_tables() if t.recipe == "deepobfuscator-table3")
    figure = draw_table(read_rows(tmp_path, "small"), table)
    first, second, third = figure.axes
    assert [axes.get_title() for axes in figure.axes] == list(table.columns)
    assert [label.get_text() for label in first.get_yticklabels()] == [r[0] for r in table.rows]
    drawn = {
        (line.get_marker(), *map(float, line.get_ydata())): list(map(float, line.get_xdata()))
        for line in first.lines
    }
    assert drawn["D", 0.0] == [0.3175]
    assert drawn["|", 0.0, 0.0, 0.0] == [0.1, 0.2, 0.6]
    assert drawn["o", 0.0] == pytest.approx([0.3])
    assert drawn["o", 1.0] == [0.4]
    faces = {
        line.get_ydata()[0]: line.get_markerfacecolor()
        for line in first.lines
        if line.get_marker() == "o"
    }
    assert faces[1] == "white" != faces[0], "a lower bound is hollow"
    # Nothing is known of the undefended one, and the paper prints nothing of it.
    assert not second.lines
    assert not third.lines
    low, high = first.get_xlim()
    assert low < 0.1
    assert high > 0.6
    assert math.isfinite(second.get_xlim()[0])
    assert render(figure, "svg") == render(
        draw_table(read_rows(tmp_path, "small"), table), "svg"
    ), "the same rows are the same file"


def test_claims_leave_a_report_beside_the_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        row
        for role in ("mirror", "urec1", "urec2", "resrec")
        for row in (
            *attacks("defended", role, [0.3, 0.31, 0.32]),
            *attacks("undefended", role, [0.9, 0.91, 0.92]),
            *attacks("constant", role, [0.2, 0.2, 0.2]),
        )
    ]
    own = {"defended": {"data": {"source": "celeba", "image_size": [64, 64]}, "precision": "bf16",
                        "model": {"backbone": "vgg16", "width": 0.125}}}  # fmt: skip
    keep(tmp_path, rows, settings=own)
    assert main(["claims", str(tmp_path)]) == 0
    path = tmp_path / "report-small.html"
    assert f"wrote {path}" in capsys.readouterr().out
    page = path.read_text(encoding="utf-8")
    assert '<span class="verdict reproduced">reproduced</span>' in page
    assert "DeepObfuscator, Table 3 (MS-SSIM)" in page
    assert "<td>64 × 64</td>" in page, "what differs stands beside it"
    assert "Not run yet: X1, X2" in page
    assert "Xiao, Table 1" not in page
    assert main(["claims", str(tmp_path), "--report", str(tmp_path / "there" / "a.html")]) == 0
    assert (tmp_path / "there" / "a.html").read_text(encoding="utf-8") == page


def test_a_page_of_the_docs_is_rebuilt_without_a_report(tmp_path: Path) -> None:
    keep(tmp_path, attacks("defended", "mirror", [0.1]))
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    places = ("runs", "deepobfuscator-table3", "xiao-table1")
    text = "".join(f"<!-- begin {name} -->\n<!-- end {name} -->\n" for name in places)
    page.write_text(text, encoding="utf-8")
    assert main(["claims", str(tmp_path), "--into", str(page)]) == 0
    text = page.read_text(encoding="utf-8")
    assert "| `deepobfuscator-table3` |" in text
    assert "figures and ours](../deepobfuscator-table3-small.png)" in text
    assert [path.name for path in tmp_path.glob("*.png")] == ["deepobfuscator-table3-small.png"]
    assert not (tmp_path / "report-small.html").exists()


def test_tiny_decides_nothing_and_says_so(tmp_path: Path) -> None:
    path = keep(tmp_path, attacks("defended", "mirror", [0.1], size="tiny"))
    path.rename(tmp_path / "deepobfuscator-table3-tiny.parquet")
    assert main(["claims", str(tmp_path), "--size", "tiny"]) == 0
    page = (tmp_path / "report-tiny.html").read_text(encoding="utf-8")
    assert "decides nothing" in page
    assert "Not run yet: X1" in page


def test_rows_are_judged_where_there_is_no_mlflow(tmp_path: Path) -> None:
    where = tmp_path / "report.html"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MLFLOW, str(ROWS), "--report", str(where)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert where.is_file()
