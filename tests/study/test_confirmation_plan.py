"""`--dry-run --confirm N`: what it would do, counted, and that it does nothing."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from study.checks import DATA_FILE
from study.confirmation_plan import print_confirmation
from study.folder import write_json
from study.places import Places
from study.run import main
from study.search import VerifiedSearch
from tests.study.search_driver import Driver
from tests.study.study_fakes import CONTENT
from trainables.errors import ConfigError

WORDS = ("attack.group=3", "model.cut_point=conv3", "study.num_encoders=3", "study.sampler=random")
SMALL = str(Path(__file__).parent / "small.yaml")


def drive(bench: Any, confirm: int = 0) -> Driver:
    """A search over what is there, that can be run."""
    write_json(CONTENT, bench.folder.root / DATA_FILE)
    bench.search = VerifiedSearch(
        bench.jobs, bench.folder, bench.proposals, bench.notes, confirm=confirm
    )
    return Driver(bench)


def told(bench: Any, number: int, slots: int = 2, config: Any = None) -> str:
    """What is printed, blanks squeezed; checks that no file changes."""
    results = bench.folder.results
    places = Places(bench.folder, "sqlite:///none.db", f"sqlite:///{results / 'optuna.db'}")
    before = contents(results)
    console = Console(file=io.StringIO(), width=200)
    print_confirmation(config or bench.config, places, None, number, slots, console)
    assert contents(results) == before, "a dry run writes nothing"
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    cells = [" ".join(line.replace("│", " ").split()) for line in lines]
    return "\n".join(cells)


def contents(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_what_would_be_confirmed_is_counted(make_bench) -> None:
    bench = make_bench(*WORDS)
    drive(bench).run()
    text = told(bench, 2)
    # Of the fakes all three are on the frontier; three attackers share an attack trial.
    assert "--confirm 2: trained and attacked again with fresh seeds (done / to do)" in text
    assert "3 encoders 0 / 6 0 / 6" in text
    (line,) = [line for line in text.splitlines() if line.startswith("none conv3")]
    # λ1 = 0: utility .9, and attackers that go five sixths of the way.
    assert line.endswith("0.900 0.833 0 / 2 0 / 2")
    # Every fake trial says it took 0.3 s: 12 of them, two at a time.
    assert "time: about 2 s, 2 trials at a time" in text
    assert "the search goes first" not in text


def test_what_is_done_is_not_done_again(make_bench) -> None:
    drive(make_bench(*WORDS)).run()
    driver = drive(make_bench(*WORDS), confirm=1)
    driver.finish(*driver.take())  # type: ignore[misc]
    assert "3 encoders 1 / 2 0 / 3" in told(make_bench(*WORDS), 1)
    driver.run()
    text = told(make_bench(*WORDS), 1)
    assert "3 encoders 3 / 0 3 / 0" in text
    assert "all of it is done; a larger N adds to it" in text
    assert "3 encoders 3 / 6 3 / 6" in told(make_bench(*WORDS), 3)


def test_a_fresh_training_that_collapsed_is_done_and_meets_no_attacker(make_bench) -> None:
    drive(make_bench(*WORDS)).run()
    driver = drive(make_bench(*WORDS), confirm=1)
    driver.finish(*driver.take(), status="collapsed", reason="constant")  # type: ignore[misc]
    assert "3 encoders 1 / 2 0 / 2" in told(make_bench(*WORDS), 1)


def test_a_search_that_is_not_done_goes_first(make_bench) -> None:
    bench = make_bench(*WORDS)
    driver = drive(bench)
    while not [r for r in driver.search.records.values() if r.status == "verified"
               and r.role != "labels"]:  # fmt: skip
        driver.finish(*driver.take())  # type: ignore[misc]
    text = told(bench, 1)
    assert "the search goes first: 2 of 3 encoders are not done" in text
    assert "1 encoder 0 / 1 0 / 1" in text


def test_where_nothing_can_be_confirmed_it_says_why(make_bench, tmp_path: Path) -> None:
    bench = make_bench(*WORDS)
    assert told(bench, 2) == (
        "--confirm 2: nothing to confirm yet: no study 'small' has trained anything here"
    )
    driver = drive(bench)
    driver.finish(*driver.take())  # type: ignore[misc]
    assert "floors and ceilings are not all measured" in told(bench, 2)
    driver.run()
    for path in (bench.folder.root / "trials").glob("*.json"):
        result = json.loads(path.read_text())
        for own in result.get("results", ()):
            own["saturated"] = False
        path.write_text(json.dumps(result))
    assert "of no encoder that is verified all attackers saturated" in told(bench, 2)


def test_another_version_of_the_suites_is_refused(make_bench) -> None:
    bench = make_bench(*WORDS)
    drive(bench).run()
    write_json({**CONTENT, "suite_version": 0}, bench.folder.root / DATA_FILE)
    with pytest.raises(ConfigError, match="was attacked by version 0 of the suites"):
        told(bench, 1)


def test_a_precision_that_was_measured_is_the_one_that_is_looked_for(make_bench) -> None:
    words = (*WORDS, "resources.precision=auto")
    bench = make_bench(*words)
    asked = bench.config
    assert "has trained anything here" in told(bench, 1)
    bench.jobs.config = replace(asked, measured="bf16")
    drive(bench).run()
    assert "has trained anything here" in told(bench, 1, config=asked), "not known which"
    write_json({"precision": "bf16"}, bench.folder.precision)
    assert "3 encoders 0 / 3 0 / 3" in told(bench, 1, config=asked)


def test_the_command_line(tmp_path: Path, capsys, monkeypatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    results = tmp_path / "results"
    words = [SMALL, "data.num_images=400", "study.num_encoders=2", "--results", str(results)]
    assert main([*words, "--dry-run", "--resume", "--confirm", "2"]) == 0
    out = capsys.readouterr().out
    assert "--confirm 2: nothing to confirm yet: no study 'small' has trained anything here" in out
    assert "dry run: nothing was started, nothing was written" in out
    assert not results.exists()
    assert main([*words, "--dry-run"]) == 0
    assert "--confirm" not in capsys.readouterr().out
    assert main([*words, "--dry-run", "--confirm", "-1"]) == 2
    assert "--confirm: how many fresh seeds" in capsys.readouterr().err
