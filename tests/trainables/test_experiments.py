"""A paper's experiment in one process per core: real runs of the tiny sizes."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis.__main__ import main as analyse
from analysis.claims import claims
from analysis.contrasts import Cell
from analysis.paper_tables import paper_tables
from analysis.reproduction import blocks
from analysis.rows import read_rows
from trainables.__main__ import main
from trainables.experiments import runner, store
from trainables.experiments.config import load_experiment
from trainables.experiments.recipe import list_experiments
from trainables.experiments.run import run_experiment, wanted_units
from trainables.experiments.runner import Place
from trainables.experiments.store import EncoderFolder, encoder_folder


def run(name: str, results: Path, *words: str) -> int:
    return main([name, *words, "--results", str(results)])


def table(results: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(results / "reproduction" / f"{name}-tiny.parquet")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of all recipes: stores, Φ and encoders that recipes share are made once."""
    return tmp_path_factory.mktemp("tiny")


def told_cells(recipe: str) -> set[Cell]:
    """The figures of a recipe that a claim asks for, or a table beside one of the paper's."""
    cells = {cell for claim in claims() for check in claim.checks for cell in check.cells}
    entries = [entry for table in paper_tables() for _, row in table.rows for entry in row]
    cells |= {entry.cell for entry in entries if entry.paper is not None}
    return {cell for cell in cells if cell.recipe == recipe}


@pytest.mark.slow
@pytest.mark.parametrize("name", list_experiments())
def test_every_tiny_recipe_runs_and_its_table_is_drawn(name: str, shared: Path) -> None:
    experiment, work = load_experiment(name, "tiny"), shared / "reproduction"
    # A thread in the place of processes, which would load all libraries ten times.
    here = Place(lambda: ThreadPoolExecutor(1), "cpu", 1)
    path, failures = run_experiment(experiment, wanted_units(experiment), work, here, print)
    assert not failures
    rows = pd.read_parquet(path)
    assert set(rows["seed"]) == {0}
    attacks = rows[rows["role"] != ""]
    assert len(attacks) or name == "pittaluga-collapse"
    if len(attacks):
        assert attacks["test"].notna().all()
    for cell in sorted(told_cells(name), key=str):
        own = rows[(rows["encoder"] == cell.encoder) & (rows["role"] == cell.role)]
        assert own[cell.metric].notna().tolist() == [True], cell
    found = blocks(read_rows(work, "tiny"))
    assert name in found
    assert "21 claims: 0 reproduced, 0 not reproduced, 21 undecided" in found["verdicts"]
    assert analyse(["claims", str(work), "--size", "tiny"]) == 0


def test_nothing_is_done_twice_and_the_table_is_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--only", "flip-first")
    assert run("pittaluga-table1", tmp_path, *words) == 0
    first = table(tmp_path, "pittaluga-table1")
    assert "1/1 flip-first (seed 0)" in capsys.readouterr().out
    assert run("pittaluga-table1", tmp_path, *words) == 0
    assert "1 of 1 were done before" in capsys.readouterr().out
    pd.testing.assert_frame_equal(first, table(tmp_path, "pittaluga-table1"))
    assert list(first["role"]) == ["", "in_loop_attribute", "private"]
    # More seeds add to what is there.
    assert run("pittaluga-table1", tmp_path, *words, "seeds=2") == 0
    assert "1 of 2 were done before" in capsys.readouterr().out
    both = table(tmp_path, "pittaluga-table1")
    assert list(both["seed"]) == [0, 0, 0, 1, 1, 1]
    assert both.loc[both["role"] == "", "encoder_hash"].nunique() == 2


def test_rows_keep_settings_but_no_place(tmp_path: Path) -> None:
    assert run("pittaluga-collapse", tmp_path, "--only", "per-location") == 0
    path = tmp_path / "reproduction" / "pittaluga-collapse-tiny.parquet"
    metadata = pq.read_schema(path).metadata[b"settings"]
    settings = json.loads(metadata)
    assert settings["per-location"]["protector"]["normalisation"] == "per_location"
    assert str(tmp_path).encode() not in metadata
    rows = pd.read_parquet(path)
    texts = [value for name in rows for value in rows[name] if isinstance(value, str)]
    assert texts
    assert not [text for text in texts if str(tmp_path) in text]
    assert rows["collapsed"].isin([0.0, 1.0]).all()
    assert rows["made/machine"].notna().all()


