"""Rows that were computed elsewhere: a table taken along stands for what it holds."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.__main__ import main
from trainables.experiments.brought import read_brought
from trainables.experiments.config import load_experiment
from trainables.experiments.rows import describe

RECIPE = "pittaluga-table1"
TABLE = Path("reproduction") / f"{RECIPE}-tiny.parquet"
SHORT = ("--only", "flip-first", "attack.max_steps=5", "protector.rounds=2", "protector.warmup=1")
WORDS = SHORT[2:]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one encoder and seed, computed on another machine."""
    results = tmp_path_factory.mktemp("there")
    assert main([RECIPE, *SHORT, "--results", str(results)]) == 0
    return results


@pytest.fixture
def here(there: Path, tmp_path: Path) -> Path:
    """An empty results folder, but for the table."""
    (tmp_path / TABLE).parent.mkdir(parents=True)
    shutil.copyfile(there / TABLE, tmp_path / TABLE)
    return tmp_path


def changed(path: Path, rows: pd.DataFrame) -> None:
    """Writes rows in the place of a table's, with its settings."""
    metadata = pq.read_schema(path).metadata
    table = pa.Table.from_pandas(rows, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(metadata), path)


def test_what_was_computed_elsewhere_is_not_done_again(
    here: Path, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([RECIPE, *SHORT, "--results", str(here), "--dry-run"]) == 0
    assert "flip-first (seed 0): done (in the table)" in capsys.readouterr().out
    assert main([RECIPE, *SHORT, "--results", str(here)]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 stand in pittaluga-table1-tiny.parquet: computed elsewhere, kept" in said
    assert not list((here / "reproduction").glob("encoders/*"))
    brought = pd.read_parquet(here / TABLE)
    pd.testing.assert_frame_equal(brought, pd.read_parquet(there / TABLE))
    # More seeds add to it, and the figures are those of a machine that did both.
    assert main([RECIPE, *SHORT, "seeds=2", "--results", str(here)]) == 0
    assert len(list((here / "reproduction").glob("encoders/*"))) == 1
    both = pd.read_parquet(here / TABLE)
    assert list(both["seed"]) == [0, 0, 0, 1, 1, 1]
    assert list(both["test"].dropna())[:2] == list(brought["test"].dropna())
    # Fewer seeds take nothing away, nor does another encoder.
    assert main([RECIPE, *SHORT[:1], "gan-first", *WORDS, "--results", str(here)]) == 0
    rows = pd.read_parquet(here / TABLE)
    assert list(zip(rows["encoder"], rows["seed"], strict=True))[::3] == [
        ("flip-first", 0), ("gan-first", 0), ("flip-first", 1),
    ]  # fmt: skip
    assert not list(here.glob("reproduction/*before*"))


def test_rows_of_other_settings_count_for_nothing_and_are_not_lost(
    here: Path, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([RECIPE, *SHORT, "protector.alpha=0.5", "--results", str(here)]) == 0
    said = capsys.readouterr().out
    assert "stand in" not in said
    (aside,) = here.glob("reproduction/*.before-*.parquet")
    assert f"do not stand (flip-first (seed 0): by other settings); kept in {aside.name}" in said
    assert aside.read_bytes() == (there / TABLE).read_bytes()
    settings = json.loads(pq.read_schema(here / TABLE).metadata[b"settings"])
    assert settings["flip-first"]["protector"]["alpha"] == 0.5


def test_a_training_without_its_attacks_is_done_again_and_not_lost(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pd.read_parquet(here / TABLE)
    changed(here / TABLE, rows[rows["role"] == ""])
    assert main([RECIPE, *SHORT, "--results", str(here)]) == 0
    said = capsys.readouterr().out
    (aside,) = here.glob("reproduction/*.before-*.parquet")
    assert f"do not stand (flip-first (seed 0): only a part); kept in {aside.name}" in said
    assert list(pd.read_parquet(here / TABLE)["test"].dropna()) == list(rows["test"].dropna())


def test_an_attack_that_only_the_table_has_is_not_lost(
    here: Path, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """This machine has the training too, but not what attacked it; and runs another encoder."""
    rows = pd.read_parquet(here / TABLE)
    changed(here / TABLE, rows[rows["role"] != "private"])
    shutil.copytree(there / "reproduction" / "encoders", here / "reproduction" / "encoders")
    for attacks in here.glob("reproduction/encoders/*/attacks"):
        shutil.rmtree(attacks)
    words = (*SHORT[:1], "gan-first", *WORDS)
    assert main([RECIPE, *words, "--results", str(here)]) == 0
    (aside,) = here.glob("reproduction/*.before-*.parquet")
    assert "in_loop_attribute" in set(pd.read_parquet(aside)["role"])
    assert "flip-first (seed 0): only a part" in capsys.readouterr().out


def test_only_whole_units_of_this_suite_stand(here: Path) -> None:
    experiment = load_experiment(RECIPE, "tiny", WORDS)
    settings = json.loads(json.dumps(describe(experiment.encoders)))
    rows = pd.read_parquet(here / TABLE)
    key = ("flip-first", 0)

    def found(table: pd.DataFrame) -> tuple[bool, bool, bool]:
        changed(here / TABLE, table)
        brought = read_brought(here / TABLE, experiment, settings)
        return key in brought.units, key in brought.parts, key in brought.others

    assert found(rows) == (True, False, False)
    # Without the attack, without the training, by attackers of another version, by another one.
    assert found(rows[rows["role"] != "private"]) == (False, True, False)
    assert found(rows[rows["role"] != ""]) == (False, True, False)
    assert found(rows.assign(suite_version=1)) == (False, True, False)
    assert found(rows.assign(attacker="attribute_mlp")) == (False, True, False)
    # An encoder that diverged is attacked by nobody.
    own = rows[rows["role"] == ""]
    assert found(own.assign(status="diverged")) == (True, False, False)
    # Other images, told by what they are.
    changed(here / TABLE, rows)
    others = load_experiment(RECIPE, "tiny", [*WORDS, "data.num_images=500"])
    brought = read_brought(here / TABLE, others, describe(others.encoders))
    assert brought.others == {key}
    settings["flip-first"]["inputs"]["images"] = "0123456789abcdef"
    assert read_brought(here / TABLE, experiment, settings).others == {key}


def test_what_is_no_table_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / TABLE
    path.parent.mkdir(parents=True)
    path.write_text("no table")
    for more in ([], ["--dry-run"]):
        assert main([RECIPE, *SHORT, "--results", str(tmp_path), *more]) == 2
        assert f"{path}: not readable as a table of rows" in capsys.readouterr().err
    assert path.read_text() == "no table"
    assert not list(path.parent.glob("encoders"))
