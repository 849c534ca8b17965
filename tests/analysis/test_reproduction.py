"""The page of the papers' experiments is what the kept rows say; other pages and rows."""

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from analysis.__main__ import main
from analysis.errors import AnalysisError
from analysis.paper_tables import paper_tables
from analysis.reproduction import blocks, drawn_from, fill, picture_name
from analysis.rows import read_rows

ROOT = Path(__file__).resolve().parents[2]
PAGE, ROWS = ROOT / "docs" / "reproduction.md", ROOT / "docs" / "reproduction"
COLUMNS = {
    "recipe": "deepobfuscator-table3", "size": "small", "attacker": "decoder_ms_ssim",
    "kind": "reconstruction", "status": "finished", "saturated": True, "steps": 100,
    "seconds": 1800.0, "made/machine": "a machine", "made/code": "0123456789",
}  # fmt: skip


def keep(
    folder: Path,
    rows: list[dict[str, object]],
    name: str = "deepobfuscator-table3",
    settings: object = None,
) -> Path:
    path = folder / f"{name}-small.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(pd.DataFrame(rows))
    pq.write_table(table.replace_schema_metadata({"settings": json.dumps(settings or {})}), path)
    return path


def attacks(
    encoder: str, role: str, values: list[float], **more: object
) -> list[dict[str, object]]:
    return [
        {**COLUMNS, "encoder": encoder, "seed": seed, "role": role, "ms_ssim": value, **more}
        for seed, value in enumerate(values)
    ]


def test_the_page_is_what_the_kept_rows_say() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = read_rows(ROWS, "small")
    again = "python -m analysis claims docs/reproduction --into docs/reproduction.md"
    assert fill(page, blocks(rows, "reproduction")) == page, again
    for table in paper_tables():
        if len(rows.of(table.recipe)):
            with Image.open(ROWS / picture_name(rows, table)) as picture:
                assert picture.info["Source"] == drawn_from(rows, table), again


def test_kept_rows_hold_numbers_and_no_place_of_a_machine() -> None:
    found = read_rows(ROWS, "small")
    assert (found.table["size"] == "small").all()
    texts = {
        value
        for name in found.table.select_dtypes(exclude="number")
        for value in found.table[name]
        if isinstance(value, str)
    }
    # Columns are compressed: a place would not show in the file's bytes. A role may be of a probe.
    plain = {text.removeprefix("probe/") for text in texts}
    assert plain
    assert not {text for text in plain if "/" in text or "\\" in text}
    assert '"/' not in json.dumps(found.settings)


def test_a_table_shows_ours_beside_the_paper_s(tmp_path: Path) -> None:
    keep(tmp_path, attacks("defended", "mirror", [0.1, 0.2, 0.3]))
    found = blocks(read_rows(tmp_path, "small"))["deepobfuscator-table3"]
    # Mean 0.2, deviation 0.1, half 4.303 * 0.1 / sqrt(3) = 0.248.
    assert "| mirror | 0.3175 | 0.200 (-0.048 to 0.448) |  |  |" in found
    keep(tmp_path, attacks("defended", "mirror", [0.2, 0.2], saturated=False))
    found = blocks(read_rows(tmp_path, "small"))["deepobfuscator-table3"]
    assert "| mirror | 0.3175 | ≥ 0.200 (0.200 to 0.200) |" in found


def test_what_was_run_is_told(tmp_path: Path) -> None:
    keep(tmp_path, attacks("defended", "mirror", [0.1, 0.2]))
    found = blocks(read_rows(tmp_path, "small"))["runs"]
    # Two attacks of half an hour each.
    assert "| `deepobfuscator-table3` | 1 | 2 | 2 | 1.0 | 0 | a machine | 0123456 |" in found


def test_settings_stand_beside_the_paper_s(tmp_path: Path) -> None:
    def settings(alpha: float) -> dict[str, object]:
        return {
            "data": {"source": "folder", "image_size": [48, 48],
                     "fractions": [0.64, 0.16, 0.08, 0.12]}, "precision": "bf16",
            "model": {"backbone": "scene", "width": 0.25}, "attack": {"lr": 0.001},
            "protector": {"rounds": 1500, "alpha": alpha},
        }  # fmt: skip

    own = {"a": settings(0.25), "b": settings(0.0), "c": settings(0.25)}
    rows = attacks("a", "private", [0.1], num_train=1600) + attacks("a", "b", [0.1], num_train=80)
    keep(tmp_path, [{**row, "recipe": "pittaluga-table1"} for row in rows], "pittaluga-table1", own)
    found = blocks(read_rows(tmp_path, "small"))["settings"]
    assert "| Pittaluga | α | 0.0625; 0 in section 4.2 | 0.25; 0 |" in found
    assert "| Pittaluga | image size | 224 × 224 | 48 × 48 |" in found
    assert "| Pittaluga | network | a code of 28 × 28 × 3 | scene, 0.25 of its channels |" in found
    assert "| private 64%, public 16%, selection 8%, test 12% |" in found
    assert "| images that attackers learn from | not given | 80; 1,600 |" in found
    assert "Xiao" not in found


def test_a_table_that_was_not_run_says_so(tmp_path: Path) -> None:
    keep(tmp_path, attacks("defended", "mirror", [0.1]))
    assert "Not run yet." in blocks(read_rows(tmp_path, "small"))["xiao-table2"]


def test_a_place_that_nothing_fills_is_told() -> None:
    page = "<!-- begin verdicts -->\nold\n<!-- end verdicts -->\n"
    assert fill(page, {"verdicts": "new"}) == page.replace("old", "new")
    with pytest.raises(AnalysisError, match="xiao-table9"):
        fill("<!-- begin xiao-table9 -->\n<!-- end xiao-table9 -->", {"verdicts": "new"})


@pytest.mark.parametrize("broken", ["nothing", "no parquet", "other columns", "twice"])
def test_rows_that_are_none_are_refused(
    tmp_path: Path, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "xiao-table1-small.parquet"
    if broken == "no parquet":
        path.write_bytes(b"PAR1 or not")
    elif broken == "other columns":
        pq.write_table(pa.table({"recipe": ["a"]}), path)
    elif broken == "twice":
        keep(tmp_path, attacks("defended", "mirror", [0.1]) * 2)
    assert main(["claims", str(tmp_path)]) == 2
    assert "error: " in capsys.readouterr().err