def test_rows_name_the_code_that_ran_not_what_was_pulled_meanwhile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store.made.cache_clear()
    monkeypatch.setattr(store, "code_version", lambda root: "the commit at the start")

    def pull(*_: object) -> None:
        monkeypatch.setattr(store, "code_version", lambda root: "another")
        raise InterruptedError

    monkeypatch.setattr(runner, "encoder_folder", pull)
    unit = wanted_units(load_experiment("xiao-table1"))[0]
    with pytest.raises(InterruptedError):
        runner.run_unit(unit, tmp_path, "cpu", 1)
    assert store.made()["code"] == "the commit at the start"
    store.made.cache_clear()


def test_a_failure_is_told_and_costs_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = load_experiment("pittaluga-collapse", "tiny")
    work = tmp_path / "reproduction"
    (broken,) = (one for one in experiment.encoders if one.name == "batch")
    checkpoint = encoder_folder(broken, 0, work).checkpoint(None)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"no checkpoint")
    assert run("pittaluga-collapse", tmp_path, "--only", "batch,per-location") == 1
    assert "failed: batch (seed 0): " in capsys.readouterr().err
    assert list(table(tmp_path, "pittaluga-collapse")["encoder"]) == ["per-location"]
    checkpoint.unlink()
    assert run("pittaluga-collapse", tmp_path, "--only", "batch,per-location") == 0
    assert list(table(tmp_path, "pittaluga-collapse")["encoder"]) == ["batch", "per-location"]


def test_what_a_result_depends_on_is_in_its_name(tmp_path: Path) -> None:
    def folder(*words: str, seed: int = 0) -> EncoderFolder:
        experiment = load_experiment("xiao-table1", "tiny", words)
        return encoder_folder(experiment.encoders[1], seed, tmp_path)

    plain, patient = folder(), folder("attack.patience=3")
    assert plain.path == patient.path
    # An attack that was interrupted under other settings is not gone on with.
    assert plain.checkpoint(["decoder"]) != patient.checkpoint(["decoder"])
    assert plain.checkpoint(["decoder"]) != plain.checkpoint(["feature"])
    others = [folder(seed=1), folder("protector.rounds=7"), folder("data.seed=1")]
    assert len({plain.path, *(other.path for other in others)}) == 4


@pytest.mark.parametrize(
    ("most", "processes", "threads"),
    [
        (None, 1, 8),
        (None, 3, 2),
        (None, 16, 1),
        ("2", 1, 2),
        ("2", 8, 1),
        ("0", 1, 8),
        (" 2", 1, 2),
        ("many", 1, 8),
        ("2,1", 1, 2),
    ],
)
def test_threads_are_the_cores_share_and_no_more_than_the_environment_allows(
    monkeypatch: pytest.MonkeyPatch, most: str | None, processes: int, threads: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if most is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", most)
    assert Place.here(processes, "cpu").threads == threads


def test_bad_input_starts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("xiao-table1", tmp_path, "--only", "defended", "data.num_images=40") == 2
    assert "batch_size" in capsys.readouterr().err
    assert run("xiao-table1", tmp_path, "--only", "nobody") == 2
    assert "known: undefended" in capsys.readouterr().err
    assert run("xiao-table1", tmp_path, "--processes", "0") == 2
    capsys.readouterr()
    assert main(["--only", "defended", "undefended", "xiao-table1"]) == 2
    assert "one recipe at most, got undefended, xiao-table1" in capsys.readouterr().err
    # A value may stand before the recipe.
    assert main(["seeds=0", "xiao-table1", "--results", str(tmp_path)]) == 2
    assert "seeds: " in capsys.readouterr().err
    assert not (tmp_path / "reproduction").exists()


@pytest.mark.slow
def test_killed_it_leaves_nobody_and_goes_on(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "trainables", "pittaluga-collapse", "--results", str(tmp_path),
        "--only", "per-location", "protector.rounds=100000",
    ]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: len(descendants(running.pid)) >= 2)  # a worker, and Python's own tracker
        family = descendants(running.pid)
        running.kill()
        running.wait()
        wait_for(lambda: not [pid for pid in family if Path(f"/proc/{pid}").exists()])
    finally:
        running.kill()
    assert run("pittaluga-collapse", tmp_path, "--only", "per-location") == 0


def wait_for(happened: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.2)


def descendants(pid: int) -> list[int]:
    """Children of a process that are still there, and theirs."""
    own = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(child) for child in own.read_text().split()] if own.exists() else []
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def test_it_runs_without_ray_and_mlflow(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('ray', 'optuna', 'mlflow'): sys.modules[name] = None\n"
        "from trainables.__main__ import main\n"
        f"sys.exit(main(['pittaluga-collapse', '--results', {str(tmp_path)!r}, '--dry-run']))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "per-location (seed 0): to do" in ended.stdout
